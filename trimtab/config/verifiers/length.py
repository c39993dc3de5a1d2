"""Options of the `length` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trimtab.config.base import Model


class LengthVerifierConfig(Model):
    """Penalises long responses: softly within a margin, up to a cap (arXiv 2503.14476, eq. 13)."""

    type: Literal["length"] = "length"
    """Which verifier."""
    max_length: int = Field(ge=1)
    """Length from which on the penalty is whole."""
    margin: int = Field(default=0, ge=0)
    """The penalty grows from 0 to the whole over the last `margin` before `max_length`."""
    penalty: float = Field(default=1.0, ge=0)
    """The whole penalty; the reward is between its negative and 0."""
    unit: Literal["tokens", "characters", "words"] = "tokens"
    """What is counted; `tokens` needs the number `token_count` in the item's metadata."""

    @model_validator(mode="after")
    def _margin_fits(self) -> LengthVerifierConfig:
        if self.margin > self.max_length:
            raise ValueError(
                f"margin {self.margin} is larger than max_length {self.max_length}: lower it"
            )
        return self
