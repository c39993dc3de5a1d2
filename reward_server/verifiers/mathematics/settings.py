"""What letters and doubtful signs may mean: every way to read two formulas together."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from itertools import islice, permutations, product
from typing import TypeAlias

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.balls import Ball
from reward_server.verifiers.mathematics.formulas import Odd
from reward_server.verifiers.mathematics.programs import Doubt, Setting
from reward_server.verifiers.mathematics.readings import Points, Symbols

_Values: TypeAlias = dict[str, Ball]

_MAX_RENAMED = 2
_MAX_WAYS = 16
_ONE: Ball = (1.0, 0.0)
_CONSTANTS: Mapping[str, Ball] = {
    "e": balls.exponential(_ONE),
    "i": (1j, 0.0),
    "I": (1j, 0.0),
}
_FACTORS: Mapping[Doubt, tuple[Ball, ...]] = {
    Doubt.PERCENT: (_ONE, balls.rounded(0.01, 0.0)),
    Doubt.DEGREE: (_ONE, balls.rounded(math.pi / 180, 0.0)),
    Doubt.LOGARITHM: (_ONE, balls.rounded(1 / math.log(10), 0.0)),
}
# Counts suit n and k, small fractions suit probabilities; both ways of ordering suit differences.
_ROWS = (
    (23.0, 29.0, 19.0, 31.0, 26.0, 17.0, 34.0, 13.0),
    (0.8713, 0.6241, 0.4567, 0.3389, 0.2771, 0.1933, 0.1187, 0.0829),
    (21.0, 16.0, 27.0, 15.0, 22.0, 12.0, 28.0, 18.0),
)
_UNITS = (1.0,) * len(_ROWS[0])  # a letter behind a number may be a unit
_UNIT_LETTERS = frozenset("ACFJKLNVWdghlms")


@lru_cache(maxsize=512)
def settings(ours: Symbols, theirs: Symbols) -> list[tuple[Points, Points]]:
    """Each way to read the two, as what the first and what the second means at every point.

    Raises:
        Odd: the ways or the letters are too many, or letters could be units of one quantity.
    """
    ways = list(islice(_ways(ours, theirs), _MAX_WAYS + 1))
    if len(ways) > _MAX_WAYS:
        raise Odd
    return ways


def _ways(ours: Symbols, theirs: Symbols) -> Iterator[tuple[Points, Points]]:
    doubts, letters = ours.doubts | theirs.doubts, ours.letters | theirs.letters
    applied = ours.applied | theirs.applied
    readings = [
        (mixed, functions)
        for mixed in ((True, False) if Doubt.MIXED in doubts else (True,))
        for functions in ((frozenset[str](), applied) if applied else (applied,))
    ]
    for fixed in _constants(letters):
        pairs = list(_assignments(ours.letters - fixed.keys(), theirs.letters - fixed.keys()))
        for factors in _factors(doubts):
            for (mixed, functions), (one, other) in product(readings, pairs):
                yield (
                    tuple(Setting(fixed | factors | at, mixed, functions, bool(at)) for at in one),
                    tuple(
                        Setting(fixed | factors | at, mixed, functions, bool(at)) for at in other
                    ),
                )


def _factors(doubts: Collection[Doubt]) -> Iterator[_Values]:
    """The doubts that are factors, with each choice of their values."""
    present = [doubt for doubt in _FACTORS if doubt in doubts]
    for chosen in product(*(_FACTORS[doubt] for doubt in present)):
        yield dict(zip(present, chosen, strict=True))


def _constants(letters: Collection[str]) -> Iterator[_Values]:
    """The letters e, i and I as the constants that they mostly are, and as any other letters."""
    present = [letter for letter in _CONSTANTS if letter in letters]
    for chosen in product((True, False), repeat=len(present)):
        yield {
            letter: _CONSTANTS[letter]
            for letter, is_constant in zip(present, chosen, strict=True)
            if is_constant
        }


def _assignments(
    ours: frozenset[str], theirs: frozenset[str]
) -> Iterator[tuple[list[_Values], list[_Values]]]:
    """Values of the letters at each point, for each way to match letters that are not shared."""
    letters = sorted(ours | theirs)
    mine, others = sorted(ours - theirs), sorted(theirs - ours)
    if not letters:
        yield [{}], [{}]
        return
    is_renamed = len(mine) == len(others) > 0
    if (
        len(letters) > len(_UNITS)
        or (is_renamed and len(mine) > _MAX_RENAMED)
        or _are_units(ours, theirs)
    ):
        raise Odd
    rows = _ROWS if ours and theirs else (*_ROWS, _UNITS)
    points: list[_Values] = [
        {letter: (value, _error(value)) for letter, value in zip(letters, row, strict=False)}
        for row in rows
    ]
    if not is_renamed:
        yield points, points
        return
    for order in permutations(mine):
        pairs = list(zip(others, order, strict=True))
        yield points, [point | {name: point[same] for name, same in pairs} for point in points]


def _are_units(ours: frozenset[str], theirs: frozenset[str]) -> bool:
    """True for letters like those of "2h" beside "120m" or "120"."""
    alone = len(ours) <= 1 and len(theirs) <= 1 and ours != theirs
    return alone and ours | theirs <= _UNIT_LETTERS


def _error(value: float) -> float:
    return 0.0 if value.is_integer() else math.ulp(value)
