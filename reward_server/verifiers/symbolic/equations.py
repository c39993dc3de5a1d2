"""Whether two equations or inequalities say the same."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr

from reward_server.verifiers.symbolic import samples
from reward_server.verifiers.symbolic.shapes import Listing, Relation, Shape, Union, Value

_FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def difference(left: Shape, right: Shape) -> Expr | None:
    """Left minus right; None where a side is no expression."""
    if isinstance(left, Value) and isinstance(right, Value):
        result: Expr = left.expr - right.expr
        return result
    return None


def same_equation(gold: Expr, found: Expr) -> bool:
    """Whether both vanish together, judged by a constant ratio once denominators are gone."""
    if gold.free_symbols != found.free_symbols:
        return False
    if not gold.free_symbols:
        return False
    if samples.proportional(gold, found) is not None:
        return True
    above = [sympy.fraction(sympy.together(side))[0] for side in (gold, found)]
    return samples.proportional(*above) is not None


def letters(relation: Relation) -> set[Any]:
    """Every letter in it."""
    return {
        letter for side in relation.sides if isinstance(side, Value)
        for letter in side.expr.free_symbols
    }  # fmt: skip


def pairs(relation: Relation) -> list[tuple[str, Shape, Shape]]:
    """The relations of a chain, written with `<`, from the smallest side to the largest."""
    pairs = [
        (operator, left, right)
        for operator, left, right in zip(
            relation.operators, relation.sides, relation.sides[1:], strict=False
        )
    ]
    if pairs and all(operator in (">", ">=") for operator, _, _ in pairs):
        return [(_FLIPPED[operator], right, left) for operator, left, right in reversed(pairs)]
    return pairs


def same_inequality(gold: tuple[str, Shape, Shape], found: tuple[str, Shape, Shape]) -> bool | None:
    """Whether both leave room on the same side of the same bound; None: hard to say."""
    if gold[0] != found[0]:
        return None
    a, b = difference(*gold[1:]), difference(*found[1:])
    if a is None or b is None:
        return gold[1:] == found[1:]
    ratio: Any = samples.proportional(a, b)
    if ratio is None:
        return None
    if gold[0] == "!=":
        return True
    return samples.is_positive(ratio)


def as_product(shape: Shape) -> Relation | None:
    """`x = 1 or x = 2` as the equation of the product; None if it is not of that form."""
    bare = isinstance(shape, Listing) and not shape.opening
    joined = isinstance(shape, Union) and shape.operator == "cup"
    if not (bare or joined) or not isinstance(shape, Listing | Union):
        return None
    product: Expr = sympy.S.One
    for part in shape.parts:
        if not isinstance(part, Relation) or part.operators != ("=",):
            return None
        factor = difference(part.sides[0], part.sides[1])
        if factor is None:
            return None
        product *= factor
    if len(product.free_symbols) != 1:
        return None
    return Relation(("=",), (Value(product), Value(sympy.S.Zero)))
