"""What stands before an equal sign only to name the value behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy
from sympy import Rational, Symbol
from sympy.core.function import AppliedUndef

from reward_server.verifiers.symbolic import samples
from reward_server.verifiers.symbolic.shapes import Listing, Relation, Shape, Value

_NEAR = Rational(1, 50)


def is_name(shape: Shape) -> bool:
    """A letter, or a function of something."""
    if not isinstance(shape, Value):
        return False
    return isinstance(shape.expr, Symbol | AppliedUndef)


def is_label(shape: Shape) -> bool:
    """A name, or letters alone, as in `AB = 4`, `a/b = 2` and `(p, q) = (1, 2)`."""
    if isinstance(shape, Listing):
        return all(map(is_name, shape.parts))
    if not isinstance(shape, Value):
        return False
    return is_name(shape) or (
        isinstance(shape.expr, sympy.Mul | sympy.Pow | sympy.Function)
        and all(number == -1 for number in shape.expr.atoms(sympy.Number))
    )


def is_constant(shape: Shape) -> bool:
    """A number; `f(3)` is a name for one."""
    if not isinstance(shape, Value) or shape.expr.free_symbols:
        return False
    return not shape.expr.has(AppliedUndef)


def are_named(parts: Sequence[Shape]) -> bool:
    """Whether all parts are of the form `x = ...`."""
    return all(
        isinstance(part, Relation) and set(part.operators) == {"="}
        and (is_label(part.sides[0]) or part.names_function)
        for part in parts
    )  # fmt: skip


def behind(part: Shape) -> Shape:
    """What stands behind the equal sign."""
    return part.sides[-1] if isinstance(part, Relation) else part


def distinct_names(gold: Listing, found: Listing) -> bool:
    """Whether exactly one of the lists names its parts, each by a letter of its own."""
    named = [one for one in (gold, found) if are_named(one.parts)]
    if len(named) != 1:
        return False
    names = [part.sides[0] for part in named[0].parts if isinstance(part, Relation)]
    return len(set(names)) == len(names)


def unrolled(shape: Shape) -> Shape:
    """`n = 2, 3, 4` as one relation; long chains of equal signs by their ends."""
    if isinstance(shape, Listing) and not shape.opening and len(shape.parts) > 1:
        first, *others = shape.parts
        if (
            isinstance(first, Relation)
            and first.operators == ("=",)
            and is_name(first.sides[0])
            and not any(isinstance(part, Relation) for part in others)
        ):
            values = Listing("", "", (first.sides[1], *others))
            return Relation(("=",), (first.sides[0], values), first.names_function)
    return shape


def around_approx(relation: Relation) -> list[Shape]:
    """The last side before the sign of approximate equality, and the last after it."""
    cut = relation.operators.index("~")
    left: Shape = relation.sides[cut]
    if cut:
        left = Relation(relation.operators[:cut], relation.sides[: cut + 1])
    right = relation.sides[-1]
    return [right] if is_name(left) else [left, right]


def near(sides: Sequence[Shape]) -> bool:
    """False where the sides are constants that differ by more than rounding can do."""
    values = _constants(sides)
    if values is None:
        return True
    a, b = values
    return bool(abs(a - b) <= samples.number(_NEAR) * max(abs(a), abs(b)))


def rounds(sides: Sequence[Shape]) -> bool:
    """Whether the last side may be the first, cut to so many digits.

    Only of plain numbers: of a formula, a slip in its decimal writing says nothing.
    """
    values = _constants(sides)
    first, last = behind(sides[0]), behind(sides[-1])
    plain = isinstance(first, Value) and (first.expr.is_Integer or first.quantum is not None)
    if values is None or not plain:
        return True
    quantum = last.quantum if isinstance(last, Value) else None
    return bool(abs(values[0] - values[1]) < samples.number(quantum or Rational(1)))


def _constants(sides: Sequence[Shape]) -> tuple[Any, Any] | None:
    """Both sides as numbers; None if there is one only, or one that is none."""
    ends = [side for side in map(behind, sides) if isinstance(side, Value)]
    values = [samples.number(side.expr) for side in ends if is_constant(side)]
    return (values[0], values[1]) if len(values) == 2 and None not in values else None
