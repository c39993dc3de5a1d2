"""Takes one item to whoever judges it: the verifier itself, the workers, or another server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from reward_server.asking import Answer, Asker, Pending
from reward_server.reference_limits import ReferencesLimit
from reward_server.results import Result, Work, refused, shortened
from reward_server.verifiers.base import (
    Cause,
    Item,
    Outcome,
    Question,
    Verdict,
    Verifier,
    failed,
)
from reward_server.verifiers.composite import Composite
from reward_server.works import CompositeWork, ForwardedWork, SingleWork, combined
from trimtab.server.logs import get_logger

_log = get_logger("reward.judge")
_TOLD_S = 0.001
"""Time inside the server from which on a result tells it; to tell microseconds takes longer."""


class Forwarder(Protocol):
    """Has items judged by the servers behind `routes`."""

    async def score(self, name: str, items: Sequence[Item], deadline_s: float) -> Sequence[Result]:
        """One result per item, in order, within `deadline_s` seconds."""
        ...


class Judge:
    """Begins the judging of items; knows nothing of calls."""

    def __init__(
        self,
        verifiers: Mapping[str, Verifier | Composite],
        asker: Asker,
        *,
        item_deadline_s: float,
        deadlines_s: Mapping[str, float],
        max_response_bytes: int,
        references_limits: Mapping[str, ReferencesLimit],
        routes: Collection[str] = (),
        forwarder: Forwarder | None = None,
    ) -> None:
        """`verifiers` in the config's order; `routes`: names that `forwarder` has judged.

        `deadlines_s`: of verifiers that have another one than `item_deadline_s`;
        `references_limits`: of those that read references.
        """
        self._verifiers = verifiers
        self._asker = asker
        self._item_deadline_s = item_deadline_s
        self._deadlines_s = deadlines_s
        self._max_response_bytes = max_response_bytes
        self._references_limits = references_limits
        self._routes = frozenset(routes if forwarder is not None else ())
        self._forwarder = forwarder
        self._names = [*verifiers, *(name for name in routes if name in self._routes)]
        self._default = self._names[0] if self._names else ""

    @property
    def default(self) -> str:
        """Who judges items that name nobody."""
        return self._default

    def route_of(self, item: Item) -> str | None:
        """The route that the item takes; None: `begin` takes it."""
        name = item.verifier or self._default
        if name not in self._routes or self._oversize(item.response):
            return None
        return name

    def begin(self, item: Item, *, prompt: bool = False) -> Result | Work:
        """The result where it takes no worker, else the work that was queued.

        `prompt`: others wait for their own results, see `Job.prompt`.
        """
        name = item.verifier or self._default
        verifier = self._verifiers.get(name)
        if name in self._routes and (problem := self._oversize(item.response)):
            return refused(item, Outcome.RESOURCE_EXHAUSTED, problem, cause=Cause.ITEM)
        if verifier is None:
            known = ", ".join(self._names)
            detail = f"no verifier is named {name[:100]!r}; known here: {known}"
            return refused(item, Outcome.VERIFIER_ERROR, detail)
        version = verifier.version
        if item.verifier_version not in (None, version):
            detail = f"{name} is at version {version}, not {item.verifier_version!r:.100}"
            return refused(item, Outcome.VERIFIER_ERROR, detail)
        if problem := self._oversize(item.response):
            return refused(
                item, Outcome.RESOURCE_EXHAUSTED, problem, cause=Cause.ITEM, version=version
            )
        if isinstance(verifier, Composite):
            return self._begin_composite(item, verifier, prompt=prompt)
        begun = self._begin_part(item, name, verifier, prompt=prompt)
        if isinstance(begun, Pending):
            return SingleWork(item, begun, version)
        return Result(
            id=item.id,
            verdict=begun.verdict,
            verifier_version=version,
            elapsed_s=begun.elapsed_s,
            cached=begun.cached,
        )

    def forward(self, name: str, items: Sequence[Item], deadline_s: float) -> list[Work]:
        """The work of having items judged behind a route, as one call."""
        assert self._forwarder is not None
        task = asyncio.ensure_future(self._forwarder.score(name, items, deadline_s))
        return [ForwardedWork(item, task, index) for index, item in enumerate(items)]

    def _begin_part(
        self, item: Item, name: str, verifier: Verifier, *, prompt: bool
    ) -> Answer | Pending:
        limit = self._references_limits.get(name)
        if limit is not None and (problem := limit.excess(item.references)):
            return Answer(failed(Outcome.INVALID_REFERENCE, problem), 0.0)
        started_s = time.perf_counter()
        found = _quick(verifier, item)
        if isinstance(found, Verdict):
            elapsed_s = time.perf_counter() - started_s
            return Answer(shortened(found), elapsed_s if elapsed_s > _TOLD_S else 0.0)
        deadline_s = self._deadlines_s.get(name, self._item_deadline_s)
        timeout_s = min(item.timeout_s or deadline_s, deadline_s)
        return self._asker.ask(
            name,
            verifier.version,
            found,
            timeout_s=timeout_s,
            hurried=timeout_s < deadline_s,
            prompt=prompt,
        )

    def _begin_composite(self, item: Item, composite: Composite, *, prompt: bool) -> Result | Work:
        answers: dict[str, Answer] = {}
        pending: dict[str, Pending] = {}
        for name in composite.part_names:
            part = self._verifiers[name]
            assert not isinstance(part, Composite)
            begun = self._begin_part(item, name, part, prompt=prompt)
            if isinstance(begun, Pending):
                pending[name] = begun
            else:
                answers[name] = begun
        if pending:
            return CompositeWork(item, composite, answers, pending)
        return combined(item, composite, answers)

    def _oversize(self, response: str) -> str:
        # Characters are at least one byte each, which spares most texts the encoding.
        if 4 * len(response) <= self._max_response_bytes:
            return ""
        size_bytes = len(response.encode())
        if size_bytes <= self._max_response_bytes:
            return ""
        return f"the response has {size_bytes} bytes; at most {self._max_response_bytes} are judged"


def _quick(verifier: Verifier, item: Item) -> Verdict | Question:
    """What the verifier finds at once; one that stumbles over an item fails that item alone."""
    try:
        return verifier.quick(item)
    except Exception as error:  # noqa: BLE001 - as at the worker's top: the error stays the item's
        _log.error("verifier raised", verifier=verifier.version, exc_info=error)
        text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        return failed(Outcome.VERIFIER_ERROR, f"the verifier raised {text}", cause=Cause.ITEM)
