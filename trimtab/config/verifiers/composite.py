"""Options of the `composite` verifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from trimtab.config.base import Model


class PartConfig(Model):
    """One verifier's part in a composite reward."""

    weight: float = 1.0
    """Factor of the part's reward in the sum."""
    gate: float | None = None
    """Where the part's reward is below this, the other parts count nothing; none: no gate."""
    minimum: float | None = None
    """The part's reward is raised to this before it is weighted; none: not bounded."""
    maximum: float | None = None
    """The part's reward is lowered to this before it is weighted; none: not bounded."""

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> PartConfig:
        _check_bounds(self.minimum, self.maximum)
        return self


class CompositeVerifierConfig(Model):
    """Adds up the rewards of other verifiers of this server; the first decides the outcome."""

    type: Literal["composite"] = "composite"
    """Which verifier."""
    parts: dict[str, PartConfig] = Field(min_length=1)
    """Verifiers of this server by name; none may be a composite or a route."""
    minimum: float | None = None
    """The sum is raised to this; none: not bounded."""
    maximum: float | None = None
    """The sum is lowered to this; none: not bounded."""

    @model_validator(mode="after")
    def _bounds_are_ordered(self) -> CompositeVerifierConfig:
        _check_bounds(self.minimum, self.maximum)
        return self


def _check_bounds(minimum: float | None, maximum: float | None) -> None:
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"minimum {minimum:g} is above maximum {maximum:g}")
