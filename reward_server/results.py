"""What comes of an item: its result, and the work that leads there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reward_server.verifiers.base import Cause, Item, Outcome, Verdict, failed

MAX_TEXT_CHARS = 1000
"""Longest extracted answer or detail in a result."""


@dataclass(slots=True, kw_only=True)
class Result:
    """The verdict on one item."""

    id: str
    """The item's id."""
    verdict: Verdict
    """What was found."""
    verifier_version: str = ""
    """Who judged; empty: nobody."""
    elapsed_s: float = 0.0
    """Time spent on the item."""
    cached: bool = False
    """True if the verdict had been found before."""
    origin: object = None
    """The result as another server gave it, to be passed on whole; none: judged here."""


class Work(Protocol):
    """An item that is being judged."""

    @property
    def item(self) -> Item:
        """The item."""
        ...

    @property
    def future(self) -> asyncio.Future[Any]:
        """Done when `result` can be had."""
        ...

    @property
    def is_started(self) -> bool:
        """False while it waits for a worker."""
        ...

    def result(self) -> Result:
        """The result, once `future` is done."""
        ...

    def cancel(self) -> None:
        """Gives the item up."""
        ...


_CUT = failed(Outcome.TIMED_OUT, "cut by the call's deadline while being judged")
_NOT_BEGUN = failed(Outcome.UNAVAILABLE, "the call's deadline came before its turn")


def refused(
    item: Item, outcome: Outcome, detail: str, *, cause: Cause = Cause.MACHINERY, version: str = ""
) -> Result:
    """The result of an item that nobody judged."""
    return Result(
        id=item.id, verdict=failed(outcome, detail, cause=cause), verifier_version=version
    )


def cut_off(work: Work | None, item: Item) -> Result:
    """The result of an item that the call's deadline left unfinished."""
    return Result(id=item.id, verdict=_CUT if work is not None and work.is_started else _NOT_BEGUN)


def shortened(verdict: Verdict) -> Verdict:
    """The verdict with texts that can travel: not too long, and valid Unicode."""
    answer, detail = verdict.extracted_answer, verdict.detail
    short = len(answer) <= MAX_TEXT_CHARS and len(detail) <= MAX_TEXT_CHARS
    if short and answer.isascii() and detail.isascii():
        return verdict
    return replace(verdict, extracted_answer=_fitting(answer), detail=_fitting(detail))


def _fitting(text: str) -> str:
    # What workers send is not trusted: a lone surrogate would take the whole batch down.
    return text[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()
