"""Options of the `choice` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.config.base import Model


class ChoiceVerifierConfig(Model):
    """Compares the letter of a multiple-choice answer."""

    type: Literal["choice"] = "choice"
    """Which verifier."""
    letters: str = Field(default="ABCDEFGHIJ", pattern=r"^[A-Z]{2,26}$")
    """The letters that can be chosen."""
    several: bool = False
    """Allows questions with more than one right letter, as the reference "A, C"."""
    strip_thinking: bool = True
    """Ignores what stands between think tags; a response that ends while thinking has no answer."""
