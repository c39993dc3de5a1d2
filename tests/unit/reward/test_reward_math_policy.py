"""Each option of `math`, with an answer whose verdict it turns."""

from typing import Any

import pytest

from reward_server.verifiers.base import Outcome
from reward_server.verifiers.math import MathVerifier
from tests.unit.reward.math_grading import is_right, verdict_of
from trimtab.config.verifiers import MathVerifierConfig

TURNED: list[tuple[str, Any, str, str, bool]] = [
    # option, value, gold, answer, right by default
    ("units", "require", "7 cm", "7", True),
    ("units", "ignore", "7 cm", r"7\text{ m}", False),
    ("percent", "unit", r"15\%", "0.15", True),
    ("percent", "value", r"15\%", "15", True),
    ("percent", "strict", "15", r"15\%", True),
    ("list_order", "require", "5, 9", "9, 5", True),
    ("absolute_tolerance", 0.01, "2.50", "2.505", False),
    ("relative_tolerance", 0.01, "100", "100.5", False),
    ("relative_tolerance", 0.01, r"\pi", r"3.13", False),
    ("rounded_digits", 0, r"\frac{1}{3}", "0.333333", True),
    ("rounded_digits", 3, r"\frac{1}{3}", "0.333", False),
]


@pytest.mark.parametrize(("option", "value", "gold", "answer", "by_default"), TURNED)
def test_an_option_turns_the_verdict(
    option: str, value: object, gold: str, answer: str, by_default: bool
) -> None:
    assert is_right(gold, answer) is by_default
    assert is_right(gold, answer, **{option: value}) is not by_default


@pytest.mark.parametrize(
    "options", [{"units": "require"}, {"list_order": "require"}, {"relative_tolerance": 0.01}]
)
def test_plain_answers_are_judged_the_same_by_every_policy(options: dict[str, Any]) -> None:
    assert is_right("42", "42", **options)
    assert is_right("1/2", "0.5", **options)
    assert not is_right("42", "41", **options)
    assert not is_right("42", "-42", **options)


def test_the_same_unit_satisfies_a_policy_that_requires_it() -> None:
    assert is_right("7 cm", r"7\text{ centimeters}", units="require")


def test_a_percentage_equals_itself_by_every_policy() -> None:
    for percent in ("either", "unit", "value", "strict"):
        assert is_right(r"15\%", r"\frac{30}{2}\%", percent=percent)


def test_a_box_can_be_required() -> None:
    assert verdict_of("The answer is 8.", "8").outcome is Outcome.CORRECT
    assert verdict_of("The answer is 8.", "8", box="required").outcome is Outcome.NO_ANSWER
    assert verdict_of(r"\boxed{8}", "8", box="required").outcome is Outcome.CORRECT


def test_the_first_box_can_count() -> None:
    response = r"\boxed{8} and later, on second thought, it must be that \boxed{9}"
    assert verdict_of(response, "9").outcome is Outcome.CORRECT
    assert verdict_of(response, "8").outcome is Outcome.INCORRECT
    assert verdict_of(response, "8", answer="first").outcome is Outcome.CORRECT


def test_every_option_of_the_config_changes_the_version() -> None:
    options = MathVerifierConfig().model_dump(exclude={"type"})
    plain = MathVerifier(options).version
    changed = {"strip_thinking": False, "box": "required", "answer": "first"}
    changed |= {option: value for option, value, *_ in TURNED}
    assert set(changed) == set(options)
    versions = {MathVerifier(options | {name: value}).version for name, value in changed.items()}
    assert len(versions | {plain}) == len(changed) + 1
