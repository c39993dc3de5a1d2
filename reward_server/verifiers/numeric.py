"""Compares one number with the reference, exactly or within a tolerance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
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
from reward_server.verifiers.extract import last_box, last_number
from reward_server.verifiers.numbers import OutOfRange, read_number, tidy

REVISION = 1
_MAX_SHOWN_CHARS = 200


class NumericVerifier:
    """The `numeric` verifier; it never needs a worker."""

    type = "numeric"
    worker_module: str | None = None
    reads_references = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: `extract`, `absolute_tolerance`, `relative_tolerance`."""
        self.options = dict(options)
        self.version = version_of(self.type, REVISION, options)
        self._extract = str(options["extract"])
        self._absolute = Fraction(options["absolute_tolerance"])
        self._relative = Fraction(options["relative_tolerance"])

    def quick(self, item: Item) -> Verdict:
        """The verdict."""
        return self._verdict(item.response, item.references)

    def judge(self, question: Question) -> Verdict:
        """The verdict."""
        [response] = question.texts
        return self._verdict(response, question.references)

    def _verdict(self, response: str, references: Sequence[str]) -> Verdict:
        values = [value for text in references if (value := _reference(text)) is not None]
        if not values:
            shown = repr(references[0][:80]) if references else "none given"
            return failed(Outcome.INVALID_REFERENCE, f"no reference is a number: {shown}")
        text = self._found(response)
        if text is None:
            return judged(Outcome.NO_ANSWER, detail="the response holds no number")
        shown = text[:_MAX_SHOWN_CHARS]
        try:
            value = read_number(_bare(text))
        except OutOfRange as error:
            return judged(Outcome.INCORRECT, answer=shown, detail=f"the answer is {error}")
        if value is None:
            return judged(Outcome.NO_ANSWER, answer=shown, detail="the answer is not a number")
        equal = any(self._equal(value, reference) for reference in values)
        return judged(Outcome.CORRECT if equal else Outcome.INCORRECT, answer=shown)

    def _found(self, response: str) -> str | None:
        if self._extract == "last_box":
            return last_box(response)
        if self._extract == "last_number":
            return last_number(response)
        _, separator, tail = response.rpartition("=")
        return last_number(tail) if separator else None

    def _equal(self, value: Fraction, reference: Fraction) -> bool:
        allowed = max(self._absolute, self._relative * abs(reference))
        return abs(value - reference) <= allowed


def _reference(text: str) -> Fraction | None:
    try:
        return read_number(_bare(last_box(text) or text))
    except OutOfRange:
        return None


def _bare(text: str) -> str:
    """A percent sign is a unit here, as a currency sign is: "50%" is 50."""
    return tidy(text).removesuffix("%").removesuffix("\\")
