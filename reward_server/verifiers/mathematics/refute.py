"""Tells that two answers are different, by their values; never that they are equal.

Letters get values at a few points, and whatever can be read in several ways is tried in all of
them. Two answers are different only if they are so in every reading, at every point where both
have a value, by more than what rounding may explain, and regardless of the order of what they
list and of its brackets. The work is bounded, whatever the texts are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.balls import Ball
from reward_server.verifiers.mathematics.formulas import Odd
from reward_server.verifiers.mathematics.latex import tokens_of
from reward_server.verifiers.mathematics.programs import Doubt, Program, run
from reward_server.verifiers.mathematics.reader import Group, Part, Reading, Value, read
from reward_server.verifiers.mathematics.settings import Points, settings

_MAX_CHARS = 1000
_MAX_REMEMBERED_CHARS = 200
_MAX_COMPARISONS = 2000
_MAX_SETTINGS = 16
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d.])", re.ASCII)
_DECIMAL_COMMA = re.compile(r"([+\-]?\d+),(\d+)", re.ASCII)
_COUNTERS = frozenset("klmn")
_PLUS_AND_MINUS: tuple[Ball, Ball] = ((1.0, 0.0), (-1.0, 0.0))

Values: TypeAlias = tuple[Ball | None, ...]
"""The value of a formula at each point; None where it has none."""
Entry: TypeAlias = list[Values]
"""One thing that an answer lists: the formulas of which each is said to be its value."""


def refute(reference: str, answer: str) -> bool:
    """True only if the two are certainly not equal; False tells nothing."""
    if max(len(reference), len(answer)) > _MAX_CHARS:
        return False
    golds = _readings(reference)
    found = _readings(answer) if golds else ()
    return bool(found) and all(_differ(a, b) for a in golds for b in found)


def is_constant(text: str) -> bool:
    """True for a formula, or a list of formulas, without letters."""
    return len(text) <= _MAX_CHARS and any(not each.notes.letters for each in _readings(text))


def _readings(text: str) -> tuple[Reading, ...]:
    """What the text says under each meaning of its commas; nothing if one cannot be read."""
    return _remembered(text) if len(text) <= _MAX_REMEMBERED_CHARS else _read(text)


def _read(text: str) -> tuple[Reading, ...]:
    texts = [text]
    if "," in text:
        texts.append(_THOUSANDS.sub(lambda match: match[0].replace(",", ""), text))
        if match := _DECIMAL_COMMA.fullmatch(text.strip()):
            texts.append(f"{match[1]}.{match[2]}")
    try:
        return tuple(read(tokens_of(each) or ()) for each in dict.fromkeys(texts))
    except Odd:
        return ()


_remembered = lru_cache(maxsize=2048)(_read)


def _differ(a: Reading, b: Reading) -> bool:
    """Whether the two are different in every way to read their symbols."""
    if _is_open(a, b) or _is_open(b, a) or _are_families(a, b):
        return False
    try:
        ways = list(islice(settings(a.notes, b.notes), _MAX_SETTINGS + 1))
    except Odd:
        return False
    if len(ways) > _MAX_SETTINGS:
        return False
    if (a.is_union and _has_groups(b)) or (b.is_union and _has_groups(a)):
        return not a.notes.letters | b.notes.letters and _unions_differ(a, b, *ways[0])
    ours, theirs = _leaves(a.parts), _leaves(b.parts)
    if len(ours) * len(theirs) > _MAX_COMPARISONS:
        return False
    return all(_lists_differ(_entries(ours, one), _entries(theirs, other)) for one, other in ways)


def _is_open(a: Reading, b: Reading) -> bool:
    """True if `a` is to be solved first, or something that `b` may write in another way."""
    if a.has_relations and (b.has_relations or _has_groups(b)):
        return True
    if "" in a.names and a.notes.letters:
        # An equation of several letters has no number for a solution, but x + y = 5 may tell x + y.
        return bool(len(a.notes.letters) == 1 or b.notes.letters or b.names)
    return bool(a.names & b.notes.letters)


def _are_families(a: Reading, b: Reading) -> bool:
    """True if letters may stand for any constant, so that unlike formulas may list the same."""
    if not a.notes.letters or not b.notes.letters:
        return False
    letters = a.notes.letters | b.notes.letters
    return (
        any(letter == "C" or letter[:2] in {"C_", "c_"} for letter in letters)
        or ("e" in letters and bool(letters & {"c", "k", "K", "A", "B"}))
        or (a.notes.has_pi and b.notes.has_pi and bool(letters & _COUNTERS))
        or any(isinstance(part, Group) and len(part.parts) > 1 for part in a.parts + b.parts)
    )


def _has_groups(a: Reading) -> bool:
    return any(isinstance(part, Group) for part in a.parts)


def _leaves(parts: Iterable[Part]) -> list[Value]:
    """What is listed, without brackets."""
    leaves: list[Value] = []
    for part in parts:
        if isinstance(part, Value):
            leaves.append(part)
        else:
            leaves.extend(_leaves(part.parts))
    return leaves


def _entries(leaves: Iterable[Value], points: Points) -> list[Entry]:
    """The values of what is listed; plus and minus make two things of one."""
    entries: list[Entry] = []
    for leaf in leaves:
        is_signed = any(step == ("load", Doubt.SIGN) for side in leaf.sides for step in side)
        signs = _PLUS_AND_MINUS if is_signed else _PLUS_AND_MINUS[:1]
        entries += [[_values(side, points, sign) for side in leaf.sides] for sign in signs]
    return entries


def _values(program: Program, points: Points, sign: Ball) -> Values:
    return tuple(run(program, point, sign) for point in points)


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
        leaves = _leaves([part])
        values = [
            run(side, points[0], _PLUS_AND_MINUS[0]) for leaf in leaves for side in leaf.sides
        ]
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
