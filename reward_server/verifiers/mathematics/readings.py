"""What a text says: the formulas that it lists, and their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from reward_server.verifiers.mathematics.balls import Ball
from reward_server.verifiers.mathematics.programs import Doubt, Program, Setting, run

Points: TypeAlias = tuple[Setting, ...]
"""Settings that read alike and differ in the values of the letters."""
Values: TypeAlias = tuple[Ball | None, ...]
"""The value of a formula at each point; None where it has none."""
Entry: TypeAlias = list[Values]
"""One thing that is listed: the values of the formulas that are said to equal it."""

_PLUS_AND_MINUS: tuple[Ball, Ball] = ((1.0, 0.0), (-1.0, 0.0))
_ORDERED = ("(", "[", "matrix")
_NOTHING_OPEN: Points = (Setting({}),)


@dataclass(frozen=True, slots=True)
class Value:
    """A formula, or several that the text says are equal."""

    sides: tuple[Program, ...]
    """The formulas, less the name that an equation or a relation gives them."""
    name: str = ""
    """That name; empty if there is none."""


@dataclass(frozen=True, slots=True)
class Group:
    """Things in brackets or in a matrix."""

    brackets: str
    """The opening and the closing one; of a matrix also the widths of its rows."""
    parts: tuple[Part, ...]
    """What is inside."""


Part: TypeAlias = Value | Group


@dataclass(frozen=True, slots=True)
class Symbols:
    """What the formulas of a text are made of."""

    letters: frozenset[str]
    """Letters whose value is not known."""
    applied: frozenset[str]
    """Those of them that may be functions."""
    doubts: frozenset[Doubt]
    """What could be read in more than one way."""
    has_pi: bool
    """Whether pi occurs."""


@dataclass(frozen=True)
class Reading:
    """One meaning of a text."""

    parts: tuple[Part, ...]
    """The things that it lists."""
    is_union: bool
    """True if union signs join them, rather than commas."""
    has_relations: bool
    """True if something is compared with what it is not equal to, as in x < 5."""
    names: frozenset[str]
    """What equations give a value to; empty for one that names nothing, as x + y = 1."""
    symbols: Symbols
    """What they are made of."""

    @cached_property
    def leaves(self) -> list[Value]:
        """What is listed, without brackets."""
        return list(leaves(self.parts))

    @property
    def has_groups(self) -> bool:
        """True if something is in brackets that list."""
        return any(isinstance(part, Group) for part in self.parts)

    @property
    def is_tuple(self) -> bool:
        """True for one list of formulas in brackets that keep the order."""
        [first, *others] = self.parts
        return (
            not others
            and isinstance(first, Group)
            and first.brackets.startswith(_ORDERED)
            and all(isinstance(part, Value) for part in first.parts)
            and len(self.leaves) > 1
            and Doubt.SIGN not in self.symbols.doubts
        )

    @cached_property
    def size(self) -> int:
        """Steps that its formulas take to compute."""
        return sum(len(side) for leaf in self.leaves for side in leaf.sides)

    @cached_property
    def constants(self) -> list[Entry] | None:
        """The values of what is listed, if nothing in it is open; else None."""
        if self.symbols.letters or self.symbols.doubts - {Doubt.SIGN}:
            return None
        return self.entries(_NOTHING_OPEN)

    def entries(self, points: Points) -> list[Entry]:
        """The values of what is listed; plus and minus make two things of one."""
        entries: list[Entry] = []
        for leaf in self.leaves:
            is_signed = any(step == ("load", Doubt.SIGN) for side in leaf.sides for step in side)
            signs = _PLUS_AND_MINUS if is_signed else _PLUS_AND_MINUS[:1]
            entries += [[_values(side, points, sign) for side in leaf.sides] for sign in signs]
        return entries


def leaves(parts: Iterable[Part]) -> Iterator[Value]:
    """What parts hold, without brackets."""
    for part in parts:
        if isinstance(part, Value):
            yield part
        else:
            yield from leaves(part.parts)


def _values(program: Program, points: Points, sign: Ball) -> Values:
    return tuple(run(program, point, sign) for point in points)
