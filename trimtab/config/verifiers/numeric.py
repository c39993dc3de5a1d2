"""Options of the `numeric` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.config.base import Model


class NumericVerifierConfig(Model):
    """Compares one number with the reference."""

    type: Literal["numeric"] = "numeric"
    """Which verifier."""
    extract: Literal["last_box", "last_number", "after_last_equals"] = "last_number"
    """Where the answer stands in the response."""
    absolute_tolerance: float = Field(default=0.0, ge=0)
    """Largest difference that counts as equal."""
    relative_tolerance: float = Field(default=0.0, ge=0)
    """Largest difference that counts as equal, as a share of the reference."""
