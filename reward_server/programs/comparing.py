"""Compares what a program claims with what a test expects.

A claim may be made to hurt: every comparison takes time linear in the claim, and fills no table
with what is claimed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from reward_server.programs.values import MAX_DEPTH

_FLOAT = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,4})?")
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Rules:
    """How exact a match must be."""

    float_tolerance: float | None = None
    """Largest difference of floats, absolute or as a share of the expected one; None: none."""
    strict_types: bool = True
    """Whether a list differs from a tuple where the test tells them apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What a test asks of a function's result."""

    kind: Literal["equal", "is", "true", "false", "close"] = "equal"
    """Equal to the value as by `==`, the same as by `is`, true or false, or near to it."""
    value: Any = None
    """The expected value, of built-in types."""
    from_json: bool = False
    """Written in JSON, which has neither tuples nor keys that are not texts."""
    or_element: bool = False
    """A list of one element stands for that element too, as in APPS."""
    relative: float = 0.0
    """Largest difference, as a share of the larger one; for "close"."""
    absolute: float = 0.0
    """Largest difference; for "close"."""
    inclusive: bool = True
    """Whether the largest difference itself is near enough."""

    def accepts(self, claimed: Any, rules: Rules) -> bool:
        """True if the claim, as `values.Writer` writes it, meets the check."""
        if self.kind in ("true", "false"):
            return _truth(claimed) is (self.kind == "true")
        if self.kind == "is":
            return claimed is self.value
        if self.kind == "close":
            return self._is_close(claimed)
        loose = self.from_json or not rules.strict_types
        comparison = _Comparison(rules.float_tolerance, loose=loose, text_keys=self.from_json)
        if comparison.equal(self.value, claimed):
            return True
        return self.or_element and comparison.equal(self.value[0], claimed)

    def wanted(self) -> str:
        """What is asked for, in words."""
        match self.kind:
            case "close":
                return f"near {self.value!r}"
            case "true" | "false":
                return self.kind
        return repr(self.value)

    def _is_close(self, claimed: Any) -> bool:
        number = _number(claimed)
        if isinstance(number, complex) or number is None:
            return False
        try:
            difference = abs(number - self.value)
            largest = max(self.absolute, self.relative * max(abs(number), abs(self.value)))
        except OverflowError:
            return False
        if number == self.value:
            return self.inclusive or largest > 0
        if math.isinf(difference):
            return False
        return bool(difference <= largest if self.inclusive else difference < largest)


@dataclass(frozen=True, slots=True)
class _Comparison:
    tolerance: float | None
    loose: bool
    text_keys: bool

    def equal(self, expected: Any, claimed: Any) -> bool:
        if expected is None or isinstance(expected, str):
            return type(claimed) is type(expected) and bool(claimed == expected)
        if isinstance(expected, int | float | complex):
            return self._equal_numbers(expected, _number(claimed))
        if isinstance(expected, bytes):
            return bool(claimed == ["b", expected.hex()])
        if not isinstance(claimed, list) or len(claimed) != len(expected) + 1:
            return False
        tag, *parts = claimed
        if isinstance(expected, dict):
            return tag == "d" and self._equal_dicts(expected, parts)
        if isinstance(expected, set | frozenset):
            return tag == "s" and expected == {
                key for part in parts if (key := _key(part)) is not _NOTHING and key in expected
            }
        wanted = ("l", "t") if self.loose else ("l" if isinstance(expected, list) else "t",)
        return tag in wanted and all(map(self.equal, expected, parts))

    def _equal_dicts(self, expected: dict[Any, Any], pairs: Sequence[Any]) -> bool:
        met = set()
        for pair in pairs:
            if not isinstance(pair, list) or len(pair) != 2:
                return False
            key = _key(pair[0])
            if self.text_keys and type(key) is int:
                key = str(key)
            if key is _NOTHING or key not in expected or not self.equal(expected[key], pair[1]):
                return False
            met.add(key)
        return len(met) == len(expected)

    def _equal_numbers(self, expected: complex, claimed: complex | None) -> bool:
        if claimed is None:
            return False
        if claimed == expected or (claimed != claimed and expected != expected):
            return True
        if self.tolerance is None or not (isinstance(expected, float) or type(claimed) is float):
            return False
        try:
            difference = abs(claimed - expected)
            return difference <= self.tolerance * max(1.0, abs(expected)) < math.inf
        except OverflowError:
            return False


def same_output(expected: str, claimed: str, float_tolerance: float | None) -> str:
    """The first difference between two outputs, in words; empty where there is none.

    Lines are compared word by word; empty lines at both ends count for nothing.
    """
    if expected == claimed:
        return ""
    wanted, given = _lines(expected), _lines(claimed)
    for number, line in enumerate(wanted, start=1):
        if number > len(given):
            return f"the output ends before line {number}, {_shown(line)}"
        if not _same_words(line.split(), given[number - 1].split(), float_tolerance):
            return f"line {number} is {_shown(given[number - 1])}, not {_shown(line)}"
    if len(given) > len(wanted):
        return f"the output goes on after line {len(wanted)}: {_shown(given[len(wanted)])}"
    return ""


def _lines(text: str) -> list[str]:
    text = text.strip()
    return text.split("\n") if text else []


def _same_words(wanted: list[str], given: list[str], tolerance: float | None) -> bool:
    if wanted == given:
        return True
    if tolerance is None or len(wanted) != len(given):
        return False
    return all(map(lambda a, b: a == b or _near(a, b, tolerance), wanted, given))


def _near(wanted: str, given: str, tolerance: float) -> bool:
    if not _FLOAT.fullmatch(wanted) or not _FLOAT.fullmatch(given):
        return False
    target = float(wanted)
    return abs(float(given) - target) <= tolerance * max(1.0, abs(target)) < math.inf


def _shown(line: str) -> str:
    line = line.strip()
    return repr(line if len(line) <= 60 else f"{line[:60]}...")


def _number(claimed: Any) -> Any:
    """The number that is claimed, or None."""
    if isinstance(claimed, int | float):
        return claimed
    if not isinstance(claimed, list) or not claimed:
        return None
    try:
        match claimed:
            case ["i", str(digits)]:
                return int(digits, 16)
            case ["c", float(real), float(imaginary)]:
                return complex(real, imaginary)
    except ValueError:
        pass
    return None


def _key(claimed: Any, depth: int = 0) -> Any:
    """What is claimed as something to look up, or `_NOTHING`; sets are not looked up."""
    if claimed is None or isinstance(claimed, str):
        return claimed
    number = _number(claimed)
    if number is not None:
        return number
    match claimed:
        case ["b", str(digits)]:
            try:
                return bytes.fromhex(digits)
            except ValueError:
                return _NOTHING
        case ["t", *parts] if depth < MAX_DEPTH:
            keys = tuple(_key(part, depth + 1) for part in parts)
            return _NOTHING if _NOTHING in keys else keys
    return _NOTHING


def _truth(claimed: Any) -> bool:
    match claimed:
        case ["l" | "t" | "d" | "s", *parts]:
            return bool(parts)
        case ["b", digits]:
            return bool(digits)
        case ["c", *parts]:
            return any(parts)
    return bool(claimed)
