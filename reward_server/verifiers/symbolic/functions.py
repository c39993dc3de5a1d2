"""The functions that the grammar knows, and powers that do not blow up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import sympy
from sympy import Expr, Function, Integer, Pow, Rational, S
from sympy.core.function import AppliedUndef

from reward_server.verifiers.symbolic.shapes import DEGREE, Unreadable

_MAX_POWER_BITS = 60_000
_MAX_FACTORIAL = 6_000
_MAX_CHOICE = 20_000
_OPAQUE = "opaque "
_TRIGONOMETRIC = ("sin", "cos", "tan", "cot", "sec", "csc", "sinh", "cosh", "tanh", "coth")


def _names() -> dict[str, Callable[..., Any]]:
    known: dict[str, Callable[..., Any]] = {name: getattr(sympy, name) for name in _TRIGONOMETRIC}
    known |= {"sech": sympy.sech, "csch": sympy.csch, "tg": sympy.tan, "ctg": sympy.cot}
    known |= {"cosec": sympy.csc, "cotg": sympy.cot, "sh": sympy.sinh, "ch": sympy.cosh}
    for name in _TRIGONOMETRIC[:6]:
        inverse = getattr(sympy, f"a{name}")
        known |= {f"arc{name}": inverse, f"a{name}": inverse}
    known["arctg"] = sympy.atan
    for name in _TRIGONOMETRIC[6:]:
        inverse = getattr(sympy, f"a{name}")
        known |= {f"arc{name}": inverse, f"ar{name}": inverse, f"a{name}": inverse}
    known |= {"exp": sympy.exp, "ln": sympy.log, "abs": sympy.Abs, "sgn": sympy.sign}
    known |= {"sign": sympy.sign, "floor": sympy.floor, "ceil": sympy.ceiling, "sqrt": sympy.sqrt}
    known |= {"max": sympy.Max, "min": sympy.Min, "gcd": sympy.gcd, "lcm": sympy.lcm}
    known |= {"Re": sympy.re, "Im": sympy.im, "arg": sympy.arg, "conj": sympy.conjugate}
    return known


FUNCTIONS: Mapping[str, Callable[..., Any]] = _names()
"""By name, without the backslash. The logarithm without a base is the grammar's affair."""
INVERSES: Mapping[str, str] = {name: f"a{name}" for name in _TRIGONOMETRIC}
"""What a power of -1 makes of a function."""
_LISTED = frozenset({"max", "min", "gcd", "lcm"})


def apply(name: str, arguments: list[Expr]) -> Expr:
    """The function's value; trigonometric functions read degrees.

    Raises:
        Unreadable: it takes another number of arguments.
    """
    function = FUNCTIONS[name]
    if name in ("gcd", "lcm"):
        return reduce(function, arguments)
    if name not in _LISTED and len(arguments) != 1:
        raise Unreadable(f"{name} takes one argument")
    if name in INVERSES:
        arguments = [one.subs(DEGREE, S.Pi / 180) for one in arguments]
    return function(*arguments)


def power(base: Expr, exponent: Expr) -> Expr:
    """`base ** exponent`, left as it is where the number would be too long to write out."""
    if isinstance(base, Rational) and isinstance(exponent, Rational):
        bits = max(abs(int(base.p)), int(base.q)).bit_length()
        if abs(exponent.p) * bits > _MAX_POWER_BITS * exponent.q or bits > _MAX_POWER_BITS:
            return Pow(base, exponent, evaluate=False)
    if isinstance(exponent, Integer) and base.is_Add and abs(int(exponent)) > 1:
        return Pow(base, exponent, evaluate=bool(base.is_number))
    return base**exponent


def factorial(value: Expr, *, double: bool = False) -> Expr:
    """`n!` or `n!!`.

    Raises:
        Unreadable: it is too large.
    """
    if value.is_number and not (value.is_Integer and 0 <= int(value) <= _MAX_FACTORIAL):
        raise Unreadable("a factorial that is too large")
    return sympy.factorial2(value) if double else sympy.factorial(value)


def choose(above: Expr, below: Expr) -> Expr:
    """The binomial coefficient.

    Raises:
        Unreadable: it is too large.
    """
    for value in (above, below):
        if value.is_number and not (value.is_Rational and abs(value) <= _MAX_CHOICE):
            raise Unreadable("a binomial coefficient that is too large")
    return sympy.binomial(above, below)


def unknown(name: str) -> Callable[..., Any]:
    """A function that nothing is known of."""
    return Function(re.sub(r"\W", "_", name))  # type: ignore[no-any-return]


def opaque(name: str, *arguments: Expr) -> Expr:
    """Something that is equal to what has equal parts, and of which no more is claimed."""
    applied: Expr = Function(f"{_OPAQUE}{name}")(*arguments)
    return applied


def is_opaque(expr: Expr) -> bool:
    """Whether something opaque is in it."""
    return any(part.func.__name__.startswith(_OPAQUE) for part in expr.atoms(AppliedUndef))
