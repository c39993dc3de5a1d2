"""Numbers as they are written: decimals with the worth of their last digit, other bases."""

from __future__ import annotations

from collections.abc import Sequence

from sympy import Integer, Rational

from reward_server.verifiers.symbolic.shapes import Unreadable
from reward_server.verifiers.symbolic.tokens import Token

MAX_DIGITS = 4000
"""Digits of a number that are still read."""
_MAX_EXPONENT = 5000
_TIMES = frozenset({r"\times", r"\cdot", "*"})


def read_literal(text: str) -> Rational:
    """The exact value of a number token.

    Raises:
        Unreadable: it is too long.
    """
    digits, _, exponent = text.replace(",", "").lower().partition("e")
    shift = int(exponent) if exponent and len(exponent) < 8 else 0
    if len(digits) > MAX_DIGITS or len(exponent) >= 8 or abs(shift) > _MAX_EXPONENT:
        raise Unreadable("a number with too many digits")
    whole, _, places = digits.partition(".")
    return Rational(int((whole + places) or "0"), 10 ** len(places)) * Integer(10) ** shift


def read_base(digits: str, base: int) -> Integer:
    """The value of digits in a base from 2 to 36.

    Raises:
        Unreadable: they are no number in that base.
    """
    if not 2 <= base <= 36 or len(digits) > MAX_DIGITS:
        raise Unreadable("a base that is none")
    try:
        return Integer(int(digits, base))
    except ValueError as error:
        raise Unreadable("a digit that the base has not") from error


def decimal_of(tokens: Sequence[Token]) -> tuple[Rational, int] | None:
    """The worth of the last digit and the number of significant digits of a decimal, else None.

    A decimal is a sign, a number with a point, and perhaps a power of ten.
    """
    texts = [token.text for token in tokens if token.text not in ("{", "}")]
    if texts and texts[0] in "+-":
        texts = texts[1:]
    if not texts or "." not in texts[0] or tokens[-1].kind == "end":
        return None
    mantissa, _, exponent = texts[0].replace(",", "").lower().partition("e")
    shift = int(exponent or "0")
    rest = texts[1:]
    if rest:
        if len(rest) < 4 or rest[0] not in _TIMES or rest[1] != "10" or rest[2] != "^":
            return None
        power = "".join(rest[3:])
        if not power.lstrip("+-").isdecimal() or len(power) > 6:
            return None
        shift += int(power)
    places = len(mantissa.partition(".")[2])
    significant = len(mantissa.replace(".", "").lstrip("0"))
    if abs(shift) > _MAX_EXPONENT:
        return None
    return Rational(10) ** (shift - places), significant
