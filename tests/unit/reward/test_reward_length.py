from typing import Any

import pytest
from pydantic import ValidationError

from reward_server.verifiers.base import Cause, Item, Outcome
from reward_server.verifiers.length import LengthVerifier
from trimtab.config.verifiers import LengthVerifierConfig


def verifier(**options: Any) -> LengthVerifier:
    return LengthVerifier(LengthVerifierConfig(**options).model_dump())


@pytest.mark.parametrize(
    ("tokens", "reward"), [(0, 0.0), (80, 0.0), (90, -0.5), (99, -0.95), (100, -1.0), (9999, -1.0)]
)
def test_the_penalty_grows_over_the_margin_and_is_capped(tokens: int, reward: float) -> None:
    item = Item(id="1", response="x", metadata={"token_count": float(tokens)})
    verdict = verifier(max_length=100, margin=20).quick(item)
    assert verdict.outcome is Outcome.SCORED
    assert verdict.reward == pytest.approx(reward)


def test_without_a_margin_the_penalty_is_a_step() -> None:
    step = verifier(max_length=3, unit="characters", penalty=0.25)
    assert step.quick(Item(id="1", response="ab")).reward == 0.0
    assert step.quick(Item(id="1", response="abc")).reward == -0.25


def test_words_are_counted_between_blanks() -> None:
    words = verifier(max_length=4, margin=2, unit="words")
    assert words.quick(Item(id="1", response=" one\n two three ")).reward == -0.5


@pytest.mark.parametrize("count", [None, "7", True, -1.0, float("nan")])
def test_tokens_that_are_not_counted_are_the_callers_error(count: object) -> None:
    metadata = {} if count is None else {"token_count": count}
    verdict = verifier(max_length=9).quick(Item(id="1", response="x", metadata=metadata))
    assert (verdict.outcome, verdict.cause) == (Outcome.VERIFIER_ERROR, Cause.MACHINERY)
    assert "metadata.token_count" in verdict.detail


def test_a_margin_beyond_the_maximum_is_refused() -> None:
    with pytest.raises(ValidationError, match="margin 11 is larger"):
        LengthVerifierConfig(max_length=10, margin=11)
