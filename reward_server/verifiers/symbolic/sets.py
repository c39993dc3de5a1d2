"""Shapes as sets of real numbers, where they are such."""

from __future__ import annotations

import sympy
from sympy import Expr, FiniteSet, Interval, Set, Symbol

from reward_server.verifiers.symbolic.shapes import (
    Constant,
    Listing,
    Relation,
    Shape,
    Union,
    Value,
)

_NAMED = {
    "R": sympy.S.Reals, "Z": sympy.S.Integers, "N": sympy.S.Naturals, "empty": sympy.S.EmptySet,
    "Q": sympy.S.Rationals,
}  # fmt: skip
_SYMPY = {"<": sympy.Lt, ">": sympy.Gt, "<=": sympy.Le, ">=": sympy.Ge, "!=": sympy.Ne}
_MAX_DEGREE = 4
_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!=", "=": "="}


def as_set(shape: Shape) -> Set | None:
    """The set; None if it is none, or its ends are no constants."""
    if isinstance(shape, Constant):
        return _NAMED.get(shape.name)
    if isinstance(shape, Listing):
        return _listed(shape)
    if isinstance(shape, Union):
        return _joined(shape)
    if isinstance(shape, Relation):
        return _solved(shape)
    return None


def equal(left: Set, right: Set) -> bool | None:
    """Whether both hold the same numbers; None if sympy cannot tell."""
    if left == right:
        return True
    difference = sympy.SymmetricDifference(left, right)
    empty = difference.is_empty
    return None if empty is None else bool(empty)


def _listed(shape: Listing) -> Set | None:
    values = [_constant(part) for part in shape.parts]
    numbers = [value for value in values if value is not None]
    if len(numbers) != len(values):
        return None
    if shape.opening == "{":
        return FiniteSet(*numbers)
    if shape.opening and len(numbers) == 2:
        return Interval(*numbers, left_open=shape.opening == "(", right_open=shape.closing == ")")
    if not shape.opening:
        parts = [as_set(part) for part in shape.parts]
        return None if None in parts else sympy.Union(*parts)
    return None


def _joined(shape: Union) -> Set | None:
    parts = [as_set(part) for part in shape.parts]
    sets = [part for part in parts if part is not None]
    if len(sets) != len(parts):
        return None
    if shape.operator == "cup":
        return sympy.Union(*sets)
    if shape.operator == "cap":
        return sympy.Intersection(*sets)
    return sympy.Complement(sets[0], sets[1])


def _solved(shape: Relation) -> Set | None:
    """What a letter alone may be, as in `x > 5` and `1 < x <= 2`."""
    if shape.operators == ("in",):
        return as_set(shape.sides[1])
    letters = [side for side in shape.sides if _letter(side)]
    if len(letters) != 1 or "~" in shape.operators or "in" in shape.operators:
        return None
    middle = shape.sides.index(letters[0])
    if len(shape.sides) == 3 and middle != 1:
        return None
    result: Set = sympy.S.Reals
    for index, operator in enumerate(shape.operators):
        left, right = shape.sides[index], shape.sides[index + 1]
        bound = _constant(right if left is letters[0] else left)
        if bound is None:
            return None
        result = sympy.Intersection(
            result, _half(operator if left is letters[0] else _FLIPPED[operator], bound)
        )
    return result


def _half(operator: str, bound: Expr) -> Set:
    infinity = sympy.S.Infinity
    if operator == "=":
        return FiniteSet(bound)
    if operator == "!=":
        return sympy.Complement(sympy.S.Reals, FiniteSet(bound))
    if operator.startswith("<"):
        return Interval(-infinity, bound, True, operator == "<")
    return Interval(bound, infinity, operator == ">", True)


def _letter(shape: Shape) -> bool:
    return isinstance(shape, Value) and isinstance(shape.expr, Symbol)


def _constant(shape: Shape) -> Expr | None:
    if not isinstance(shape, Value) or shape.expr.free_symbols:
        return None
    return shape.expr if shape.expr.is_extended_real else None


def same_solutions(left: Relation, right: Relation) -> bool | None:
    """Whether two inequalities in one letter have the same solutions; None if it is hard to say."""
    solutions = [_solutions(relation) for relation in (left, right)]
    if None in solutions:
        return None
    return equal(*solutions)


def _solutions(relation: Relation) -> Set | None:
    sides = [side.expr for side in relation.sides if isinstance(side, Value)]
    letters = {letter for side in sides for letter in side.free_symbols}
    if len(sides) != 2 or len(letters) != 1 or relation.operators[0] not in _SYMPY:
        return None
    [letter] = letters
    difference = (sides[0] - sides[1]).expand()
    degree = sympy.degree(difference, letter) if difference.is_polynomial(letter) else None
    absolute = difference.replace(sympy.Abs, lambda inside: inside).is_polynomial(letter)
    if not (degree is not None and degree <= _MAX_DEGREE) and not (
        absolute and len(difference.atoms(sympy.Abs)) == 1
    ):
        return None
    real = sympy.Symbol("x", real=True)
    try:
        condition = _SYMPY[relation.operators[0]](difference.subs(letter, real), 0)
        return sympy.solveset(condition, real, sympy.S.Reals)
    except (NotImplementedError, TypeError, ValueError):
        return None
