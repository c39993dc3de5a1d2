from typing import Any

import pytest

from reward_server.verifiers.base import Cause, Item, Outcome, Verdict
from reward_server.verifiers.numeric import NumericVerifier

DEFAULTS = {"extract": "last_number", "absolute_tolerance": 0.0, "relative_tolerance": 0.0}


def graded(response: str, *references: str, **options: Any) -> Verdict:
    verifier = NumericVerifier({**DEFAULTS, **options})
    return verifier.quick(Item(id="1", response=response, references=references))


@pytest.mark.parametrize(
    ("reference", "response"),
    [
        ("7", "2 + 5 = 7"),
        ("1234", "in all 1,234."),
        ("-3", "it is -3"),
        ("0.75", "3/4"),
        ("1000", "1e3"),
        ("36", "she pays $36"),
        ("50", "that is 50%"),
        ("50%", "50"),
        ("$1,000", "1000.00"),
        (r"\boxed{9}", "9"),
    ],
)
def test_equal_numbers_are_correct(reference: str, response: str) -> None:
    verdict = graded(response, reference)
    assert (verdict.outcome, verdict.reward) == (Outcome.CORRECT, 1.0)


@pytest.mark.parametrize(
    ("reference", "response"),
    [("7", "8"), ("7", "7, or rather 8"), ("3", "-3"), ("1", "1.0000000000000000000001"),
     ("7", "1e999999999"), ("7", "9" * 100_000)],
)  # fmt: skip
def test_other_numbers_are_incorrect(reference: str, response: str) -> None:
    verdict = graded(response, reference)
    assert (verdict.outcome, verdict.reward) == (Outcome.INCORRECT, 0.0)


def test_each_way_of_extraction_looks_in_its_own_place() -> None:
    text = r"4 + 5 = 9, \boxed{8} and 7"
    assert graded(text, "7").outcome is Outcome.CORRECT
    assert graded(text, "8", extract="last_box").outcome is Outcome.CORRECT
    assert graded("4 + 5 = 9", "9", extract="after_last_equals").outcome is Outcome.CORRECT
    assert graded("9", "9", extract="after_last_equals").outcome is Outcome.NO_ANSWER
    assert graded("9", "9", extract="last_box").outcome is Outcome.NO_ANSWER
    assert graded(r"\boxed{x}", "9", extract="last_box").outcome is Outcome.NO_ANSWER
    assert graded("none", "9").outcome is Outcome.NO_ANSWER


def test_tolerances_allow_their_share() -> None:
    assert graded("3.14", "3.141", absolute_tolerance=0.01).outcome is Outcome.CORRECT
    assert graded("3.12", "3.141", absolute_tolerance=0.01).outcome is Outcome.INCORRECT
    assert graded("990", "1000", relative_tolerance=0.01).outcome is Outcome.CORRECT
    assert graded("989", "1000", relative_tolerance=0.01).outcome is Outcome.INCORRECT
    assert graded("-990", "-1000", relative_tolerance=0.01).outcome is Outcome.CORRECT


@pytest.mark.parametrize("references", [(), ("",), ("seven",), ("1e999999999",)])
def test_a_reference_that_is_no_number_is_the_machinerys_fault(
    references: tuple[str, ...],
) -> None:
    verdict = graded("7", *references)
    assert (verdict.outcome, verdict.cause) == (Outcome.INVALID_REFERENCE, Cause.MACHINERY)
    assert verdict.reward is None


def test_one_readable_reference_suffices() -> None:
    assert graded("7", "seven", "7").outcome is Outcome.CORRECT
