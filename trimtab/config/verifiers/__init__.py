"""Options of the verifiers, one file a type."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trimtab.config.verifiers.math import MathVerifierConfig
from trimtab.config.verifiers.numeric import NumericVerifierConfig

VerifierConfig = Annotated[
    MathVerifierConfig | NumericVerifierConfig,
    Field(discriminator="type"),
]

__all__ = ["MathVerifierConfig", "NumericVerifierConfig", "VerifierConfig"]
