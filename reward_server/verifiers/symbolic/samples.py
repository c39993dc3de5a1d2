"""Whether two expressions are equal, by their values to many digits at fixed points.

Two expressions are taken as equal if their values agree to 60 digits at every point where both
are real; where they never are, at every point of the complex plane that is tried. So roots and
logarithms of positive letters obey the usual laws, while sqrt(x^2) and x differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import mpmath
import sympy
from sympy import Expr, Integer, Pow, Rational, Symbol
from sympy.core.function import AppliedUndef

from reward_server.verifiers.symbolic.functions import is_opaque

DIGITS = 80
_CLOSE = mpmath.mpf(10) ** -60
_WORKING_DIGITS = 1500
_MIN_POINTS = 2
_POINTS: Sequence[Sequence[Rational]] = tuple(
    tuple(Rational(value) for value in row.split())
    for row in (
        "7/11 17/13 5/7 23/19 3/11 29/17 13/31 41/37",
        "19/7 31/11 43/13 11/5 37/17 29/9 53/23 47/15",
        "-8/13 21/17 -5/3 9/7 -17/11 4/9 -23/29 35/33",
        "-15/11 -7/9 -29/13 -2/7 -31/17 -13/10 -5/8 -43/31",
        "3/23 -37/9 55/16 -1/12 71/19 -6/35 8/3 -61/27",
        "1/29 2/37 3/41 1/17 5/97 2/31 4/61 3/53",
    )
)  # fmt: skip
_WHOLE_POINTS: Sequence[Sequence[Rational]] = tuple(
    tuple(Integer(int(value)) for value in row.split())
    for row in ("3 5 2 7 4 6 9 8", "4 7 6 3 8 5 2 9", "7 2 9 4 5 8 3 6", "2 6 5 9 7 3 8 4")
)
_COUNTERS = frozenset("nmkjlpqN")


def same(left: Expr, right: Expr) -> bool | None:
    """Whether both have equal values; None where no value can be found."""
    if left == right:
        return True
    if left.is_Rational and right.is_Rational:
        return False
    verdict = _sampled(left, right)
    # An integral may well be worth what a formula without one is worth.
    return None if verdict is False and (is_opaque(left) or is_opaque(right)) else verdict


def _sampled(left: Expr, right: Expr) -> bool | None:
    left, right = _plain_functions(left), _plain_functions(right)
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    if not symbols:
        pair = _value(left), _value(right)
        if None in pair or not close(*pair):
            return None if None in pair else False
        # e^9999 and e^9999 + 1 agree to many digits.
        return _value(left - right) in (0, None)
    return _agree(left, right, symbols)


def proportional(left: Expr, right: Expr) -> Any:
    """The constant `left / right` as a number; None if it is none, or 0 or unknown."""
    left, right = _plain_functions(left), _plain_functions(right)
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    ratios = []
    for values in _points(symbols, _POINTS[:5]):
        above, below = _value(left, values), _value(right, values)
        if above is None or below is None or _is_noise(below) or _is_noise(above):
            continue
        with mpmath.workdps(DIGITS):
            ratios.append(above / below)
    if len(ratios) < _MIN_POINTS or not all(close(ratio, ratios[0]) for ratio in ratios[1:]):
        return None
    return ratios[0]


def number(expr: Expr) -> Any:
    """The value of a constant expression; None if it has none that is finite."""
    return None if expr.free_symbols else _value(expr)


def close(left: Any, right: Any) -> bool:
    """Whether two values agree to 60 digits."""
    with mpmath.workdps(DIGITS):
        scale = max(abs(left), abs(right))
        return bool(abs(left - right) <= scale * _CLOSE)


def is_positive(value: Any) -> bool:
    """Whether a value is real and above 0."""
    return isinstance(value, mpmath.mpf) and bool(value > 0)


def _agree(left: Expr, right: Expr, symbols: Sequence[Symbol]) -> bool | None:
    complex_pairs: list[tuple[Any, Any]] = []
    counters = [symbol for symbol in symbols if symbol.name in _COUNTERS]
    for points in (_POINTS, _WHOLE_POINTS if counters else ()):
        real = 0
        for values in _points(symbols, points, whole=counters):
            pair = _value(left, values), _value(right, values)
            if None in pair:
                continue
            if not all(isinstance(value, mpmath.mpf) for value in pair):
                complex_pairs.append(pair)
                continue
            if close(*pair):
                real += 1
            elif _is_at_home(left, values) and _is_at_home(right, values):
                return False
        if real >= _MIN_POINTS:
            return True
    if len(complex_pairs) < _MIN_POINTS:
        return None
    return all(close(*pair) for pair in complex_pairs)


def _is_at_home(expr: Expr, values: dict[Symbol, Rational]) -> bool:
    """Whether every root and logarithm in it is taken of something that is not negative."""
    arguments = [part.args[0] for part in expr.atoms(sympy.log)]
    arguments += [part.base for part in expr.atoms(Pow) if not part.exp.is_Integer]
    found = [_value(argument, values) for argument in arguments if argument.free_symbols]
    return all(isinstance(value, mpmath.mpf) and value >= 0 for value in found)


def _points(
    symbols: Sequence[Symbol],
    points: Sequence[Sequence[Rational]],
    whole: Sequence[Symbol] = (),
) -> Iterator[dict[Symbol, Rational]]:
    integral = points is _WHOLE_POINTS
    for number_, row in enumerate(points):
        others = _POINTS[number_ % len(_POINTS)] if integral else row
        yield {
            symbol: (row if not integral or symbol in whole else others)[index % len(row)]
            + index // len(row)
            for index, symbol in enumerate(symbols)
        }


def _value(expr: Expr, values: dict[Symbol, Rational] | None = None) -> Any:
    """The value as mpf or mpc; None if it has none that is finite."""
    try:
        found = expr.evalf(DIGITS, subs=values, maxn=_WORKING_DIGITS)
    except (ArithmeticError, AttributeError, TypeError, ValueError, NotImplementedError):
        return None
    real, imaginary = found.as_real_imag()
    if not (real.is_Number and imaginary.is_Number and real.is_finite and imaginary.is_finite):
        return None
    # mpmath rounds to its working precision whatever it makes.
    with mpmath.workdps(DIGITS):
        above, beside = _mpf(real), _mpf(imaginary)
        if beside == 0 or abs(beside) < abs(above) * _CLOSE:
            return above
        return mpmath.mpc(above, beside)


def _mpf(number_: Any) -> Any:
    # A number of one bit is what sympy has left when everything cancels: it is zero.
    if getattr(number_, "_prec", 53) <= 1:
        return mpmath.mpf(0)
    return mpmath.mpf(number_._to_mpmath(270))


def _is_noise(value: Any) -> bool:
    return bool(value == 0)


def _plain_functions(expr: Expr) -> Expr:
    """The expression with something definite in place of every unknown function."""
    if not expr.has(AppliedUndef):
        return expr

    def stand_in(*arguments: Expr, name: str = "") -> Expr:
        seed = sum(ord(letter) for letter in name)
        inner = sum((seed + 3 * index + 1) * one for index, one in enumerate(arguments))
        return sympy.sin(inner + seed) + sympy.Rational(seed, 97)

    def replaced(applied: Any) -> Expr:
        return stand_in(*applied.args, name=applied.func.__name__)

    result: Expr = expr.replace(lambda part: isinstance(part, AppliedUndef), replaced)
    return result
