"""What verifiers take and give."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol


class Outcome(StrEnum):
    """What became of an item; the contract's `Outcome`, name by name."""

    CORRECT = "CORRECT"
    INCORRECT = "INCORRECT"
    NO_ANSWER = "NO_ANSWER"
    SCORED = "SCORED"
    ABSTAINED = "ABSTAINED"
    INVALID_REFERENCE = "INVALID_REFERENCE"
    TIMED_OUT = "TIMED_OUT"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    VERIFIER_ERROR = "VERIFIER_ERROR"
    UNAVAILABLE = "UNAVAILABLE"


class Cause(StrEnum):
    """Who is to blame for an outcome without a reward; the contract's `Cause`."""

    UNSPECIFIED = "UNSPECIFIED"
    ITEM = "ITEM"
    MACHINERY = "MACHINERY"


REWARDED = frozenset((Outcome.CORRECT, Outcome.INCORRECT, Outcome.NO_ANSWER, Outcome.SCORED))
"""The outcomes that carry a reward."""
_REWARDS: Mapping[Outcome, float] = {
    Outcome.CORRECT: 1.0,
    Outcome.INCORRECT: 0.0,
    Outcome.NO_ANSWER: 0.0,
}


# Frozen ones take three times as long to make, and every item makes one of each. They are shared
# all the same, and nobody changes them.
@dataclass(slots=True, kw_only=True)
class Verdict:
    """A verifier's judgement of one response."""

    outcome: Outcome
    """What became of it."""
    reward: float | None = None
    """The reward where the outcome carries one; see `judged` for the usual values."""
    extracted_answer: str = ""
    """The answer that was found in the response."""
    detail: str = ""
    """One line for people."""
    cause: Cause = Cause.UNSPECIFIED
    """Who is to blame, where there is no reward."""
    components: Mapping[str, float] = field(default_factory=dict)
    """The parts that the reward was made from, by name."""
    confidence: float | None = None
    """How sure the verifier is, in [0, 1]; None: it does not say."""


def judged(
    outcome: Outcome,
    *,
    answer: str = "",
    detail: str = "",
    components: Mapping[str, float] | None = None,
) -> Verdict:
    """A verdict that carries the outcome's usual reward."""
    return Verdict(
        outcome=outcome,
        reward=_REWARDS[outcome],
        extracted_answer=answer,
        detail=detail,
        components=components or {},
    )


def failed(
    outcome: Outcome, detail: str, *, cause: Cause = Cause.MACHINERY, answer: str = ""
) -> Verdict:
    """A verdict without a reward."""
    return Verdict(outcome=outcome, detail=detail, cause=cause, extracted_answer=answer)


@dataclass(slots=True, kw_only=True)
class Item:
    """One response to judge."""

    id: str
    """Unique in its request."""
    verifier: str = ""
    """Name of the verifier; empty: the first one."""
    prompt: str = ""
    """The prompt as text."""
    response: str = ""
    """The text to judge."""
    references: tuple[str, ...] = ()
    """Alternative right answers."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the caller says about it."""
    timeout_s: float | None = None
    """The item's own time limit."""
    verifier_version: str | None = None
    """The version that must judge; none: any."""
    origin: object = field(default=None, compare=False, repr=False)
    """The item as it came, for whoever passes it on; verifiers leave it alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a worker has to judge. Equal questions to one verifier version have equal verdicts."""

    kind: str
    """How the verifier reads the texts."""
    texts: tuple[str, ...]
    """What the verdict depends on besides the references, as the extracted answer."""
    references: tuple[str, ...]
    """Alternative right answers."""


class Verifier(Protocol):
    """Judges responses, in two steps.

    `quick` runs inside the server: it takes bounded, linear time and memory whatever the text is,
    and gives a question where it cannot tell. `judge` answers it in a worker process that is killed
    at the deadline, so it may call what is slow or fragile.
    """

    @property
    def type(self) -> str:
        """The kind of verifier, as the config names it."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the code or the options change what it says."""
        ...

    @property
    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        ...

    @property
    def reads_references(self) -> bool:
        """False if the references do not matter, however long they are."""
        ...

    @property
    def worker_module(self) -> str | None:
        """What workers load ahead, by calling its `warm_up`; None: `quick` always tells."""
        ...

    def quick(self, item: Item) -> Verdict | Question:
        """The verdict, or the question where it takes `judge` to tell."""
        ...

    def judge(self, question: Question) -> Verdict:
        """The verdict on a question of its own; may take any time and memory."""
        ...


def version_of(kind: str, revision: int, options: Mapping[str, Any]) -> str:
    """The version of a verifier: its kind, the revision of its code and a digest of its options."""
    canonical = json.dumps(options, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    return f"{kind}-{revision}+{digest}"
