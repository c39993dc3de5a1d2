"""Grades one response in this process, as a server and its worker would."""

from __future__ import annotations

from typing import Any

from reward_server.verifiers.base import Item, Question, Verdict
from reward_server.verifiers.math import MathVerifier


def verdict_of(response: str, *references: str, **options: Any) -> Verdict:
    """The verdict: by the quick step, else by the worker's."""
    verifier = MathVerifier(options)
    found = verifier.quick(Item(id="1", response=response, references=references))
    return verifier.judge(found) if isinstance(found, Question) else found


def is_right(gold: str, answer: str, **options: Any) -> bool:
    """Whether a boxed answer is CORRECT."""
    return verdict_of(rf"So it is $\boxed{{{answer}}}$.", gold, **options).reward == 1.0
