"""Takes one item to whoever judges it: the verifier itself, the workers, or another server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from reward_server.pool import Job, WorkerPool
from reward_server.verifiers.base import Cause, Item, Outcome, Verdict, Verifier, failed
from trimtab.errors import TrimtabError

MAX_TEXT_CHARS = 1000
"""Longest extracted answer or detail in a result."""


@dataclass(frozen=True, slots=True, kw_only=True)
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


class Forwarder(Protocol):
    """Has items judged by the servers behind `routes`."""

    async def score(self, name: str, items: Sequence[Item], deadline_s: float) -> Sequence[Result]:
        """One result per item, in order, within `deadline_s` seconds."""
        ...


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


class Judge:
    """Begins the judging of items; knows nothing of calls."""

    def __init__(
        self,
        verifiers: Mapping[str, Verifier],
        pool: WorkerPool,
        *,
        item_deadline_s: float,
        max_response_bytes: int,
        routes: Collection[str] = (),
        forwarder: Forwarder | None = None,
    ) -> None:
        """`routes`: the names that `forwarder` has judged elsewhere."""
        self._verifiers = verifiers
        self._pool = pool
        self._item_deadline_s = item_deadline_s
        self._max_response_bytes = max_response_bytes
        self._routes = frozenset(routes if forwarder is not None else ())
        self._forwarder = forwarder
        self._names = [*verifiers, *(name for name in routes if name in self._routes)]
        self._default = self._names[0] if self._names else ""

    def route_of(self, item: Item) -> str | None:
        """The route that the item takes; None: it is judged here."""
        name = item.verifier or self._default
        return name if name in self._routes else None

    def begin(self, item: Item) -> Result | Work:
        """The result where it takes no worker, else the work that was queued."""
        name = item.verifier or self._default
        verifier = self._verifiers.get(name)
        if verifier is None:
            known = ", ".join(self._names)
            detail = f"no verifier is named {name[:100]!r}; known here: {known}"
            return _refused(item, Outcome.VERIFIER_ERROR, detail)
        if item.verifier_version not in (None, verifier.version):
            detail = f"{name} is at version {verifier.version}, not {item.verifier_version!r:.100}"
            return _refused(item, Outcome.VERIFIER_ERROR, detail)
        if problem := self._oversize(item.response):
            refused = _refused(item, Outcome.RESOURCE_EXHAUSTED, problem, cause=Cause.ITEM)
            return replace(refused, verifier_version=verifier.version)
        started_s = time.monotonic()
        found = verifier.quick(item)
        if isinstance(found, Verdict):
            return Result(
                id=item.id,
                verdict=shortened(found),
                verifier_version=verifier.version,
                elapsed_s=time.monotonic() - started_s,
            )
        timeout_s = min(item.timeout_s or self._item_deadline_s, self._item_deadline_s)
        job = self._pool.submit(name, found, timeout_s=timeout_s)
        return _PoolWork(item, job, self._pool, verifier.version)

    def forward(self, name: str, items: Sequence[Item], deadline_s: float) -> list[Work]:
        """The work of having items judged behind a route, as one call."""
        assert self._forwarder is not None
        task = asyncio.ensure_future(self._forwarder.score(name, items, deadline_s))
        return [_ForwardedWork(item, task, index) for index, item in enumerate(items)]

    def _oversize(self, response: str) -> str:
        # Characters are at least one byte each, which spares most texts the encoding.
        if 4 * len(response) <= self._max_response_bytes:
            return ""
        size_bytes = len(response.encode())
        if size_bytes <= self._max_response_bytes:
            return ""
        return f"the response has {size_bytes} bytes; at most {self._max_response_bytes} are judged"


@dataclass(slots=True)
class _PoolWork:
    item: Item
    job: Job
    pool: WorkerPool
    version: str

    @property
    def future(self) -> asyncio.Future[Verdict]:
        return self.job.done

    @property
    def is_started(self) -> bool:
        return self.job.started_s is not None

    def result(self) -> Result:
        return Result(
            id=self.item.id,
            verdict=shortened(self.job.done.result()),
            verifier_version=self.version,
            elapsed_s=self.job.elapsed_s,
        )

    def cancel(self) -> None:
        self.pool.cancel(self.job)


@dataclass(slots=True)
class _ForwardedWork:
    item: Item
    future: asyncio.Future[Sequence[Result]]
    index: int
    is_started: bool = True

    def result(self) -> Result:
        try:
            return self.future.result()[self.index]
        except (TrimtabError, IndexError) as error:
            detail = f"the route gave no result: {error}"
            return _refused(self.item, Outcome.UNAVAILABLE, detail[:MAX_TEXT_CHARS])

    def cancel(self) -> None:
        self.future.cancel()


def cut_off(work: Work | None, item: Item) -> Result:
    """The result of an item that the call's deadline left unfinished."""
    if work is not None and work.is_started:
        return _refused(item, Outcome.TIMED_OUT, "cut by the call's deadline while being judged")
    return _refused(item, Outcome.UNAVAILABLE, "the call's deadline came before its turn")


def shortened(verdict: Verdict) -> Verdict:
    """The verdict with texts of a length fit for a reply."""
    if len(verdict.extracted_answer) <= MAX_TEXT_CHARS and len(verdict.detail) <= MAX_TEXT_CHARS:
        return verdict
    return replace(
        verdict,
        extracted_answer=verdict.extracted_answer[:MAX_TEXT_CHARS],
        detail=verdict.detail[:MAX_TEXT_CHARS],
    )


def _refused(
    item: Item, outcome: Outcome, detail: str, *, cause: Cause = Cause.MACHINERY
) -> Result:
    return Result(id=item.id, verdict=failed(outcome, detail, cause=cause))
