"""One reward from several verdicts, and what becomes of verdicts that break the contract."""

from __future__ import annotations

import math
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from trimtab.common.v1 import outcome_pb2
from trimtab.outcomes import REWARDED, checked, outcome_name
from trimtab.reward.v1 import reward_pb2
from trimtab.router.composition import compose

Result = reward_pb2.ScoreResult
CORRECT, INCORRECT = outcome_pb2.OUTCOME_CORRECT, outcome_pb2.OUTCOME_INCORRECT
TIMED_OUT, BROKEN = outcome_pb2.OUTCOME_TIMED_OUT, outcome_pb2.OUTCOME_VERIFIER_ERROR
ITEM, MACHINERY = outcome_pb2.CAUSE_ITEM, outcome_pb2.CAUSE_MACHINERY

GOOD = Result(id="i", outcome=CORRECT, reward=1.0, extracted_answer="3", verifier_version="m-1")
BAD = Result(id="i", outcome=INCORRECT, reward=0.0, detail="3 is not 4", verifier_version="m-1")
STYLE = Result(
    id="i",
    outcome=outcome_pb2.OUTCOME_SCORED,
    reward=0.5,
    components={"length": 0.25},
    spans=[reward_pb2.RewardSpan(first_token=2, length=3, reward=0.5)],
    verifier_version="s-2",
    elapsed=Duration(seconds=2),
)
SLOW = Result(id="i", outcome=TIMED_OUT, cause=ITEM, detail="too slow")
CUT = Result(id="i", outcome=TIMED_OUT, cause=MACHINERY, detail="cut by the deadline")
GONE = Result(id="i", outcome=outcome_pb2.OUTCOME_UNAVAILABLE, detail="no cause given")


def test_the_reward_is_the_weighted_sum() -> None:
    made = compose({"math": GOOD, "style": STYLE}, {"math": 2.0, "style": -0.5}, "exclude")
    assert made.reward == 2.0 * 1.0 - 0.5 * 0.5
    assert made.components == {"math": 1.0, "style": 0.5, "style/length": 0.25}
    assert list(made.spans) == list(STYLE.spans)
    assert made.verifier_version == "m-1,s-2"
    assert made.extracted_answer == "3"
    assert made.elapsed_s == 2.0
    assert made.valid
    assert made.correct


@pytest.mark.parametrize(
    ("results", "outcome"),
    [
        ({"math": GOOD, "style": BAD}, CORRECT),
        ({"math": BAD, "style": GOOD}, INCORRECT),
        ({"style": STYLE, "math": GOOD}, outcome_pb2.OUTCOME_SCORED),
    ],
)
def test_the_first_verifier_decides_the_outcome(
    results: dict[str, Result], outcome: outcome_pb2.Outcome.ValueType
) -> None:
    made = compose(results, {"math": 1.0, "style": 1.0}, "exclude")
    assert made.outcome == outcome
    assert made.correct == (outcome == CORRECT)
    assert made.detail == next(iter(results.values())).detail


@pytest.mark.parametrize("failure", [SLOW, CUT, GONE])
@pytest.mark.parametrize("first", [True, False])
def test_an_invalid_part_makes_the_sample_invalid(failure: Result, first: bool) -> None:
    both = [("math", failure), ("style", STYLE)]
    made = compose(dict(both if first else both[::-1]), {"math": 0.0, "style": 1.0}, "exclude")
    assert made.reward is None
    assert not made.valid
    assert not made.correct
    assert made.outcome == failure.outcome
    assert made.detail == failure.detail
    assert made.components == {"style": 0.5, "style/length": 0.25}


def test_a_failure_of_the_item_may_count_as_incorrect() -> None:
    made = compose({"math": SLOW, "style": STYLE}, {"math": 1.0, "style": 1.0}, "incorrect")
    assert made.outcome == INCORRECT
    assert made.reward == 0.5
    assert made.components["math"] == 0.0
    assert made.detail == "too slow"


@pytest.mark.parametrize("failure", [CUT, GONE])
def test_a_failure_of_the_machinery_never_does(failure: Result) -> None:
    for results in ({"math": failure}, {"math": SLOW, "style": failure}):
        made = compose(results, {"math": 1.0, "style": 1.0}, "incorrect")
        assert made.reward is None
        assert made.outcome == failure.outcome
        assert made.detail == failure.detail


@pytest.mark.parametrize("outcome", sorted(set(outcome_pb2.Outcome.values()) - {0}))
def test_results_that_keep_to_the_contract_pass(outcome: int) -> None:
    kind = outcome_pb2.Outcome.ValueType(outcome)
    result = Result(id="i", outcome=kind, reward=0.5 if outcome in REWARDED else None)
    assert checked(result) is result


REWARDLESS = sorted(set(outcome_pb2.Outcome.values()) - REWARDED - {0})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"outcome": 0}, "outcome 0 is not known"),
        ({"outcome": 77}, "outcome 77 is not known"),
        *(({"outcome": outcome}, "came without a reward") for outcome in sorted(REWARDED)),
        *(({"outcome": outcome, "reward": 0.0}, "came with a reward") for outcome in REWARDLESS),
        ({"outcome": CORRECT, "reward": math.nan}, "not finite"),
        ({"outcome": CORRECT, "reward": math.inf}, "not finite"),
        ({"outcome": CORRECT, "reward": 1.0, "components": {"a": math.nan}}, "not finite"),
        (
            {"outcome": CORRECT, "reward": 1.0, "spans": [reward_pb2.RewardSpan(reward=-math.inf)]},
            "not finite",
        ),
        ({"outcome": TIMED_OUT, "cause": 9}, "cause 9 is not known"),
        ({"outcome": CORRECT, "reward": 1.0, "elapsed": Duration(seconds=2**62)}, "elapsed"),
        ({"outcome": CORRECT, "reward": 1.0, "elapsed": Duration(seconds=-1)}, "elapsed"),
    ],
)
def test_results_that_break_the_contract_are_errors_of_the_verifier(
    fields: dict[str, Any], words: str
) -> None:
    made = checked(Result(id="i", verifier_version="v", **fields))
    assert made.id == "i"
    assert made.outcome == BROKEN
    assert not made.HasField("reward")
    assert made.cause == MACHINERY
    assert made.verifier_version == "v"
    assert "broke the contract" in made.detail
    assert words in made.detail


def test_outcomes_have_short_names() -> None:
    assert outcome_name(TIMED_OUT) == "timed_out"
