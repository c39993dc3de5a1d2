"""Tells that two answers are different, by their values; never that they are equal.

Letters get values at a few points, and whatever can be read in several ways is tried in all of
them. Two answers are different only if they are so in every reading, at every point where both
have a value, by more than what rounding may explain, and regardless of the order of what they
list and of its brackets. The work is bounded, whatever the texts are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.balls import Ball
from reward_server.verifiers.mathematics.formulas import Odd
from reward_server.verifiers.mathematics.programs import run
from reward_server.verifiers.mathematics.readings import (
    Entry,
    Group,
    Part,
    Points,
    Reading,
    Values,
    leaves,
)
from reward_server.verifiers.mathematics.settings import settings

_MAX_COMPARISONS = 2000
_MAX_STEPS = 20_000
_COUNTERS = frozenset("klmn")


def refute(golds: Sequence[Reading], found: Sequence[Reading]) -> bool:
    """True only if two answers are certainly not equal, whichever readings are meant."""
    steps = _MAX_STEPS // max(len(golds) * len(found), 1)
    return bool(golds and found) and all(_differ(a, b, steps) for a in golds for b in found)


def _differ(a: Reading, b: Reading, max_steps: int) -> bool:
    """Whether the two are different in every way to read their symbols."""
    if len(a.leaves) * len(b.leaves) > _MAX_COMPARISONS or _is_open(a, b) or _is_open(b, a):
        return False
    is_union = a.is_union or b.is_union
    if not is_union and a.constants is not None and b.constants is not None:
        return _entries_of_differ(a, b, a.constants, b.constants)
    if _are_families(a, b):
        return False
    try:
        ways = settings(a.symbols, b.symbols)
    except Odd:
        return False
    if sum(len(points) for points, _ in ways) * (a.size + b.size) > max_steps:
        return False
    if is_union and a.has_groups and b.has_groups:
        is_plain = len(ways) == 1 and not a.symbols.letters and not b.symbols.letters
        return is_plain and _unions_differ(a, b, *ways[0])
    return all(_entries_of_differ(a, b, a.entries(one), b.entries(other)) for one, other in ways)


def _entries_of_differ(
    a: Reading, b: Reading, ours: Sequence[Entry], theirs: Sequence[Entry]
) -> bool:
    """Whether one lists what the other does not, or both are tuples that differ at some place."""
    if _lists_differ(ours, theirs):
        return True
    if not (a.is_tuple and b.is_tuple and len(ours) == len(theirs)):
        return False
    return any(_entries_differ(x, y) for x, y in zip(ours, theirs, strict=True))


def _is_open(a: Reading, b: Reading) -> bool:
    """True if `a` is to be solved first, or something that `b` may write in another way."""
    if a.has_relations and (b.has_relations or b.has_groups):
        return True
    if "i" in a.symbols.letters and b.has_groups:
        return True  # 2i + 3j and 2 + 3i may be the point (2, 3)
    if "" in a.names and a.symbols.letters:
        # An equation of several letters has no number for a solution, but x + y = 5 may tell x + y.
        return bool(len(a.symbols.letters) == 1 or b.symbols.letters or b.names)
    return bool(a.names & b.symbols.letters)


def _are_families(a: Reading, b: Reading) -> bool:
    """True if letters may stand for any constant, so that unlike formulas may list the same."""
    if not a.symbols.letters or not b.symbols.letters:
        return False
    letters = a.symbols.letters | b.symbols.letters
    return (
        any(letter == "C" or letter[:2] in {"C_", "c_"} for letter in letters)
        or ("e" in letters and bool(letters & {"c", "k", "K", "A", "B"}))
        or (a.symbols.has_pi and b.symbols.has_pi and bool(letters & _COUNTERS))
        or any(isinstance(part, Group) and len(part.parts) > 1 for part in a.parts + b.parts)
    )


def _lists_differ(ours: Sequence[Entry], theirs: Sequence[Entry]) -> bool:
    """Whether one lists something that equals nothing in the other."""
    return any(all(_entries_differ(a, b) for b in theirs) for a in ours) or any(
        all(_entries_differ(a, b) for a in ours) for b in theirs
    )


def _entries_differ(a: Entry, b: Entry) -> bool:
    return all(_values_differ(x, y) for x in a for y in b)


def _values_differ(a: Values, b: Values) -> bool:
    known = [(x, y) for x, y in zip(a, b, strict=True) if x is not None and y is not None]
    return bool(known) and all(balls.differ(x, y) for x, y in known)


def _unions_differ(a: Reading, b: Reading, ours: Points, theirs: Points) -> bool:
    """Whether two unions of intervals have different ends, once those that touch are joined."""
    ends, other_ends = _joined(a.parts, ours), _joined(b.parts, theirs)
    if ends is None or other_ends is None:
        return False
    return _lists_differ([[(end,)] for end in ends], [[(end,)] for end in other_ends])


def _joined(parts: Iterable[Part], points: Points) -> list[Ball] | None:
    """The ends of a union of intervals and finite sets; None if it is something else."""
    pieces: list[tuple[Ball, Ball]] = []
    for part in parts:
        values = [run(side, points[0]) for leaf in leaves([part]) for side in leaf.sides]
        known = [value for value in values if value is not None and isinstance(value[0], float)]
        if not isinstance(part, Group) or len(known) != len(values):
            return None
        if part.brackets == r"\{\}":
            pieces.extend((value, value) for value in known)
        elif len(known) == 2:
            pieces.append((known[0], known[1]))
        else:
            return None
    joined: list[tuple[Ball, Ball]] = []
    for low, high in sorted(pieces, key=lambda piece: piece[0][0].real):
        if joined and not (
            balls.differ(low, joined[-1][1]) and low[0].real > joined[-1][1][0].real
        ):
            joined[-1] = (joined[-1][0], max(joined[-1][1], high, key=lambda end: end[0].real))
        else:
            joined.append((low, high))
    return [end for piece in joined for end in piece]
