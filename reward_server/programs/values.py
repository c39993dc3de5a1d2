"""Python values as JSON, between the server and the processes in which programs run.

Numbers, texts, booleans and None stand for themselves; everything else is a list whose first
element names the type: `["l", ...]` a list, `["t", ...]` a tuple, `["s", ...]` a set,
`["d", [key, value], ...]` a dict, `["b", hex]` bytes, `["i", hex]` a long integer,
`["c", real, imaginary]` a complex number.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

MAX_DEPTH = 64
"""Deepest nesting of a value."""
_MAX_PLAIN_INT = 1 << 53


class Unwritable(ValueError):
    """A value that cannot be written down: of another type, too large, or nested too deep."""


class Writer:
    """Writes values down, up to a size."""

    def __init__(self, max_size: int) -> None:
        """`max_size`: characters and elements together."""
        self._max_size = max_size
        self._left = max_size

    def write(self, value: Any, depth: int = 0) -> Any:
        """The value in the form above. An instance of a subclass is written as its base.

        Raises:
            Unwritable: says why it cannot be written.
        """
        self._take(1)
        if depth > MAX_DEPTH:
            raise Unwritable(f"is nested deeper than {MAX_DEPTH}")
        if value is None or value is True or value is False:
            return value
        if isinstance(value, int):
            return self._integer(int.__pos__(value))
        if isinstance(value, float):
            return float.__pos__(value)
        if isinstance(value, str):
            self._take(len(value))
            return str.__str__(value)
        if isinstance(value, bytes | bytearray):
            self._take(2 * len(value))
            return ["b", bytes(value).hex()]
        if isinstance(value, complex):
            return ["c", value.real, value.imag]
        return self._container(value, depth + 1)

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, list):
            return self._tagged("l", list.__iter__(value), depth)
        if isinstance(value, tuple):
            return self._tagged("t", tuple.__iter__(value), depth)
        if isinstance(value, dict):
            items = dict.items(value)
            return ["d", *([self.write(k, depth), self.write(v, depth)] for k, v in items)]
        if isinstance(value, set | frozenset):
            return self._tagged("s", iter(value), depth)
        if type(value).__module__ == "numpy" and hasattr(value, "item") and not value.shape:
            return self.write(value.item(), depth)
        raise Unwritable(f"is a {type(value).__name__}")

    def _tagged(self, tag: str, elements: Iterable[Any], depth: int) -> list[Any]:
        return [tag, *(self.write(element, depth) for element in elements)]

    def _integer(self, value: int) -> Any:
        if -_MAX_PLAIN_INT < value < _MAX_PLAIN_INT:
            return value
        self._take(value.bit_length() // 4)
        return ["i", hex(value)]

    def _take(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise Unwritable(f"is larger than {self._max_size}")


def read(written: Any) -> Any:
    """The value that was written; only for what the server itself wrote."""
    if not isinstance(written, list):
        return written
    tag, *parts = written
    match tag:
        case "l":
            return [read(part) for part in parts]
        case "t":
            return tuple(read(part) for part in parts)
        case "d":
            return {read(key): read(value) for key, value in parts}
        case "s":
            return {read(part) for part in parts}
        case "b":
            return bytes.fromhex(parts[0])
        case "i":
            return int(parts[0], 16)
        case _:
            return complex(*parts)
