"""Items that are being judged: by one worker, by several for a composite, or behind a route."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reward_server.asking import Answer, Pending
from reward_server.results import MAX_TEXT_CHARS, Result, refused, shortened
from reward_server.verifiers.base import Item, Outcome, Verdict, failed
from reward_server.verifiers.composite import Composite
from trimtab.errors import TrimtabError


@dataclass(slots=True, eq=False)
class SingleWork:
    """One verifier's item, whose question is with the workers."""

    item: Item
    pending: Pending
    version: str

    @property
    def future(self) -> asyncio.Future[Answer]:
        """Gets the answer to the question."""
        return self.pending.future

    @property
    def is_started(self) -> bool:
        """False while it waits for a worker."""
        return self.pending.is_started

    def result(self) -> Result:
        """The result, once `future` is done."""
        answer = self.pending.future.result()
        return Result(
            id=self.item.id,
            verdict=answer.verdict,
            verifier_version=self.version,
            elapsed_s=answer.elapsed_s,
            cached=answer.cached,
        )

    def cancel(self) -> None:
        """Gives the item up."""
        self.pending.cancel()


class CompositeWork:
    """A composite's item, some of whose parts are with the workers."""

    def __init__(
        self,
        item: Item,
        composite: Composite,
        answers: Mapping[str, Answer],
        pending: Mapping[str, Pending],
    ) -> None:
        """`answers` of the parts that are known, and the others in `pending`, at least one."""
        self.item = item
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the last part is."""
        self._composite = composite
        self._answers = dict(answers)
        self._pending = dict(pending)
        self._unfinished_count = len(pending)
        for part in self._pending.values():
            part.future.add_done_callback(self._count)

    @property
    def is_started(self) -> bool:
        """False while every part waits for a worker."""
        return any(part.is_started for part in self._pending.values())

    def result(self) -> Result:
        """The result, once `future` is done."""
        found = {name: part.future.result() for name, part in self._pending.items()}
        return combined(self.item, self._composite, {**self._answers, **found})

    def cancel(self) -> None:
        """Gives every part up."""
        self.future.cancel()
        for part in self._pending.values():
            part.cancel()

    def _count(self, done: asyncio.Future[Answer]) -> None:
        self._unfinished_count -= 1
        if not self._unfinished_count and not done.cancelled() and not self.future.done():
            self.future.set_result(None)


def combined(item: Item, composite: Composite, answers: Mapping[str, Answer]) -> Result:
    """The result of a composite whose parts are all known."""
    verdicts: dict[str, Verdict] = {name: answer.verdict for name, answer in answers.items()}
    verdict = composite.combine(verdicts)
    if verdict.reward is not None and not math.isfinite(verdict.reward):
        verdict = failed(
            Outcome.VERIFIER_ERROR, "the weighted sum is not finite: lower the weights"
        )
    return Result(
        id=item.id,
        verdict=shortened(verdict),
        verifier_version=composite.version,
        elapsed_s=sum(answer.elapsed_s for answer in answers.values()),
        cached=any(answer.cached for answer in answers.values()),
    )


@dataclass(slots=True, eq=False)
class ForwardedWork:
    """One of several items that are judged behind a route by one call."""

    item: Item
    future: asyncio.Future[Sequence[Result]]
    index: int
    is_started: bool = True

    def result(self) -> Result:
        """The result, once `future` is done."""
        try:
            return self.future.result()[self.index]
        except (TrimtabError, IndexError) as error:
            detail = f"the route gave no result: {error}"
            return refused(self.item, Outcome.UNAVAILABLE, detail[:MAX_TEXT_CHARS])

    def cancel(self) -> None:
        """Gives up the call, and with it its other items."""
        self.future.cancel()
