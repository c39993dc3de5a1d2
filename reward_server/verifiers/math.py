"""Compares mathematical expressions.

Plain numbers, single letters and identical texts are decided inside the server; everything else by
Math-Verify in a worker process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from reward_server.verifiers.base import (
    Item,
    Outcome,
    Question,
    Verdict,
    failed,
    judged,
    version_of,
)
from reward_server.verifiers.extract import final_answer, last_box, last_boxes, strip_thinking
from reward_server.verifiers.mathematics.decide import decide
from reward_server.verifiers.mathematics.policy import Policy

REVISION = 2
_MAX_QUICK_CHARS = 1 << 16  # a longer response is read in a worker: the event loop must not wait
_MAX_REMEMBERED_CHARS = 200
_ALTERNATIVES = re.compile(r"\}[\s$]{0,10}(?:or|\\text\{ ?or ?\})[\s$]{0,10}\\boxed", re.IGNORECASE)
_ESCAPED = re.compile(r"\\[\\{}]")


class MathVerifier:
    """The `math` verifier."""

    type = "math"
    worker_module: str | None = "reward_server.verifiers.algebra"

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: `strip_thinking`."""
        self.options = dict(options)
        self.version = version_of(self.type, REVISION, options)
        self._policy = Policy.of(options)
        self._strip_thinking = bool(options["strip_thinking"])

    def quick(self, item: Item) -> Verdict | Question:
        """The verdict where it takes no algebra, else the question that does."""
        if len(item.response) > _MAX_QUICK_CHARS:
            return _whole(item)
        references = readable(item.references)
        if not references:
            return _no_reference(item.references)
        answer = self._answer(item.response)
        if answer is None:
            return _no_answer()
        # Boxes joined by "and" make one list, whose last part alone decides nothing.
        has_boxes = item.response.count("\\boxed") > 1
        if has_boxes and _ALTERNATIVES.search(item.response):
            return _whole(item)
        decisions = [decide(reference, answer) for reference in references]
        if True in decisions:
            return judged(Outcome.CORRECT, answer=answer)
        if has_boxes:
            return _whole(item)
        if None in decisions:
            return Question(kind="answer", texts=(answer,), references=tuple(references))
        return judged(Outcome.INCORRECT, answer=answer)

    def judge(self, question: Question) -> Verdict:
        """The verdict by Math-Verify; only for worker processes."""
        # The server never loads sympy: only this method needs it, and it runs in workers.
        from reward_server.verifiers.algebra import compare

        [response] = question.texts
        if question.kind == "answer":
            return compare(question.references, response, self._policy)
        readables = readable(question.references)
        if not readables:
            return _no_reference(question.references)
        answer = self._answer(response)
        if answer is None:
            return _no_answer()
        boxes = last_boxes(self._spoken(response) or "")
        joined = ", ".join(boxes) if len(boxes) > 1 else None
        if joined is not None and _ALTERNATIVES.search(response):
            # "41 or 42" names no answer; only a reference that lists both is met by it.
            return compare(readables, joined, self._policy)
        if any(decide(reference, answer) for reference in readables):
            return judged(Outcome.CORRECT, answer=answer)
        return compare(readables, answer, self._policy, joined=joined)

    def _spoken(self, response: str) -> str | None:
        return strip_thinking(response) if self._strip_thinking else response

    def _answer(self, response: str) -> str | None:
        spoken = self._spoken(response)
        if spoken is None:
            return None
        box = last_box(spoken)
        return (final_answer(spoken) if box is None else box) or None


def _whole(item: Item) -> Question:
    return Question(kind="response", texts=(item.response,), references=item.references)


def readable(references: Sequence[str]) -> list[str]:
    """The references without their boxes, less those that are empty or have unpaired braces."""
    return [bare for text in references if (bare := _bare(text))]


def _bare(reference: str) -> str:
    return _remembered(reference) if len(reference) <= _MAX_REMEMBERED_CHARS else _read(reference)


def _read(reference: str) -> str:
    """The reference without its boxes; empty where it cannot be read."""
    text = ", ".join(last_boxes(reference)) or reference
    return text if text.strip(" \t\n$") and _paired(text) else ""


_remembered = lru_cache(maxsize=4096)(_read)


def _paired(text: str) -> bool:
    depth = 0
    for character in _ESCAPED.sub("", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0


def _no_answer() -> Verdict:
    return judged(Outcome.NO_ANSWER, detail="the response holds no answer")


def _no_reference(references: Sequence[str]) -> Verdict:
    shown = repr(references[0][:80]) if references else "none given"
    return failed(Outcome.INVALID_REFERENCE, f"no reference can be read: {shown}")
