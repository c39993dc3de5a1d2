"""And, or: True, False, or None where one cannot tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def any_of(attempts: Iterable[Callable[[], bool | None]]) -> bool | None:
    """Or, in three values; `attempts` are called one after the other."""
    unsure = False
    for attempt in attempts:
        verdict = attempt()
        if verdict:
            return True
        unsure = unsure or verdict is None
    return None if unsure else False


def all_of(attempts: Iterable[Callable[[], bool | None]]) -> bool | None:
    """And, in three values."""
    unsure = False
    for attempt in attempts:
        verdict = attempt()
        if verdict is False:
            return False
        unsure = unsure or verdict is None
    return None if unsure else True
