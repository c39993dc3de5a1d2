"""The verifiers, by type."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from reward_server.verifiers.base import Verifier
from reward_server.verifiers.math import MathVerifier
from reward_server.verifiers.numeric import NumericVerifier

TYPES: Mapping[str, Callable[[Mapping[str, Any]], Verifier]] = {
    MathVerifier.type: MathVerifier,
    NumericVerifier.type: NumericVerifier,
}


def build_verifiers(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, Verifier]:
    """The verifiers by name, in the given order; each config holds `type` and the options."""
    return {
        name: TYPES[config["type"]]({key: value for key, value in config.items() if key != "type"})
        for name, config in configs.items()
    }
