"""Numbers with a bound on their error, so that two of them can be told apart for certain.

A ball is a midpoint and a radius: the true value lies within the radius of the midpoint. Radius 0
is kept for exact integers. All arithmetic is that of floats, so no text can make it slow; whatever
leaves their range, or the domain where people agree on the value, is `Undefined`.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from typing import TypeAlias

Number: TypeAlias = float | complex
Ball: TypeAlias = tuple[Number, float]

_EPSILON = 8 * 2.0**-52  # more than any one operation of the C library errs by, relatively
_DISTINCT = 1e-12  # values closer than this, relatively, are never told apart
_EXACT_LIMIT = 2.0**53
_MAX_ANGLE = 1e6
_MAX_FACTORIAL = 170


class Undefined(ArithmeticError):
    """The value is out of range, or not agreed upon."""


def exact(value: int) -> Ball:
    """The integer, exactly where a float holds it."""
    if abs(value) >= _EXACT_LIMIT:
        return rounded(float(value), 0.0)
    return float(value), 0.0


def rounded(value: Number, error: float) -> Ball:
    """A value that errs by `error` and by the rounding of floats."""
    size = abs(value)
    radius = error + size * _EPSILON
    if not radius < math.inf:
        raise Undefined
    return value, radius


def differ(a: Ball, b: Ball) -> bool:
    """True only if the two values are certainly not equal."""
    (x, x_error), (y, y_error) = a, b
    if x in _INFINITIES or y in _INFINITIES:
        return x != y
    if x_error == 0 == y_error:
        return x != y
    gap = abs(x - y)
    return gap > x_error + y_error + _DISTINCT * max(abs(x), abs(y)) and gap < math.inf


_INFINITIES = (math.inf, -math.inf)


def add(a: Ball, b: Ball) -> Ball:
    """The sum."""
    value = a[0] + b[0]
    if a[1] == 0 == b[1] and _is_exact(value):
        return value, 0.0
    return rounded(value, a[1] + b[1])


def multiply(a: Ball, b: Ball) -> Ball:
    """The product."""
    (x, x_error), (y, y_error) = a, b
    value = x * y
    if x_error == 0 == y_error and _is_exact(value):
        return value, 0.0
    return rounded(value, abs(x) * y_error + abs(y) * x_error + x_error * y_error)


def divide(a: Ball, b: Ball) -> Ball:
    """The quotient."""
    (x, x_error), (y, y_error) = a, b
    size = abs(y) - y_error
    if size <= 0:
        raise Undefined
    value = x / y
    if x_error == 0 == y_error and _is_exact(value) and value * y == x:
        return value, 0.0
    return rounded(value, (x_error + abs(value) * y_error) / size)


def negate(a: Ball) -> Ball:
    """The opposite."""
    return -a[0], a[1]


def power(a: Ball, b: Ball) -> Ball:
    """A power: of any base where the exponent is an integer, else of a positive one only."""
    (x, x_error), (y, y_error) = a, b
    if y_error == 0 and isinstance(y, float) and y.is_integer():
        return _integer_power(x, x_error, y)
    if isinstance(x, complex) or x - x_error <= 0:
        raise Undefined
    logarithm = math.log(x)
    error = abs(y) * x_error / (x - x_error) + abs(logarithm) * y_error
    return exponential(rounded(y * logarithm, error + abs(y) * _EPSILON))


def _integer_power(x: Number, x_error: float, n: float) -> Ball:
    size = abs(x)
    if size == 0 == x_error and n > 0:
        return 0.0, 0.0
    if size <= x_error:
        raise Undefined
    value = x**n if isinstance(x, float) else x ** int(_within(n, _MAX_FACTORIAL))
    if x_error == 0 and n >= 0 and _is_exact(value):
        return value, 0.0
    each = _EPSILON if isinstance(x, complex) else 0.0
    share = abs(n) * (x_error / (size - x_error) + each)
    return rounded(value, abs(value) * _grown(share))


def exponential(a: Ball) -> Ball:
    """e to the power of a real or complex number."""
    x, error = a
    value = cmath.exp(_turn(x)) if isinstance(x, complex) else math.exp(x)
    return rounded(value, abs(value) * _grown(error + abs(x) * _EPSILON))


def logarithm(a: Ball) -> Ball:
    """The natural logarithm of a positive number."""
    x, error = _real(a)
    if x - error <= 0:
        raise Undefined
    return rounded(math.log(x), error / (x - error) + _EPSILON)


def square_root(a: Ball) -> Ball:
    """The principal square root of a real number."""
    x, error = _real(a)
    if x == 0 == error:
        return 0.0, 0.0
    if abs(x) <= error:
        raise Undefined
    root = math.sqrt(abs(x))
    if error == 0 and root.is_integer() and root * root == abs(x):
        return (root, 0.0) if x > 0 else (complex(0.0, root), 0.0)
    radius = error / math.sqrt(abs(x) - error)
    return rounded(root if x > 0 else complex(0.0, root), radius)


def root(degree: Ball, a: Ball) -> Ball:
    """The root of a degree; of nothing negative, where real and principal roots differ."""
    if a == (0.0, 0.0) and degree[1] == 0 and _real(degree)[0] > 0:
        return a
    return power(a, divide((1.0, 0.0), degree))


def absolute(a: Ball) -> Ball:
    """The absolute value."""
    return abs(a[0]), a[1]


def floor(a: Ball) -> Ball:
    """The largest integer that is not greater."""
    return _stepped(a, math.floor)


def ceiling(a: Ball) -> Ball:
    """The smallest integer that is not less."""
    return _stepped(a, math.ceil)


def factorial(a: Ball) -> Ball:
    """The factorial of a small natural number."""
    n = _natural(a)
    return exact(math.factorial(n))


def binomial(a: Ball, b: Ball) -> Ball:
    """The number of ways to choose b of a, both small natural numbers."""
    n, k = _natural(a), _natural(b)
    if k > n:
        raise Undefined
    return exact(math.comb(n, k))


def sine(a: Ball) -> Ball:
    """The sine of a real number."""
    x, error = _angle(a)
    return rounded(math.sin(x), error)


def cosine(a: Ball) -> Ball:
    """The cosine of a real number."""
    x, error = _angle(a)
    return rounded(math.cos(x), error)


def tangent(a: Ball) -> Ball:
    """The tangent of a real number."""
    return divide(sine(a), cosine(a))


def arc_sine(a: Ball) -> Ball:
    """The angle in [-pi/2, pi/2] with this sine."""
    x, error = _real(a)
    if error == 0 and abs(x) <= 1:
        return rounded(math.asin(x), _EPSILON)
    slack = 1 - abs(x) - error
    if slack <= 0:
        raise Undefined
    return rounded(math.asin(x), error / math.sqrt(slack))


def arc_cosine(a: Ball) -> Ball:
    """The angle in [0, pi] with this cosine."""
    return add((math.pi / 2, _EPSILON), negate(arc_sine(a)))


def arc_tangent(a: Ball) -> Ball:
    """The angle in (-pi/2, pi/2) with this tangent."""
    x, error = _real(a)
    return rounded(math.atan(x), error)


def hyperbolic_sine(a: Ball) -> Ball:
    """The hyperbolic sine of a real number."""
    up, down = exponential(a), exponential(negate(a))
    return multiply(add(up, negate(down)), (0.5, 0.0))


def hyperbolic_cosine(a: Ball) -> Ball:
    """The hyperbolic cosine of a real number."""
    up, down = exponential(a), exponential(negate(a))
    return multiply(add(up, down), (0.5, 0.0))


def hyperbolic_tangent(a: Ball) -> Ball:
    """The hyperbolic tangent of a real number."""
    return divide(hyperbolic_sine(a), hyperbolic_cosine(a))


def inverse(function: Callable[[Ball], Ball]) -> Callable[[Ball], Ball]:
    """One over the function, as the secant is of the cosine."""
    return lambda a: divide((1.0, 0.0), function(a))


def _is_exact(value: Number) -> bool:
    return isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_LIMIT


def _real(a: Ball) -> tuple[float, float]:
    value, error = a
    if isinstance(value, complex) or not abs(value) < math.inf:
        raise Undefined
    return value, error


def _angle(a: Ball) -> tuple[float, float]:
    value, error = _real(a)
    return _within(value, _MAX_ANGLE), error


def _turn(value: complex) -> complex:
    _within(value.imag, _MAX_ANGLE)
    return value


def _within(value: float, limit: float) -> float:
    if abs(value) > limit:
        raise Undefined
    return value


def _grown(share: float) -> float:
    """How much e^share exceeds 1, bounded from above for shares that are small enough to matter."""
    if share > 0.5:
        raise Undefined
    return 2 * share


def _stepped(a: Ball, step: Callable[[float], int]) -> Ball:
    value, error = _real(a)
    if error == 0:
        return value, 0.0
    if step(value - error) != step(value + error):
        raise Undefined
    return exact(step(value))


def _natural(a: Ball) -> int:
    value, error = _real(a)
    nearest = round(value)
    if not 0 <= nearest <= _MAX_FACTORIAL or abs(value - nearest) > error or error > 1e-9:
        raise Undefined
    return nearest
