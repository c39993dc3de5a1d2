"""The questions on which graders differ, as the options of `math` answer them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Policy:
    """How two answers are compared."""

    units: str = "lenient"
    percent: str = "either"
    list_order: str = "ignore"
    absolute_tolerance: float = 0.0
    relative_tolerance: float = 0.0
    rounded_digits: int = 5

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Policy:
        """The policy in a verifier's options."""
        return cls(**{name: options[name] for name in cls.__dataclass_fields__ if name in options})

    @property
    def is_tolerant(self) -> bool:
        """Whether numbers that differ may count as equal."""
        return self.absolute_tolerance > 0 or self.relative_tolerance > 0
