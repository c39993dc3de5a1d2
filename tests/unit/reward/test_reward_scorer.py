"""Routes and remembered requests, which one server alone does not show on the wire."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reward_server import batches
from reward_server.asking import Asker
from reward_server.batches import RecentBatches
from reward_server.cache import VerdictCache
from reward_server.judging import Judge
from reward_server.pool import WorkerPool
from reward_server.pools import Pools
from reward_server.processes import Nursery
from reward_server.quarantine import Quarantine
from reward_server.reference_limits import ReferencesLimit
from reward_server.results import Result
from reward_server.sandbox.jacket import Jacket
from reward_server.scorer import Scorer, answer_within_s
from reward_server.verifiers import build_verifiers
from reward_server.verifiers.base import Item, Outcome, judged
from trimtab.errors import Reason, ServiceError

NUMERIC = {
    "type": "numeric",
    "extract": "last_number",
    "absolute_tolerance": 0.0,
    "relative_tolerance": 0.0,
}


class Elsewhere:
    """A server behind a route that finds everything correct, or cannot be reached."""

    def __init__(self, *, reachable: bool) -> None:
        self.calls: list[tuple[str, int]] = []
        self._reachable = reachable

    async def score(self, name: str, items: Sequence[Item], deadline_s: float) -> list[Result]:
        self.calls.append((name, len(items)))
        assert 0 < deadline_s <= 10
        if not self._reachable:
            raise ServiceError(Reason.PEER_UNAVAILABLE, "nobody answers")
        return [Result(id=item.id, verdict=judged(Outcome.CORRECT)) for item in items]


def scorer_with(forwarder: Elsewhere) -> Scorer:
    workers = WorkerPool(
        Nursery(entry="reward_server.worker", settings={}, jacket=Jacket(memory_bytes=1 << 30)),
        workers=0,
        slow_workers=0,
        max_items=1,
    )
    pool = Pools(workers, None)
    judge = Judge(
        build_verifiers({"numeric": NUMERIC}),
        Asker(
            pool,
            VerdictCache(max_entries=100, max_bytes=100_000),
            Quarantine(after_kills=2, max_entries=10, ttl_s=60),
        ),
        item_deadline_s=1.0,
        deadlines_s={},
        max_response_bytes=1000,
        references_limits={"numeric": ReferencesLimit(2, 100, "max_references_bytes")},
        routes=["style"],
        forwarder=forwarder,
    )
    return Scorer(judge, pool, max_items=100, max_waiting_items=100, on_results=lambda *_: None)


def routed_items() -> list[Item]:
    return [
        Item(id="a", verifier="style"),
        Item(id="b", verifier="numeric", response="7", references=("8",)),
        Item(id="c", verifier="style"),
    ]


async def test_routed_items_travel_together_and_come_back_in_their_places() -> None:
    elsewhere = Elsewhere(reachable=True)
    results = await scorer_with(elsewhere).score(
        routed_items(), request_id="", fingerprint=b"", remaining_s=10
    )
    assert elsewhere.calls == [("style", 2)]
    assert [(result.id, result.verdict.outcome) for result in results] == [
        ("a", Outcome.CORRECT),
        ("b", Outcome.INCORRECT),
        ("c", Outcome.CORRECT),
    ]


async def test_no_long_response_takes_a_route() -> None:
    forwarder = Elsewhere(reachable=True)
    items = [Item(id="a", verifier="style", response="x" * 1001), Item(id="b", verifier="style")]
    results = await scorer_with(forwarder).score(
        items, request_id="", fingerprint=b"", remaining_s=10
    )
    outcomes = [result.verdict.outcome for result in results]
    assert outcomes == [Outcome.RESOURCE_EXHAUSTED, Outcome.CORRECT]
    assert forwarder.calls == [("style", 1)]


@pytest.mark.parametrize(
    ("references", "words"),
    [(("8",) * 3, "raise max_references"), (("8" * 60, "7" * 41), "raise max_references_bytes")],
)
async def test_too_much_to_read_is_no_reference(references: tuple[str, ...], words: str) -> None:
    large = Item(id="a", verifier="numeric", response="8", references=references)
    small = Item(id="b", verifier="numeric", response="8", references=("8",))
    results = await scorer_with(Elsewhere(reachable=True)).score(
        [large, small], request_id="", fingerprint=b"", remaining_s=10
    )
    outcomes = [result.verdict.outcome for result in results]
    assert outcomes == [Outcome.INVALID_REFERENCE, Outcome.CORRECT]
    assert words in results[0].verdict.detail


async def test_a_route_that_fails_leaves_only_its_items_without_a_verdict() -> None:
    elsewhere = Elsewhere(reachable=False)
    scorer = scorer_with(elsewhere)
    for _ in range(2):
        results = await scorer.score(
            routed_items(), request_id="r", fingerprint=b"1", remaining_s=10
        )
        assert [result.verdict.outcome for result in results] == [
            Outcome.UNAVAILABLE,
            Outcome.INCORRECT,
            Outcome.UNAVAILABLE,
        ]
    # A repeat tries again what was unavailable, and only that.
    assert elsewhere.calls == [("style", 2), ("style", 2)]


def test_the_oldest_requests_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "MAX_BATCHES", 2)
    recent = RecentBatches()
    first = recent.join("1", b"", [])
    recent.leave(first)
    waited_for = recent.join("2", b"", [])
    recent.leave(recent.join("3", b"", []))
    assert recent.join("2", b"", []) is waited_for
    assert recent.join("1", b"", []) is not first


def test_the_margin_before_the_deadline_is_a_share_but_never_too_small() -> None:
    assert answer_within_s(10.0, 0) == 9.5
    assert answer_within_s(0.1, 0) == 0.08
    assert answer_within_s(0.01, 0) == 0.0
    assert answer_within_s(10.0, 10_000) < answer_within_s(10.0, 0)
    assert answer_within_s(10.0, 10_000_000) == 4.5, "half of the time is for work in any case"
