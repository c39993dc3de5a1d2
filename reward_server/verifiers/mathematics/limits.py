"""What an answer may demand of a worker, told from its text alone, in linear time.

A limit gives way to the reference: an answer may always demand what a reference does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

_LIMITS: Mapping[str, float] = {
    "characters": 5_000,
    "nested brackets": 60,
    "nested exponents": 2,
    "the size of an exponent": 20_000,
    "the size of a factorial": 5_000,
    "factorials of factorials": 1,
    "the size of a binomial coefficient": 20_000,
    "integrals": 2,
    "the length of a sum": 1_000_000,
    "parts of a list": 1_000,
}
_PIECE = re.compile(
    r"\\(?:left|right|bigg?|Bigg?)[lr]?(?![a-zA-Z])|\\[{}]|\\[a-zA-Z]+|\\.|\d+|[{}()\[\]^!,;&]|\S",
    re.ASCII | re.DOTALL,
)
_SPACE = re.compile(r"\s+|\\[,;:! ]|\\(?:left|right|bigg?|Bigg?)[lr]?(?![a-zA-Z])")
_OPENING = frozenset({"{", "(", "[", r"\{"})
_CLOSING = frozenset({"}", ")", "]", r"\}"})
_REACHES: Mapping[str, tuple[str, int]] = {
    r"\binom": ("the size of a binomial coefficient", 12),
    r"\dbinom": ("the size of a binomial coefficient", 12),
    r"\tbinom": ("the size of a binomial coefficient", 12),
    r"\sum": ("the length of a sum", 16),
    r"\prod": ("the length of a sum", 16),
}
"""Which limit the numbers behind a command fall under, and how many pieces behind it they stand."""
_INTEGRALS = re.compile(r"\\i{1,4}nt(?![a-zA-Z])")
_SCIENTIFIC = re.compile(r"\d[eE][+\-]?(\d+)", re.ASCII)
_LONGEST = 12
"""Digits of a number that count; a longer one is huge whatever it is."""


def excess(answer: str, references: Sequence[str]) -> str | None:
    """What the answer demands too much of, in words; None if it is within the limits."""
    characters = len(answer)
    allowed = max(_LIMITS["characters"], *(2 * len(reference) for reference in references))
    if characters > allowed:
        return f"the answer has {characters} characters; at most {allowed:g} are compared"
    demands = _demands(answer)
    over = {name: demand for name, demand in demands.items() if demand > _LIMITS[name]}
    if not over:
        return None
    granted = [_demands(reference) for reference in references]
    for name, demand in over.items():
        limit = max(_LIMITS[name], *(each[name] for each in granted))
        if demand > limit:
            return f"the answer goes beyond the limit on {name}: {limit:g}"
    return None


def _demands(text: str) -> dict[str, float]:
    """The measures of a text, by the names of the limits."""
    pieces = _PIECE.findall(_SPACE.sub(" ", text))
    demands: dict[str, float] = dict.fromkeys(_LIMITS, 0)
    demands["characters"] = len(text)
    demands["integrals"] = sum(len(found.group()) - 3 for found in _INTEGRALS.finditer(text))
    exponents = [_number(found[1]) for found in _SCIENTIFIC.finditer(text)]
    demands["the size of an exponent"] = max(exponents, default=0)
    _scan(pieces, demands)
    return demands


def _scan(pieces: Sequence[str], demands: dict[str, float]) -> None:
    """One pass: which bracket is an exponent, what stands in it, what stands before `!`."""
    groups: list[tuple[bool, int]] = []  # is it an exponent, where it began
    height = chain = 0
    for index, piece in enumerate(pieces):
        before = pieces[index - 1] if index else ""
        if piece in _OPENING:
            groups.append((before == "^", index))
            height += before == "^"
            _raise(demands, "nested brackets", len(groups))
            _raise(demands, "nested exponents", height)
        elif piece in _CLOSING and groups:
            raised, _ = groups.pop()
            height -= raised
        elif piece == "^":
            chain = chain + 1 if _is_raised(pieces, index) else 1
            _raise(demands, "nested exponents", height + chain)
        elif piece in ",;&":
            _raise(demands, "parts of a list", demands["parts of a list"] + 1)
        elif piece == "!":
            _factorial(pieces, index, demands)
        elif piece.isdecimal():
            value = _power_at(pieces, index)
            if height or before == "^":
                _raise(demands, "the size of an exponent", value)
            elif "^" in pieces[index + 1 : index + 2]:
                _raise(demands, "the size of an exponent", _exponent_at(pieces, index + 2))
        elif piece in _REACHES:
            name, reach = _REACHES[piece]
            ahead = range(index, _end_of_arguments(pieces, index, reach))
            values = [_power_at(pieces, at) for at in ahead if pieces[at].isdecimal()]
            _raise(demands, name, max(values, default=0))


def _end_of_arguments(pieces: Sequence[str], index: int, reach: int) -> int:
    """Where the two groups behind a command end, or `reach` pieces behind it."""
    closed = depth = 0
    for at in range(index, min(index + reach, len(pieces))):
        depth += (pieces[at] == "{") - (pieces[at] == "}")
        closed += pieces[at] == "}" and depth == 0
        if closed == 2:
            return at
    return min(index + reach, len(pieces))


def _is_raised(pieces: Sequence[str], index: int) -> bool:
    """Whether `^` stands behind something that is an exponent itself, as in `9^9^9`."""
    return index >= 2 and pieces[index - 2] == "^"


def _factorial(pieces: Sequence[str], index: int, demands: dict[str, float]) -> None:
    before = pieces[index - 1] if index else ""
    near = range(max(0, index - 8), index) if before in _CLOSING else range(index - 1, index)
    values = [_power_at(pieces, at) for at in near if at >= 0 and pieces[at].isdecimal()]
    _raise(demands, "the size of a factorial", max(values, default=0))
    again = sum(
        1 for one, two in pairwise(pieces[max(0, index - 6) : index + 1]) if one == two == "!"
    )
    inside = "!" in pieces[max(0, index - 4) : index] and before in _CLOSING
    digits = any(piece.isdecimal() for piece in pieces[max(0, index - 8) : index])
    if digits and (again > 1 or inside):
        _raise(demands, "factorials of factorials", 2)


def _power_at(pieces: Sequence[str], index: int) -> float:
    """The number at `index`, raised where a number stands behind `^`."""
    base = _number(pieces[index])
    if index + 1 < len(pieces) and pieces[index + 1] == "^":
        exponent = _exponent_at(pieces, index + 2)
        return base**exponent if base < 1e3 and exponent < 90 else (base if base < 2 else 1e300)
    return base


def _exponent_at(pieces: Sequence[str], index: int) -> float:
    """The number that is or begins the exponent at `index`."""
    for piece in pieces[index : index + 3]:
        if piece.isdecimal():
            return _number(piece)
        if piece not in _OPENING and piece not in "+-":
            break
    return 0


def _number(digits: str) -> float:
    return float(digits) if len(digits) <= _LONGEST else 1e300


def _raise(demands: dict[str, float], name: str, demand: float) -> None:
    demands[name] = max(demands[name], demand)
