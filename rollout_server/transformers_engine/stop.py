"""Text of token ids, and the search for stop strings in text that grows by tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]
"""Gives the text of token ids without special tokens."""

_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""What a decoder ends with while the bytes of a character are still coming."""
_MOST_BYTES = 4
"""Of a character in UTF-8: more tokens than this that end in none will never become one."""


class StopSearch:
    """Tells whether the text of the tokens so far contains a stop string.

    Only the last few tokens are decoded again, so that a token costs the same at any length.
    """

    def __init__(self, stop: Sequence[str], decode: Decode) -> None:
        """`stop` is not empty and holds no empty string."""
        self._stop = tuple(stop)
        self._decode = decode
        self._kept_chars = max(len(text) for text in stop) - 1
        self._token_ids: list[int] = []
        self._context = 0
        """First token that is decoded together with the new ones: a token's text may depend on
        the one before it."""
        self._settled = 0
        """First token whose text has not been taken yet."""
        self._tail = ""

    def push(self, token_id: int) -> bool:
        """Takes the next token; true if the text now contains a stop string."""
        self._token_ids.append(token_id)
        before = self._decode(self._token_ids[self._context : self._settled])
        text = self._decode(self._token_ids[self._context :])
        window = self._tail + text[len(before) :]
        if any(stop in window for stop in self._stop):
            return True
        pending = len(self._token_ids) - self._settled
        complete = len(text) > len(before) and not text.endswith(_INCOMPLETE)
        if complete or pending > _MOST_BYTES:
            self._tail = window[-self._kept_chars :] if self._kept_chars else ""
            self._context = self._settled
            self._settled = len(self._token_ids)
        return False


def cut(text: str, stop: Sequence[str]) -> str:
    """The text before the first stop string in it; all of it if there is none."""
    found = [index for index in (text.find(word) for word in stop) if index >= 0]
    return text[: min(found)] if found else text
