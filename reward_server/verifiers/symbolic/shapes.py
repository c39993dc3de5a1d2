"""What an answer can be, once it is read."""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, MatrixBase, Rational, Symbol

DEGREE = Symbol("degree")
"""The degree sign; a trigonometric function turns it into radians."""
PERCENT = Symbol("percent")
"""The percent sign."""
DOTS = Symbol("dots")
"""What is left out of a list."""


class Unreadable(ValueError):
    """The text is beyond this grammar, which does not mean that it is wrong."""


@dataclass(frozen=True, slots=True)
class Value:
    """A number or an expression."""

    expr: Expr
    quantum: Rational | None = None
    """The worth of the last digit, where it is written as a decimal."""
    digits: int = 0
    """Significant digits of a decimal."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A matrix or a vector."""

    matrix: MatrixBase


@dataclass(frozen=True, slots=True)
class Listing:
    """Several parts between delimiters: a tuple, an interval, a set, or a bare list."""

    opening: str
    """`(`, `[`, `{`, or nothing for a bare list."""
    closing: str
    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    """`1:2:3`."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """`a < b <= c`."""

    operators: tuple[str, ...]
    """One of `= < > <= >= != in` between each two sides."""
    sides: tuple[Shape, ...]
    names_function: bool = False
    """True for `f(x) = ...`."""


@dataclass(frozen=True, slots=True)
class Union:
    """Sets joined by `cup`, `cap` or `setminus`."""

    operator: str
    parts: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Constant:
    """A named set, as the reals or the empty set."""

    name: str


@dataclass(frozen=True, slots=True)
class Cases:
    """The rows of a system, or of a function that is defined piece by piece."""

    rows: tuple[Shape, ...]


Shape = Value | Grid | Listing | Ratio | Relation | Union | Constant | Cases
