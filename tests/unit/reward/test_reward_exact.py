from typing import Any

import pytest

from reward_server.verifiers.base import Item, Outcome, Verdict
from reward_server.verifiers.exact import ExactVerifier
from trimtab.config.verifiers import ExactVerifierConfig


def graded(response: str, *references: str, **options: Any) -> Verdict:
    verifier = ExactVerifier(ExactVerifierConfig(**options).model_dump())
    return verifier.quick(Item(id="1", response=response, references=references))


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("  New \n York ", {}),
        ("<think>Boston?</think>New York", {}),
        ("new york", {"ignore_case": True}),
        ("«New, York!»", {"ignore_punctuation": True}),
        ("I would say:\nNew York\n", {"extract": "last_line"}),
        (r"\boxed{Boston} or rather \boxed{New York}", {"extract": "last_box"}),
        ("<answer>Boston</answer> <answer>New York</answer>", {"extract": "tag"}),
        ("<a-1>New York</a-1>", {"extract": "tag", "tag": "a-1"}),
    ],
)
def test_what_is_equal_after_tidying(response: str, options: dict[str, Any]) -> None:
    assert graded(response, "New York", **options).outcome is Outcome.CORRECT


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("new york", {}),
        ("New York!", {}),
        ("It is New York", {}),
        (" New  York", {"ignore_blanks": False}),
        ("New York\nis the answer", {"extract": "last_line"}),
    ],
)
def test_what_is_not_equal(response: str, options: dict[str, Any]) -> None:
    assert graded(response, "New York", **options).outcome is Outcome.INCORRECT


@pytest.mark.parametrize(
    ("response", "options"),
    [
        ("  ", {}),
        ("<think>New York", {}),
        ("New York", {"extract": "last_box"}),
        ("New York</answer>", {"extract": "tag"}),
        ("<answer>New York", {"extract": "tag"}),
    ],
)
def test_without_an_answer(response: str, options: dict[str, Any]) -> None:
    assert graded(response, "New York", **options).outcome is Outcome.NO_ANSWER


def test_composed_and_decomposed_characters_are_the_same_text() -> None:
    assert graded("Zu\u0308rich", "Z\u00fcrich").outcome is Outcome.CORRECT


def test_one_of_the_references_suffices_and_one_is_needed() -> None:
    assert graded("NYC", "New York", "NYC").outcome is Outcome.CORRECT
    assert graded("", " ").outcome is Outcome.INVALID_REFERENCE
    assert graded("x").outcome is Outcome.INVALID_REFERENCE
