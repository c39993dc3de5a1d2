from typing import Any

import pytest

from reward_server.verifiers.base import Item, Outcome, Verdict
from reward_server.verifiers.choice import ChoiceVerifier
from trimtab.config.verifiers import ChoiceVerifierConfig


def graded(response: str, *references: str, **options: Any) -> Verdict:
    verifier = ChoiceVerifier(ChoiceVerifierConfig(**options).model_dump())
    return verifier.quick(Item(id="1", response=response, references=references))


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{C}",
        r"\boxed{c}",
        r"\boxed{\text{C}}",
        r"\boxed{\textbf{(C)}~42}",
        r"\boxed{A} no, wait: \boxed{C}",
        "The answer is (C).",
        "Answer: **C**",
        "Option A is wrong, so the answer is option C, not B.",
        "After some work\n\n(C)",
        "C) blue whales",
        "<think>the answer is A</think>The answer is C",
    ],
)
def test_the_chosen_letter_is_found(response: str) -> None:
    verdict = graded(response, "C")
    assert (verdict.outcome, verdict.extracted_answer) == (Outcome.CORRECT, "C")


@pytest.mark.parametrize("reference", ["C", "(C)", r"\boxed{C}", r"$\text{C}$", "C. blue whales"])
def test_references_may_be_written_in_many_ways(reference: str) -> None:
    assert graded(r"\boxed{C}", reference).outcome is Outcome.CORRECT
    assert graded(r"\boxed{D}", reference).outcome is Outcome.INCORRECT


@pytest.mark.parametrize("response", [r"\boxed{A or C}", "The answer is A and C.", r"\boxed{A, C}"])
def test_hedging_is_wrong(response: str) -> None:
    for reference in "AC":
        verdict = graded(response, reference)
        assert verdict.outcome is Outcome.INCORRECT
        assert verdict.extracted_answer == "A, C"


@pytest.mark.parametrize(
    "response", ["", "I do not know.", "The answer is a cat", "<think>The answer is C"]
)
def test_without_a_letter_there_is_no_answer(response: str) -> None:
    assert graded(response, "C").outcome is Outcome.NO_ANSWER


def test_several_letters_are_a_set_where_the_options_say_so() -> None:
    assert graded(r"\boxed{C, A}", "A and C", several=True).outcome is Outcome.CORRECT
    assert graded(r"\boxed{A}", "A and C", several=True).outcome is Outcome.INCORRECT
    assert graded(r"\boxed{A or C}", "A, C", several=True).outcome is Outcome.INCORRECT
    assert graded(r"\boxed{A}", "A and C").outcome is Outcome.INVALID_REFERENCE


def test_letters_beyond_the_configured_ones_are_no_choice() -> None:
    assert graded(r"\boxed{E}", "A", letters="ABCD").outcome is Outcome.INCORRECT
    assert graded(r"\boxed{A}", "E", letters="ABCD").outcome is Outcome.INVALID_REFERENCE
    assert graded(r"\boxed{A}").outcome is Outcome.INVALID_REFERENCE
