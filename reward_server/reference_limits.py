"""How many references an item may have, and how long they may be together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reward_server.verifiers.base import Verifier


@dataclass(frozen=True, slots=True)
class ReferencesLimit:
    """What one item may give a verifier to read."""

    max_count: int
    """Most references."""
    max_bytes: int
    """Most bytes of UTF-8, all of them together."""
    key: str
    """Where the config says `max_bytes`."""

    def excess(self, references: Sequence[str]) -> str:
        """What there is too much of, in words; empty: nothing."""
        if len(references) > self.max_count:
            return (
                f"{len(references)} references; at most {self.max_count} are read: "
                "give fewer or raise max_references"
            )
        # Characters are at least one byte each, which spares most texts the encoding.
        if 4 * sum(map(len, references)) <= self.max_bytes:
            return ""
        size_bytes = sum(len(text.encode()) for text in references)
        if size_bytes <= self.max_bytes:
            return ""
        return (
            f"the references have {size_bytes} bytes; at most {self.max_bytes} are read: "
            f"shorten them or raise {self.key}"
        )


def references_limits(
    verifiers: Mapping[str, Verifier], *, max_count: int, max_bytes: int
) -> dict[str, ReferencesLimit]:
    """The limits by name, of the verifiers that read references."""
    return {
        name: _limit(name, verifier.options, max_count, max_bytes)
        for name, verifier in verifiers.items()
        if verifier.reads_references
    }


def _limit(
    name: str, options: Mapping[str, Any], max_count: int, max_bytes: int
) -> ReferencesLimit:
    key = "max_references_bytes"
    if key in options:
        return ReferencesLimit(max_count, options[key], f"verifiers.{name}.{key}")
    return ReferencesLimit(max_count, max_bytes, key)
