"""When questions are kept away from workers, and for how long."""

from __future__ import annotations

from reward_server.quarantine import Quarantine


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def quarantine(clock: Clock, *, max_entries: int = 10) -> Quarantine:
    return Quarantine(after_kills=2, max_entries=max_entries, ttl_s=60, clock=clock)


def test_a_question_is_held_from_its_last_allowed_worker_on() -> None:
    held = quarantine(Clock())
    held.add(b"1", 1)
    assert (held.kills(b"1"), len(held)) == (0, 0)
    held.add(b"1", 1)
    assert (held.kills(b"1"), len(held)) == (2, 1)
    assert held.kills(b"2") == 0


def test_two_workers_at_once_are_enough() -> None:
    held = quarantine(Clock())
    held.add(b"1", 2)
    assert held.kills(b"1") == 2


def test_a_question_is_free_after_its_time() -> None:
    clock = Clock()
    held = quarantine(clock)
    held.add(b"1", 2)
    clock.now_s += 61
    assert (held.kills(b"1"), len(held)) == (0, 0)
    held.add(b"1", 1)
    assert held.kills(b"1") == 0


def test_each_worker_renews_the_time() -> None:
    clock = Clock()
    held = quarantine(clock)
    held.add(b"1", 1)
    clock.now_s += 50
    held.add(b"1", 1)
    clock.now_s += 50
    assert held.kills(b"1") == 2


def test_the_oldest_makes_room() -> None:
    held = quarantine(Clock(), max_entries=2)
    for key in (b"1", b"2", b"3"):
        held.add(key, 2)
    assert [held.kills(key) for key in (b"1", b"2", b"3")] == [0, 2, 2]
    assert len(held) == 2


def test_with_no_room_nothing_is_held() -> None:
    held = quarantine(Clock(), max_entries=0)
    held.add(b"1", 2)
    assert (held.kills(b"1"), len(held)) == (0, 0)
