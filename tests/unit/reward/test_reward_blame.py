"""Who is to blame for workers that die."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from reward_server.blame import MAX_DEATHS, Deaths
from reward_server.verifiers.base import Cause, Outcome, Verdict

KILLED = -signal.SIGKILL


def after(*statuses: int | None, kernel_kills: Iterator[int | None]) -> tuple[Verdict, int]:
    """The verdict, which only the last of the deaths brings, and the deaths of the item's doing."""
    deaths = Deaths(lambda: next(kernel_kills))
    for status in statuses[:-1]:
        assert deaths.add("gone", status) is None
    verdict = deaths.add("gone", statuses[-1])
    assert verdict is not None
    return verdict, deaths.own_count


def steady(count: int | None) -> Iterator[int | None]:
    while True:
        yield count


def test_two_crashes_are_the_items_doing() -> None:
    verdict, own_count = after(-signal.SIGSEGV, 1, kernel_kills=steady(0))
    assert (verdict.outcome, verdict.cause) == (Outcome.VERIFIER_ERROR, Cause.ITEM)
    assert own_count == 2


def test_two_senseless_replies_are_the_items_doing() -> None:
    verdict, _ = after(None, None, kernel_kills=steady(0))
    assert (verdict.outcome, verdict.cause) == (Outcome.VERIFIER_ERROR, Cause.ITEM)


def test_the_limit_on_processor_time_is_the_items_doing() -> None:
    verdict, _ = after(-signal.SIGXCPU, -signal.SIGXCPU, kernel_kills=steady(0))
    assert (verdict.outcome, verdict.cause) == (Outcome.RESOURCE_EXHAUSTED, Cause.ITEM)


def test_kills_from_outside_are_not() -> None:
    for count in (0, 7, None):
        verdict, own_count = after(*[KILLED] * MAX_DEATHS, kernel_kills=steady(count))
        assert (verdict.outcome, verdict.cause) == (Outcome.UNAVAILABLE, Cause.MACHINERY)
        assert own_count == 0


def test_a_kill_that_the_kernel_counts_is_for_want_of_memory() -> None:
    verdict, own_count = after(KILLED, KILLED, kernel_kills=iter([3, 4]))
    assert (verdict.outcome, verdict.cause) == (Outcome.RESOURCE_EXHAUSTED, Cause.ITEM)
    assert own_count == 2


def test_crashes_and_kills_are_counted_apart() -> None:
    statuses = [KILLED, -signal.SIGABRT, KILLED, -signal.SIGABRT]
    verdict, own_count = after(*statuses, kernel_kills=steady(0))
    assert (verdict.outcome, own_count) == (Outcome.VERIFIER_ERROR, 2)
