"""Compares text with the reference, character by character after tidying both."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping
from typing import Any

from reward_server.verifiers.base import Item, Outcome, Verdict, failed, judged
from reward_server.verifiers.extract import last_box, strip_thinking
from reward_server.verifiers.in_server import InServerVerifier

_PUNCTUATION = dict.fromkeys(
    code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith("P")
)
_MAX_SHOWN_CHARS = 200


class ExactVerifier(InServerVerifier):
    """The `exact` verifier."""

    type = "exact"
    revision = 1

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `ExactVerifierConfig`."""
        super().__init__(options)
        self._extract = str(options["extract"])
        self._tag = str(options["tag"])
        self._ignore_case = bool(options["ignore_case"])
        self._ignore_blanks = bool(options["ignore_blanks"])
        self._ignore_punctuation = bool(options["ignore_punctuation"])
        self._strip_thinking = bool(options["strip_thinking"])

    def quick(self, item: Item) -> Verdict:
        """The verdict."""
        golds = {tidied for text in item.references if (tidied := self._tidied(text))}
        if not golds:
            shown = repr(item.references[0][:80]) if item.references else "none given"
            return failed(Outcome.INVALID_REFERENCE, f"no reference holds text: {shown}")
        spoken = strip_thinking(item.response) if self._strip_thinking else item.response
        answer = None if spoken is None else self._answer(spoken)
        if answer is None or not answer.strip():
            return judged(Outcome.NO_ANSWER, detail="the response holds no answer")
        outcome = Outcome.CORRECT if self._tidied(answer) in golds else Outcome.INCORRECT
        return judged(outcome, answer=answer[:_MAX_SHOWN_CHARS])

    def _answer(self, spoken: str) -> str | None:
        if self._extract == "last_box":
            return last_box(spoken)
        if self._extract == "last_line":
            return spoken.rstrip().rpartition("\n")[2]
        if self._extract == "tag":
            before, closed, _ = spoken.rpartition(f"</{self._tag}>")
            _, opened, inside = before.rpartition(f"<{self._tag}>")
            return inside if closed and opened else None
        return spoken

    def _tidied(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        if self._ignore_case:
            text = text.casefold()
        if self._ignore_punctuation:
            text = text.translate(_PUNCTUATION)
        if self._ignore_blanks:
            text = " ".join(text.split())
        return text
