"""Makes the items that are sent, different from run to run, so that no cache has them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration

from trimtab.reward.v1 import reward_pb2

Item = reward_pb2.ScoreItem
_ANSWERS = 4


class ItemMaker:
    """Makes items for one verifier. What they deserve is the verifier's business."""

    def __init__(self, verifier: str) -> None:
        """`verifier` is named by every item; empty: none is named."""
        self.verifier = verifier
        """The name."""
        self._count = secrets.randbelow(1 << 20)

    def request_id(self) -> str:
        """One that was never used."""
        return f"check-{secrets.token_hex(8)}"

    def one(self, item_id: str = "", *, response: str = "", references: Sequence[str] = ()) -> Item:
        """An item with these texts; without an id it gets one."""
        self._count += 1
        return Item(
            # In no order that sorting them could bring about by chance.
            id=item_id or f"{secrets.token_hex(3)}-{self._count}",
            verifier=self.verifier,
            response=response,
            references=references,
        )

    def plain(self, count: int) -> list[Item]:
        """Items of the usual kinds in turn: right, wrong, long-winded, without an answer."""
        return [self._plain(kind % _ANSWERS) for kind in range(count)]

    def _plain(self, kind: int) -> Item:
        number = self._count
        padding = "Let me think. " * (number % 7)
        if kind == 0:
            text, reference = rf"{padding}The answer is \boxed{{{number}}}.", str(number)
        elif kind == 1:
            text, reference = rf"{padding}So it is \boxed{{{number + 1}}}.", str(number)
        elif kind == 2:
            text, reference = f"{padding}First this, then that.\n#### {number}", str(number)
        else:
            text, reference = f"{padding}I do not know {'at all ' * (number % 5)}.", str(number)
        return self.one(response=text, references=[reference])

    def hard(self, count: int) -> list[Item]:
        """Items that cost a verifier of mathematics some time; their answers are right."""
        return [self._hard() for _ in range(count)]

    def _hard(self) -> Item:
        number = self._count
        text = rf"Hence \boxed{{\sin^2({number}x)+\cos^2({number}x)+{number}y}}."
        return self.one(response=text, references=[f"1+{number}y"])

    def spinning(self) -> Item:
        """An item that algebra does not finish with."""
        return self.one(response=rf"\boxed{{{self._count}^{{9^{{9^{{9}}}}}}}}", references=["42"])

    def survey(self) -> list[Item]:
        """One item of every kind, to see what results look like."""
        items = [
            *self.plain(8),
            self.one(response=r"\boxed{7}", references=["8", "7", "9"]),
            self.one(response="", references=["7"]),
            self.one(response=r"\boxed{7}"),
            self.one(response=r"\boxed{7}", references=[""]),
            self.one(response=r"\boxed{7}", references=[r"\frac{"]),
            self.one(response=r"\boxed{" * 40, references=["7"]),
            self.one(response="word " * 10_000 + r"\boxed{7}", references=["7"]),
            *self.hard(2),
        ]
        unknown = self.one(response=r"\boxed{7}", references=["7"])
        unknown.verifier = "no-such-verifier"
        version = self.one(response=r"\boxed{7}", references=["7"])
        version.verifier_version = "no-such-version"
        hasty = self.hard(1)[0]
        hasty.timeout.CopyFrom(Duration(nanos=1_000_000))
        return [*items, unknown, version, hasty]
