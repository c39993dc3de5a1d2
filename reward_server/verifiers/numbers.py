"""Reads plain numbers exactly, in linear time and without evaluating anything."""

from __future__ import annotations

import re
from fractions import Fraction

MAX_DIGITS = 400
"""Digits of a number that are still read; more are out of range."""
MAX_EXPONENT = 400
"""Largest power of ten that is still read."""

_SIGN = r"[+\-]?"
_PLAIN = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d+(?:\.\d*)?|\.\d+)"
_POWER = (
    r"(?:[eE](?P<exponent>[+\-]?\d+)"
    r"|(?:\\times|\\cdot|[*\u00d7\u00b7])10\^\{?(?P<power>[+\-]?\d+)\}?)"
)
_DECIMAL = re.compile(rf"(?P<sign>{_SIGN})(?P<digits>{_PLAIN}){_POWER}?", re.ASCII)
_SLASH = re.compile(rf"(?P<sign>{_SIGN})(?P<above>{_PLAIN})/(?P<below>{_PLAIN})", re.ASCII)
_FRAC = re.compile(
    rf"(?P<sign>{_SIGN})\\[dtc]?frac ?(?:\{{(?P<inner>{_SIGN})(?P<above>{_PLAIN})\}}|(?P<top>\d)) ?"
    rf"(?:\{{(?P<below>{_PLAIN})\}}|(?P<bottom>\d))",
    re.ASCII,
)
_MIXED = re.compile(
    rf"(?P<sign>{_SIGN})(?P<whole>\d+)(?: (?P<a>\d+)/(?P<b>\d+)|"
    r"\\[dtc]?frac(?:\{(?P<c>\d+)\}\{(?P<d>\d+)\}|(?P<e>\d) ?(?P<f>\d)))",
    re.ASCII,
)
_GROUP_BLANK = re.compile(r"(?<=\d)(?:\s|\\[,;:! ])+(?=\d{3}(?![\d/]))")
_LIST_COMMA = re.compile(r",(?:\s|\\[,;:! ])+(?=\d{3}(?!\d))")
_DIGIT_BLANK = re.compile(r"(?<=\d)\s+(?=\d)")
_SPACING = re.compile(
    r"\\[,;:! ]|\\q?quad(?![a-zA-Z])|\\(?:left|right)(?![a-zA-Z])|[\s$€£]|(?<=[^\s$])~"
)
_MAX_FAST_DIGITS = 15
_KEPT_BLANK = "\0"
_UNTIDY = re.compile(r"[^\w.+\-*/^()=<>|!%\[\]:]|,", re.ASCII)
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\uff0d": "-"})


class OutOfRange(ValueError):
    """A number with more digits, or a larger exponent, than are read."""


def tidy(text: str) -> str:
    """The text without blanks, LaTeX spacing, dollar signs and a final full stop.

    A tilde stays where it comes first, for there it means "about".
    A blank between digits stays, as in "1 1/2", unless it sets off thousands; "32, 349" is a
    list and becomes "32;349".
    """
    if not _UNTIDY.search(text):
        return text.removesuffix(".") if len(text) > 1 else text
    listed = _LIST_COMMA.sub(";", text.translate(_MINUS).strip())
    joined = _GROUP_BLANK.sub("", listed)
    marked = _DIGIT_BLANK.sub(_KEPT_BLANK, joined).replace("{,}", ",").replace("\\$", "")
    bare = _SPACING.sub("", marked).replace(_KEPT_BLANK, " ")
    return bare.removesuffix(".") if len(bare) > 1 else bare


def read_integer(text: str) -> int | None:
    """The value of a plain integer of up to 15 digits, else None; faster than `read_number`."""
    digits = text.strip()
    unsigned = digits[1:] if digits[:1] == "-" else digits
    if unsigned.isdecimal() and unsigned.isascii() and len(unsigned) <= _MAX_FAST_DIGITS:
        return int(digits)
    return None


def read_number(text: str) -> Fraction | None:
    """The exact value of a tidy integer, decimal, fraction or power-of-ten form, else None.

    Raises:
        OutOfRange: it is a number, but too long to be computed with.
    """
    if match := _DECIMAL.fullmatch(text):
        shift = match["exponent"] or match["power"] or "0"
        return _signed(match["sign"], _value(match["digits"]) * _power_of_ten(shift))
    if match := _SLASH.fullmatch(text):
        return _ratio(match["sign"], match["above"], match["below"])
    if match := _FRAC.fullmatch(text):
        sign = "-" if (match["sign"] == "-") != (match["inner"] == "-") else ""
        return _ratio(sign, match["above"] or match["top"], match["below"] or match["bottom"])
    if match := _MIXED.fullmatch(text):
        above, below = (
            match["a"] or match["c"] or match["e"],
            match["b"] or match["d"] or match["f"],
        )
        part = _ratio("", above, below)
        return None if part is None else _signed(match["sign"], _value(match["whole"]) + part)
    return None


def _ratio(sign: str, above: str, below: str) -> Fraction | None:
    divisor = _value(below)
    return _signed(sign, _value(above) / divisor) if divisor else None


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _value(digits: str) -> Fraction:
    if len(digits) > MAX_DIGITS:
        raise OutOfRange(f"a number of more than {MAX_DIGITS} digits")
    whole, _, places = digits.replace(",", "").partition(".")
    return Fraction(int((whole + places) or "0"), 10 ** len(places))


def _power_of_ten(shift: str) -> Fraction:
    if len(shift) > 8 or abs(int(shift)) > MAX_EXPONENT:
        raise OutOfRange(f"a power of ten beyond {MAX_EXPONENT}")
    return Fraction(10) ** int(shift)
