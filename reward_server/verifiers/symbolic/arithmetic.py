"""Arithmetic on what the grammar has read: expressions and matrices."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, Integer, MatrixBase, Symbol

from reward_server.verifiers.symbolic.functions import power
from reward_server.verifiers.symbolic.shapes import Grid, Listing, Shape, Unreadable, Value


def parts_of(shape: Shape) -> tuple[Shape, ...]:
    """The parts of a bare list, or the shape alone."""
    bare = isinstance(shape, Listing) and not shape.opening
    return shape.parts if bare and isinstance(shape, Listing) else (shape,)


def as_shape(found: Any) -> Shape:
    """An expression or a matrix as a shape."""
    if isinstance(found, MatrixBase):
        return Grid(found)
    if isinstance(found, Expr):
        return Value(found)
    shape: Shape = found
    return shape


def operand(found: Any) -> Any:
    """What arithmetic can use: an expression or a matrix.

    Raises:
        Unreadable: it is neither.
    """
    if isinstance(found, Value):
        return found.expr
    if isinstance(found, Grid):
        return found.matrix
    if isinstance(found, Expr | MatrixBase):
        return found
    raise Unreadable("a list or a relation inside an expression")


def arithmetic(shape: Shape) -> Expr:
    """The expression in a shape.

    Raises:
        Unreadable: it is none.
    """
    found = operand(shape)
    if isinstance(found, MatrixBase):
        raise Unreadable("a matrix where a number is due")
    value: Expr = found
    return value


def plus(left: Any, right: Any) -> Any:
    """The sum.

    Raises:
        Unreadable: they cannot be added.
    """
    try:
        return left + right
    except (TypeError, sympy.ShapeError) as error:
        raise Unreadable("a sum of unlike things") from error


def over(above: Any, below: Any) -> Any:
    """The quotient.

    Raises:
        Unreadable: the divisor is zero or a matrix.
    """
    if isinstance(below, MatrixBase) or below == 0:
        raise Unreadable("a division that is none")
    return above / below


def raised(base: Any, exponent: Any) -> Any:
    """The power; `T` as an exponent transposes.

    Raises:
        Unreadable: it is too large, or none.
    """
    if isinstance(base, MatrixBase):
        if isinstance(exponent, Symbol) and exponent.name == "T":
            return base.T
        if not isinstance(exponent, Integer) or abs(int(exponent)) > 64:
            raise Unreadable("a power of a matrix")
        return base**exponent
    if isinstance(exponent, MatrixBase):
        raise Unreadable("a matrix as an exponent")
    return power(base, exponent)
