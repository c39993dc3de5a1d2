"""Options of the `math` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trimtab.config.base import Model


class MathVerifierConfig(Model):
    """Compares mathematical expressions, by rules of its own and by Math-Verify in a worker."""

    type: Literal["math"] = "math"
    """Which verifier."""
    strip_thinking: bool = True
    """Ignores what stands between think tags; a response that ends while thinking has no answer."""
    box: Literal["optional", "required"] = "optional"
    r"""Required: a response without a complete `\boxed{...}` has no answer."""
    answer: Literal["last", "first"] = "last"
    """Which box counts where there are several."""
    units: Literal["lenient", "ignore", "require"] = "lenient"
    """Lenient: a unit on one side only is ignored, two must agree. Require: the same or none."""
    percent: Literal["either", "unit", "value", "strict"] = "either"
    r"""What `10\%` equals: 10 (unit), 0.1 (value), either, or only another percentage (strict)."""
    list_order: Literal["ignore", "require"] = "ignore"
    """Whether bare lists, as `1, 2`, must come in the reference's order; tuples always must."""
    absolute_tolerance: float = Field(default=0.0, ge=0)
    """Largest difference of two numbers that counts as equal."""
    relative_tolerance: float = Field(default=0.0, ge=0)
    """Largest difference that counts as equal, as a share of the reference."""
    rounded_digits: int = Field(default=5, ge=0)
    """Significant digits from which on a decimal that rounds 1/3 or pi equals it; 0: never does."""
