"""Where a reader is in the tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reward_server.verifiers.symbolic.shapes import Shape, Unreadable
from reward_server.verifiers.symbolic.tokens import Token


@dataclass(frozen=True, slots=True)
class Reading:
    """How to take what can be taken in two ways."""

    grouped: bool = True
    """Reads "1,234" inside brackets as one number."""
    ten: bool = False
    r"""Gives `\log` the base 10, not e."""
    capital: bool = False
    """Takes I for the imaginary unit."""


class Cursor:
    """Takes tokens one by one; the layers of the grammar build on each other above it."""

    def __init__(self, tokens: Sequence[Token], reading: Reading) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._bars = 0
        self._reading = reading

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise Unreadable("the answer ends too early")
        self._at += 1
        return token

    def _accept(self, *texts: str) -> Token | None:
        return self._take() if self._next.text in texts and self._next.kind != "end" else None

    def _expect(self, text: str) -> None:
        if self._take().text != text:
            raise Unreadable(f"{text!r} is missing")

    def _refusal(self) -> Unreadable:
        return Unreadable(f"{self._next.text[:40]!r} is beyond the grammar here")

    def _raw(self) -> list[str]:
        if not self._accept("{"):
            return [self._take().text]
        pieces = []
        while not self._accept("}"):
            pieces.append(self._take().text)
        return pieces

    def _answer(self) -> Shape:
        """Parts between commas."""
        raise NotImplementedError

    def _factor(self) -> Any:
        """A primary with its powers."""
        raise NotImplementedError

    def _primary(self) -> Any:
        """A number, a letter, a command or a bracket."""
        raise NotImplementedError

    def _script(self) -> Any:
        """What stands after `^`."""
        raise NotImplementedError

    def _argument(self) -> Any:
        """What a command takes."""
        raise NotImplementedError

    def _group(self) -> Any:
        """What stands in braces."""
        raise NotImplementedError

    def _starts_factor(self) -> bool:
        """Whether a factor comes next."""
        raise NotImplementedError
