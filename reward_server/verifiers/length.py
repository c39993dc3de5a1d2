"""The soft overlong penalty of DAPO (arXiv 2503.14476, equation 13)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from reward_server.verifiers.base import Item, Outcome, Verdict, failed
from reward_server.verifiers.in_server import InServerVerifier

TOKEN_COUNT = "token_count"  # noqa: S105 - the name of a number
"""Where an item's metadata says how many tokens the response has."""


class LengthVerifier(InServerVerifier):
    """The `length` verifier."""

    type = "length"
    reads_references = False
    revision = 1

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: those of `LengthVerifierConfig`."""
        super().__init__(options)
        self._max_length = int(options["max_length"])
        self._margin = int(options["margin"])
        self._penalty = float(options["penalty"])
        self._unit = str(options["unit"])

    def quick(self, item: Item) -> Verdict:
        """The verdict: a reward between minus the penalty and 0."""
        length = self._length(item)
        if length is None:
            detail = f"unit tokens needs the number metadata.{TOKEN_COUNT}, 0 or more: send it"
            return failed(Outcome.VERIFIER_ERROR, detail)
        over = length - (self._max_length - self._margin)
        share = 1.0 if length >= self._max_length else over / self._margin if over > 0 else 0.0
        return Verdict(
            outcome=Outcome.SCORED,
            reward=-self._penalty * share if share else 0.0,
            detail=f"{length:g} {self._unit}",
        )

    def _length(self, item: Item) -> float | None:
        if self._unit == "characters":
            return len(item.response)
        if self._unit == "words":
            return len(item.response.split())
        count = item.metadata.get(TOKEN_COUNT)
        if isinstance(count, bool) or not isinstance(count, int | float):
            return None
        return count if math.isfinite(count) and count >= 0 else None
