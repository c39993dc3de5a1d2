from typing import Any

import pytest
from pydantic import ValidationError

from reward_server.verifiers import build_verifiers
from reward_server.verifiers.base import Item, Outcome, Question, Verdict
from reward_server.verifiers.format import FormatVerifier
from trimtab.config.verifiers import FormatVerifierConfig
from trimtab.errors import ConfigError


def verifier(**options: Any) -> FormatVerifier:
    return FormatVerifier(FormatVerifierConfig(**options).model_dump())


def graded(response: str, **options: Any) -> Verdict:
    found = verifier(**options).quick(Item(id="1", response=response))
    assert isinstance(found, Verdict)
    return found


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("a\nb", {"pattern": "a.b"}),
        ("xxabxx", {"pattern": "ab", "match": "search"}),
        (r"\boxed{1} \boxed{2}", {"boxed": "required"}),
        (r"<think>\boxed{1}</think>\boxed{2}", {"boxed": "once"}),
        (" <think>so</think> yes", {"think_tags": "required"}),
        ("yes", {"think_tags": "forbidden"}),
    ],
)
def test_what_holds(response: str, options: dict[str, Any]) -> None:
    verdict = graded(response, **options)
    assert (verdict.outcome, verdict.reward) == (Outcome.CORRECT, 1.0)


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("xab", {"pattern": "ab"}),
        ("a b", {"pattern": "ab", "match": "search"}),
        (r"\boxed{1", {"boxed": "required"}),
        (r"\boxed{}", {"boxed": "required"}),
        (r"<think>\boxed{1}</think>", {"boxed": "required"}),
        (r"\boxed{1} \boxed{2}", {"boxed": "once"}),
        ("yes <think>so</think> yes", {"think_tags": "required"}),
        ("<think>so</think>", {"think_tags": "required"}),
        ("<think>so</think><think>so</think>yes", {"think_tags": "required"}),
        ("</think>so<think>yes", {"think_tags": "required"}),
        ("so</think> yes", {"think_tags": "forbidden"}),
    ],
)
def test_what_does_not_hold(response: str, options: dict[str, Any]) -> None:
    verdict = graded(response, **options)
    assert (verdict.outcome, verdict.reward) == (Outcome.INCORRECT, 0.0)
    assert next(iter(options)) in verdict.detail


def test_partial_rewards_the_share_of_checks() -> None:
    checks = {"pattern": "<think>.*", "boxed": "required", "think_tags": "required"}
    verdict = graded("<think>so</think> 4", partial=True, **checks)
    assert verdict.outcome is Outcome.SCORED
    assert verdict.reward == pytest.approx(2 / 3)
    assert verdict.components == {"pattern": 1.0, "boxed": 0.0, "think_tags": 1.0}


def test_a_pattern_that_backtracks_elsewhere_is_linear_here() -> None:
    assert graded("a" * 60_000, pattern="(a+)+b").outcome is Outcome.INCORRECT


def test_a_long_response_is_left_to_a_worker() -> None:
    checks = verifier(pattern="a+")
    question = checks.quick(Item(id="1", response="a" * 100_000))
    assert isinstance(question, Question)
    assert checks.judge(question).outcome is Outcome.CORRECT


def test_a_pattern_beyond_re2_names_its_verifier() -> None:
    config = FormatVerifierConfig(pattern="(?<=a)b").model_dump()
    with pytest.raises(ConfigError, match=r"verifiers\.shape.*not RE2 syntax"):
        build_verifiers({"shape": config})


def test_a_config_that_checks_nothing_is_refused() -> None:
    with pytest.raises(ValidationError, match="set pattern, boxed or think_tags"):
        FormatVerifierConfig()
