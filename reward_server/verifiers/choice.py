"""Compares the letter of a multiple-choice answer."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from reward_server.verifiers.base import Item, Outcome, Verdict, failed, judged
from reward_server.verifiers.extract import last_box, strip_thinking
from reward_server.verifiers.in_server import InServerVerifier

_DRESSING = re.compile(
    r"\\(?:text|textbf|textrm|mathrm|mathbf|mathsf|rm|bf|quad)\b|\\ |[{}$*_`~\s]"
)
_JOINT = re.compile(r",|;|&|/|\band\b|\bor\b", re.IGNORECASE)
_HEDGE = re.compile(r"\bor\b|/", re.IGNORECASE)
_MAX_TAIL_CHARS = 1 << 16  # a statement before these is no final answer
_MAX_ANSWER_CHARS = 200


class ChoiceVerifier(InServerVerifier):
    """The `choice` verifier."""

    type = "choice"
    revision = 1

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `ChoiceVerifierConfig`."""
        super().__init__(options)
        letters = str(options["letters"])
        self._letters = frozenset(letters)
        self._several = bool(options["several"])
        self._strip_thinking = bool(options["strip_thinking"])
        one = (
            rf"(?:\\text(?:bf)?\{{|\\mathrm\{{|\\mathbf\{{|[(\[*$]){{0,5}}[{letters}](?![A-Za-z'])"
        )
        more = rf"(?:[)\]*$}}\s]{{0,5}}(?:,|;|&|/|\band\b|\bor\b)\s{{0,3}}{one}){{0,25}}"
        self._statement = re.compile(
            r"(?i:answers?|options?|choices?)(?:\s{0,3}(?i:is|are)\b|\*\*:|:\*\*|:|=)?[:\s]{0,3}"
            rf"(?:(?i:options?|choices?)\s{{0,3}})?(?P<letters>{one}{more})"
        )
        self._label = re.compile(rf"[(\[]?([{letters}])(?:[)\]:].*|\.|\.[^\d].*)?", re.DOTALL)

    def quick(self, item: Item) -> Verdict:
        """The verdict."""
        golds = [chosen for text in item.references if (chosen := self._reference(text))]
        if not golds:
            shown = repr(item.references[0][:80]) if item.references else "none given"
            letters = "".join(sorted(self._letters))
            return failed(
                Outcome.INVALID_REFERENCE, f"no reference names one of {letters}: {shown}"
            )
        spoken = strip_thinking(item.response) if self._strip_thinking else item.response
        answer = None if spoken is None else self._answer(spoken)
        if not answer:
            return judged(Outcome.NO_ANSWER, detail="the response chooses no letter")
        chosen = self._chosen(answer)
        shown = ", ".join(sorted(chosen)) or answer[:_MAX_ANSWER_CHARS]
        if len(chosen) > 1 and (not self._several or _HEDGE.search(answer)):
            detail = "the response chooses several letters"
            return judged(Outcome.INCORRECT, answer=shown, detail=detail)
        return judged(Outcome.CORRECT if chosen in golds else Outcome.INCORRECT, answer=shown)

    def _reference(self, text: str) -> frozenset[str]:
        chosen = self._chosen(last_box(text) or text)
        return chosen if len(chosen) == 1 or self._several else frozenset()

    def _answer(self, spoken: str) -> str | None:
        """The text that names the letters: the last box, the last statement, or the last line."""
        if box := last_box(spoken):
            return box
        tail = spoken[-_MAX_TAIL_CHARS:].rstrip()
        if statements := deque(self._statement.finditer(tail), maxlen=1):
            return statements[0]["letters"]
        last_line = tail.rpartition("\n")[2]
        return last_line if self._chosen(last_line) else None

    def _chosen(self, text: str) -> frozenset[str]:
        """The letters of a text that holds nothing else, or the one that labels what follows."""
        text = text[:_MAX_ANSWER_CHARS]
        parts = {_DRESSING.sub("", part).strip("().:[]\\") for part in _JOINT.split(text)}
        letters = {part.upper() for part in parts if part}
        if letters and letters <= self._letters:
            return frozenset(letters)
        label = self._label.fullmatch(_DRESSING.sub("", text))
        return frozenset(label[1]) if label else frozenset()
