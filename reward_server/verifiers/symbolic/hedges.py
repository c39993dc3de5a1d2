"""Answers that do not commit themselves."""

from __future__ import annotations

import re

_LEADING_RELATION = re.compile(
    r"\s*(?:[<>≠≤≥≈~]|!=|\\(?:neq?|not|[lg]eq?|[lg]t|approx|sim|leqslant|geqslant)(?![a-zA-Z]))"
)
_HEDGE = re.compile(
    r"\b(?:or (?:more|less|greater|fewer|higher|lower|above|below)|at (?:least|most)|"
    r"(?:more|less|greater|fewer) than|not|about|around|approximately|any)\b",
    re.IGNORECASE,
)


def hedged(reference: str, answer: str) -> bool:
    """True for "> 5" or "5 or more", unless the reference is written like that as well."""
    return any(
        find(answer) and not find(reference) for find in (_HEDGE.search, _LEADING_RELATION.match)
    )
