"""What holds for every result of every call, whatever check made the call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.common.v1.outcome_pb2 import (
    CAUSE_MACHINERY,
    CAUSE_UNSPECIFIED,
    OUTCOME_INVALID_REFERENCE,
    OUTCOME_UNAVAILABLE,
    Cause,
    Outcome,
)
from trimtab.conformance.verdicts import REWARDED, outcome_name
from trimtab.reward.v1 import reward_pb2

Item = reward_pb2.ScoreItem
Result = reward_pb2.ScoreResult
Rule = Callable[[Result], str]

_MOST_ELAPSED_S = 365 * 86_400
_NANOS = 1_000_000_000
_SHOWN = 3


def _known_outcome(result: Result) -> str:
    if result.outcome and result.outcome in Outcome.values():
        return ""
    return "no outcome" if not result.outcome else f"{outcome_name(result.outcome)} is not known"


def _reward_by_outcome(result: Result) -> str:
    name = outcome_name(result.outcome)
    if result.outcome in REWARDED and not result.HasField("reward"):
        return f"{name} without a reward"
    if result.outcome not in REWARDED and result.HasField("reward"):
        return f"{name} with a reward of {result.reward:g}"
    return ""


def _finite_reward(result: Result) -> str:
    if result.HasField("reward") and not math.isfinite(result.reward):
        return f"{outcome_name(result.outcome)} with a reward of {result.reward}"
    return ""


def _finite_parts(result: Result) -> str:
    for name, value in result.components.items():
        if not math.isfinite(value):
            return f"component {name!r} is {value}"
    for span in result.spans:
        if not math.isfinite(span.reward):
            return f"a span's reward is {span.reward}"
    return ""


def _spans_fit(response: str, result: Result) -> str:
    for span in result.spans:
        if span.WhichOneof("start") == "first_token":
            continue  # how the sampler cut the response is not known here
        last = span.first_character + span.length
        if last > len(response):
            return f"a span ends at {last} in a response of {len(response)} code points"
    return ""


def _cause(result: Result) -> str:
    name = outcome_name(result.outcome)
    if result.cause not in Cause.values():
        return f"{name} with the unknown cause {result.cause}"
    cause = Cause.Name(result.cause).removeprefix("CAUSE_")
    if result.outcome in REWARDED:
        return f"{name} with cause {cause}" if result.cause != CAUSE_UNSPECIFIED else ""
    if result.cause == CAUSE_UNSPECIFIED:
        return f"{name} without a cause"
    blameless = result.outcome in (OUTCOME_INVALID_REFERENCE, OUTCOME_UNAVAILABLE)
    return f"{name} with cause {cause}" if blameless and result.cause != CAUSE_MACHINERY else ""


def _confidence(result: Result) -> str:
    if result.HasField("confidence") and not 0 <= result.confidence <= 1:
        return f"a confidence of {result.confidence:g}"
    return ""


def _elapsed(result: Result) -> str:
    seconds, nanos = result.elapsed.seconds, result.elapsed.nanos
    if 0 <= seconds < _MOST_ELAPSED_S and 0 <= nanos < _NANOS:
        return ""
    return f"an elapsed time of {seconds} s and {nanos} ns"


RULES: Mapping[str, Rule] = {
    "known-outcome": _known_outcome,
    "reward-by-outcome": _reward_by_outcome,
    "finite-reward": _finite_reward,
    "finite-parts": _finite_parts,
    "cause": _cause,
    "confidence": _confidence,
    "elapsed": _elapsed,
}
"""What holds for a result, by the name of the check; each gives what is wrong, or nothing."""
ONE_EACH = "one-result-per-item"
"""The law that every item of a batch has one result."""
IN_ORDER = "request-order"
"""The law that results come in the order of the items."""
SPANS_FIT = "spans-fit"
"""The law that spans lie within the response; takes the item to tell."""


@dataclass(slots=True)
class Breaches:
    """How a law was broken."""

    count: int = 0
    """How often."""
    examples: list[str] = field(default_factory=list)
    """The first few."""

    def add(self, text: str) -> None:
        """One more."""
        self.count += 1
        if len(self.examples) < _SHOWN:
            self.examples.append(text)


class Laws:
    """Looks at every result when it comes, and remembers what was wrong."""

    def __init__(self) -> None:
        self.result_count = 0
        """Results seen."""
        self.batch_count = 0
        """Whole batches seen."""
        self.breaches = {name: Breaches() for name in (ONE_EACH, IN_ORDER, SPANS_FIT, *RULES)}
        """By law."""

    def note_batch(self, items: Sequence[Item], results: Sequence[Result], where: str) -> None:
        """Looks at the results of one call."""
        self.batch_count += 1
        sent, found = [item.id for item in items], [result.id for result in results]
        if sent != found:
            if problem := _missing(sent, found):
                self.breaches[ONE_EACH].add(f"{problem} (in {where})")
            if problem := _disorder(sent, found):
                self.breaches[IN_ORDER].add(f"{problem} (in {where})")
        self.note_results(items, results, where)

    def note_results(self, items: Sequence[Item], results: Sequence[Result], where: str) -> None:
        """Looks at each result by itself."""
        self.result_count += len(results)
        responses = {item.id: item.response for item in items}
        for result in results:
            place = f"item {result.id[:40]!r} in {where}"
            for name, rule in RULES.items():
                if problem := rule(result):
                    self.breaches[name].add(f"{problem} ({place})")
            if result.id in responses and (problem := _spans_fit(responses[result.id], result)):
                self.breaches[SPANS_FIT].add(f"{problem} ({place})")


def _missing(sent: Sequence[str], found: Sequence[str]) -> str:
    lacking = list((Counter(sent) - Counter(found)).elements())
    surplus = list((Counter(found) - Counter(sent)).elements())
    if not lacking and not surplus:
        return ""
    parts = [f"{len(found)} results to {len(sent)} items"]
    if lacking:
        parts.append(f"none to {lacking[0][:40]!r}")
    if surplus:
        parts.append(f"one too many for {surplus[0][:40]!r}")
    return ", ".join(parts)


def _disorder(sent: Sequence[str], found: Sequence[str]) -> str:
    """What is out of order among the items that have results."""
    known, present = set(sent), set(found)
    ours = list(dict.fromkeys(name for name in found if name in known))
    wanted = [name for name in sent if name in present]
    for place, (name, other) in enumerate(zip(wanted, ours, strict=True)):
        if name != other:
            return f"the result of {other[:40]!r} in place {place}, where {name[:40]!r} belongs"
    return ""
