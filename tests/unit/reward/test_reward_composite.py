from typing import Any

import pytest

from reward_server.verifiers import build_composites, build_verifiers
from reward_server.verifiers.base import Cause, Outcome, Verdict, failed, judged
from reward_server.verifiers.composite import Composite
from trimtab.config.reward import RewardServerConfig
from trimtab.errors import ConfigError

RIGHT = judged(Outcome.CORRECT, answer="42")
WRONG = judged(Outcome.INCORRECT, answer="41")


def scored(reward: float) -> Verdict:
    return Verdict(outcome=Outcome.SCORED, reward=reward)


def composite(**options: Any) -> Composite:
    config = RewardServerConfig.model_validate(
        {
            "verifiers": {
                "math": {"type": "math"},
                "brief": {"type": "length", "max_length": 10},
                "total": {"type": "composite", **options},
            }
        }
    )
    configs = {name: model.model_dump() for name, model in config.verifiers.items()}
    return build_composites(configs, build_verifiers(configs))["total"]


def test_rewards_are_bounded_weighted_and_added() -> None:
    total = composite(parts={"math": {}, "brief": {"weight": 0.5, "minimum": -1.0}}, maximum=0.8)
    verdict = total.combine({"math": RIGHT, "brief": scored(-9.0)})
    assert (verdict.outcome, verdict.reward) == (Outcome.CORRECT, 0.5)
    assert verdict.components == {"math": 1.0, "brief": -9.0}
    assert verdict.extracted_answer == "42"
    assert total.combine({"math": RIGHT, "brief": scored(0.0)}).reward == 0.8


def test_behind_a_closed_gate_the_other_parts_count_nothing() -> None:
    total = composite(parts={"math": {"gate": 1.0}, "brief": {}})
    assert total.combine({"math": RIGHT, "brief": scored(-0.5)}).reward == 0.5
    verdict = total.combine({"math": WRONG, "brief": scored(-0.5)})
    assert (verdict.outcome, verdict.reward) == (Outcome.INCORRECT, 0.0)
    assert "gate of math" in verdict.detail


def test_a_part_without_a_verdict_leaves_the_whole_without() -> None:
    total = composite(parts={"math": {}, "brief": {}})
    broken = failed(Outcome.TIMED_OUT, "too slow", cause=Cause.ITEM)
    verdict = total.combine({"math": RIGHT, "brief": broken})
    assert (verdict.outcome, verdict.cause, verdict.reward) == (
        Outcome.TIMED_OUT,
        Cause.ITEM,
        None,
    )
    assert verdict.detail == "brief: too slow"


def test_a_part_that_abstains_is_left_out_unless_it_is_the_first() -> None:
    total = composite(parts={"math": {}, "brief": {}})
    silent = failed(Outcome.ABSTAINED, "no opinion")
    assert total.combine({"math": RIGHT, "brief": silent}).reward == 1.0
    assert total.combine({"math": silent, "brief": scored(1.0)}).outcome is Outcome.ABSTAINED


def test_the_version_covers_the_parts() -> None:
    first = composite(parts={"math": {}})
    assert first.version != composite(parts={"brief": {}}).version
    assert first.version == composite(parts={"math": {}}).version


def test_a_part_that_is_not_offered_is_named() -> None:
    with pytest.raises(ConfigError, match=r"verifiers\.total.*'chess' is no verifier.*math, brief"):
        composite(parts={"chess": {}})
