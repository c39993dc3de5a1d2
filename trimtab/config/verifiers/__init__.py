"""Options of the verifiers, one file a type."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from trimtab.config.verifiers.choice import ChoiceVerifierConfig
from trimtab.config.verifiers.code import CodeVerifierConfig
from trimtab.config.verifiers.composite import CompositeVerifierConfig
from trimtab.config.verifiers.exact import ExactVerifierConfig
from trimtab.config.verifiers.format import FormatVerifierConfig
from trimtab.config.verifiers.length import LengthVerifierConfig
from trimtab.config.verifiers.math import MathVerifierConfig
from trimtab.config.verifiers.numeric import NumericVerifierConfig

VerifierConfig = Annotated[
    MathVerifierConfig
    | NumericVerifierConfig
    | ChoiceVerifierConfig
    | ExactVerifierConfig
    | FormatVerifierConfig
    | LengthVerifierConfig
    | CodeVerifierConfig
    | CompositeVerifierConfig,
    Field(discriminator="type"),
]

__all__ = [
    "ChoiceVerifierConfig",
    "CodeVerifierConfig",
    "CompositeVerifierConfig",
    "ExactVerifierConfig",
    "FormatVerifierConfig",
    "LengthVerifierConfig",
    "MathVerifierConfig",
    "NumericVerifierConfig",
    "VerifierConfig",
]
