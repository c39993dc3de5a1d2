"""The verifiers, by type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from reward_server.verifiers.base import Verifier
from reward_server.verifiers.choice import ChoiceVerifier
from reward_server.verifiers.code import CodeVerifier
from reward_server.verifiers.composite import Composite
from reward_server.verifiers.exact import ExactVerifier
from reward_server.verifiers.format import FormatVerifier
from reward_server.verifiers.length import LengthVerifier
from reward_server.verifiers.math import MathVerifier
from reward_server.verifiers.numeric import NumericVerifier
from trimtab.errors import ConfigError

T = TypeVar("T")
TYPES: Mapping[str, Callable[[Mapping[str, Any]], Verifier]] = {
    MathVerifier.type: MathVerifier,
    NumericVerifier.type: NumericVerifier,
    ChoiceVerifier.type: ChoiceVerifier,
    ExactVerifier.type: ExactVerifier,
    FormatVerifier.type: FormatVerifier,
    LengthVerifier.type: LengthVerifier,
    CodeVerifier.type: CodeVerifier,
}


def build_verifiers(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Verifier]:
    """The verifiers by name, in the given order, composites left out.

    Each config holds `type` and the options.

    Raises:
        ConfigError: options do not hold; names the verifier.
    """
    return {
        name: _built(name, TYPES[config["type"]], config)
        for name, config in configs.items()
        if config["type"] != Composite.type
    }


def build_composites(
    configs: Mapping[str, Mapping[str, Any]], verifiers: Mapping[str, Verifier]
) -> dict[str, Composite]:
    """The composites by name, in the given order, over verifiers built before.

    Raises:
        ConfigError: a part is no verifier; names the composite.
    """
    return {
        name: _built(name, lambda options: Composite(options, verifiers), config)
        for name, config in configs.items()
        if config["type"] == Composite.type
    }


def _built(name: str, make: Callable[[Mapping[str, Any]], T], config: Mapping[str, Any]) -> T:
    try:
        return make({key: value for key, value in config.items() if key != "type"})
    except ValueError as error:
        raise ConfigError(str(error), field=f"verifiers.{name}") from error
