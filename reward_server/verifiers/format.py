"""Checks the shape of a response: a regular expression, boxes, think tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import re2

from reward_server.verifiers.base import (
    Item,
    Outcome,
    Question,
    Verdict,
    judged,
    version_of,
)
from reward_server.verifiers.extract import last_box, strip_thinking

REVISION = 1
_MAX_QUICK_CHARS = 1 << 16  # a pattern may be slow, though linear: the event loop must not wait
_MAX_PATTERN_BYTES = 32 << 20
_OPEN, _CLOSE = "<think>", "</think>"


class FormatVerifier:
    """The `format` verifier."""

    type = "format"
    worker_module: str | None = "reward_server.verifiers.format"
    reads_references = False

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `FormatVerifierConfig`.

        Raises:
            ValueError: RE2 does not take the pattern.
        """
        self.options = dict(options)
        self.version = version_of(self.type, REVISION, options)
        self._pattern = None if options["pattern"] is None else compiled(str(options["pattern"]))
        self._full = options["match"] == "full"
        self._boxed = str(options["boxed"])
        self._think_tags = str(options["think_tags"])
        self._partial = bool(options["partial"])

    def quick(self, item: Item) -> Verdict | Question:
        """The verdict, unless the response is long."""
        if len(item.response) > _MAX_QUICK_CHARS:
            return Question(kind="response", texts=(item.response,), references=())
        return self._verdict(item.response)

    def judge(self, question: Question) -> Verdict:
        """The verdict."""
        [response] = question.texts
        return self._verdict(response)

    def _verdict(self, response: str) -> Verdict:
        checks = self._checks(response)
        components = {name: float(holds) for name, holds in checks.items()}
        missed = ", ".join(name for name, holds in checks.items() if not holds)
        detail = f"does not hold: {missed}" if missed else ""
        if self._partial:
            share = sum(components.values()) / len(components)
            return Verdict(
                outcome=Outcome.SCORED, reward=share, components=components, detail=detail
            )
        outcome = Outcome.INCORRECT if missed else Outcome.CORRECT
        return judged(outcome, detail=detail, components=components)

    def _checks(self, response: str) -> dict[str, bool]:
        """Which of the checks that are asked for hold, by option."""
        checks: dict[str, bool] = {}
        if self._pattern is not None:
            find = self._pattern.fullmatch if self._full else self._pattern.search
            checks["pattern"] = find(response) is not None
        spoken = strip_thinking(response)
        if self._boxed != "any":
            boxed = bool(spoken and last_box(spoken))
            once = spoken is not None and spoken.count("\\boxed") == 1
            checks["boxed"] = boxed and (once or self._boxed == "required")
        if self._think_tags == "required":
            checks["think_tags"] = _thinks_once(response)
        elif self._think_tags == "forbidden":
            checks["think_tags"] = _OPEN not in response and _CLOSE not in response
        return checks


def compiled(pattern: str) -> Any:
    """The pattern, for texts of any length.

    Raises:
        ValueError: RE2 does not take it; says why.
    """
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    options.dot_nl = True
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        if isinstance(reason, bytes):
            reason = reason.decode(errors="replace")
        raise ValueError(f"pattern {pattern[:80]!r} is not RE2 syntax: {reason}") from error


def warm_up() -> None:
    """Workers need nothing beyond this module."""


def _thinks_once(response: str) -> bool:
    if response.count(_OPEN) != 1 or response.count(_CLOSE) != 1:
        return False
    before, _, rest = response.partition(_OPEN)
    _, closed, answer = rest.partition(_CLOSE)
    return not before.strip() and bool(closed) and bool(answer.strip())
