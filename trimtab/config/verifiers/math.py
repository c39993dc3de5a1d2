"""Options of the `math` verifier."""

from __future__ import annotations

from typing import Literal

from trimtab.config.base import Model


class MathVerifierConfig(Model):
    """Compares mathematical expressions, by rules of its own and by Math-Verify in a worker."""

    type: Literal["math"] = "math"
    """Which verifier."""
    strip_thinking: bool = True
    """Ignores what stands between think tags; a response that ends while thinking has no answer."""
