"""Compares mathematical expressions.

What can be told in bounded time is decided inside the server; the rest in a worker process, by a
grammar and rules of our own and then by Math-Verify.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reward_server.verifiers.base import (
    Cause,
    Item,
    Outcome,
    Question,
    Verdict,
    failed,
    judged,
    version_of,
)
from reward_server.verifiers.extract import (
    final_answer,
    first_box,
    last_box,
    last_boxes,
    strip_thinking,
)
from reward_server.verifiers.mathematics.decide import decide
from reward_server.verifiers.mathematics.limits import excess
from reward_server.verifiers.mathematics.pairing import paired
from reward_server.verifiers.mathematics.policy import Policy
from reward_server.verifiers.mathematics.references import problem, readable

REVISION = 3
CHECK_REFERENCES = "check_references"
"""Metadata that asks for a word on the references alone, whatever the response."""
# What is longer or more is read in a worker: the event loop must not wait.
_MAX_QUICK_CHARS = 1 << 16
_MAX_QUICK_REFERENCES = 10
_MAX_QUICK_REFERENCE_CHARS = 1 << 12


class MathVerifier:
    """The `math` verifier."""

    type = "math"
    worker_module: str | None = "reward_server.verifiers.algebra"
    reads_references = True

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `MathVerifierConfig`; what is left out has its default."""
        self.options = dict(options)
        self.version = version_of(self.type, REVISION, options)
        self._policy = Policy.of(options)
        self._any_order = self._policy.list_order == "ignore"
        self._strip_thinking = bool(options.get("strip_thinking", True))
        self._box_required = options.get("box", "optional") == "required"
        self._first = options.get("answer", "last") == "first"

    def quick(self, item: Item) -> Verdict | Question:
        """The verdict where it takes no algebra, else the question that does."""
        if item.metadata.get(CHECK_REFERENCES):
            return self._references(item.references)
        if len(item.response) > _MAX_QUICK_CHARS or _take_long(item.references):
            return Question(kind="response", texts=(item.response,), references=item.references)
        return self._first_look(item.response, item.references)

    def judge(self, question: Question) -> Verdict:
        """The verdict by algebra; only for worker processes."""
        # The server never loads sympy: only this method needs it, and it runs in workers.
        from reward_server.verifiers import algebra

        if question.kind == "references":
            return _unsound(question.references) or algebra.check(readable(question.references))
        if question.kind == "response":
            found = self._first_look(question.texts[0], question.references)
            if isinstance(found, Verdict):
                return found
            question = found
        return algebra.compare(question.references, question.texts, self._policy)

    def _first_look(self, response: str, given: Sequence[str]) -> Verdict | Question:
        """All that takes linear time."""
        references = readable(given)
        if not references:
            return _no_reference(given)
        answers = self._answers(response)
        if not answers:
            return judged(Outcome.NO_ANSWER, detail="the response holds no answer")
        decisions = [
            self._decide(reference, answer) for reference in references for answer in answers
        ]
        if True in decisions:
            right = answers[decisions.index(True) % len(answers)]
            return judged(Outcome.CORRECT, answer=right)
        if None not in decisions:
            return judged(Outcome.INCORRECT, answer=answers[0])
        for answer in answers:
            if detail := excess(answer, references):
                return failed(Outcome.RESOURCE_EXHAUSTED, detail, cause=Cause.ITEM, answer=answer)
        return Question(kind="answers", texts=answers, references=tuple(references))

    def _answers(self, response: str) -> tuple[str, ...]:
        """The answer, and where several boxes stand together, also the list of them."""
        spoken = strip_thinking(response) if self._strip_thinking else response
        if spoken is None:
            return ()
        if self._first:
            box = first_box(spoken)
        else:
            box = last_box(spoken)
            if box is not None and spoken.count("\\boxed") > 1:
                return _of_several(box, spoken)
        if box is None and not self._box_required:
            box = final_answer(spoken)
        return (box,) if box else ()

    def _decide(self, reference: str, answer: str) -> bool | None:
        gold, found = paired(reference, answer)
        if not found:
            return False
        told = decide(gold, found, any_order=self._any_order)
        # Within a tolerance, what is certainly different may count as equal.
        return None if told is False and self._policy.is_tolerant else told

    def _references(self, references: Sequence[str]) -> Verdict | Question:
        if not references:
            return _no_reference(references)
        unsound = None if _take_long(references) else _unsound(references)
        return unsound or Question(kind="references", texts=(), references=tuple(references))


def _of_several(last: str, spoken: str) -> tuple[str, ...]:
    """The answers of a response with more than one box.

    Boxes that commas or words join are one list: "41 or 42" is no answer to 42.
    """
    boxes = last_boxes(spoken)
    distinct = list(dict.fromkeys(boxes.texts))
    if len(distinct) == 1 or not last:
        return (last,) if last else ()
    joined = ", ".join(distinct)
    return (joined,) if boxes.listed else (last, joined)


def _no_reference(references: Sequence[str]) -> Verdict:
    if not references:
        return failed(Outcome.INVALID_REFERENCE, "no reference can be read: none given")
    shown, why = repr(references[0][:80]), problem(references[0])
    return failed(Outcome.INVALID_REFERENCE, f"no reference can be read: {shown}: {why}")


def _unsound(references: Sequence[str]) -> Verdict | None:
    """What is wrong with the first reference that cannot be read; None if all can."""
    for reference in references:
        if why := problem(reference):
            detail = f"the reference {reference[:80]!r} cannot be read: {why}"
            return failed(Outcome.INVALID_REFERENCE, detail)
    return None


def _take_long(references: Sequence[str]) -> bool:
    """Whether comparing with the references takes longer than the event loop can wait."""
    if len(references) > _MAX_QUICK_REFERENCES:
        return True
    return sum(map(len, references)) > _MAX_QUICK_REFERENCE_CHARS
