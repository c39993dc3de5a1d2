"""Compares answers that are words rather than formulas."""

from __future__ import annotations

import re

from reward_server.verifiers.mathematics.refute import is_constant

_WRAPPED = re.compile(
    r"\$?\s*(?:\\(?:text|textbf|textit|textrm|textnormal|mathrm|mbox)\s*\{\s*([A-Za-z ]+?)\s*\}"
    r"|([A-Za-z]+))\s*\.?\s*\$?"
)
_OPPOSITES = (
    frozenset(["yes", "no"]),
    frozenset(["true", "false"]),
    frozenset(["even", "odd"]),
    frozenset(["positive", "negative"]),
    frozenset(["increasing", "decreasing"]),
    frozenset(["convergent", "divergent"]),
    frozenset(["converges", "diverges"]),
    frozenset(["north", "east", "south", "west"]),
    frozenset(["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
)
# Words that name a number, a unit or a function, or say that there is nothing to name.
_NUMBERLIKE = re.compile(
    r"zero|one|once|two|twi|thr|thi|four|fi[fv]|six|seven|eig|nin|ten|elev|twel|twen|hun|thou|mil"
    r"|bil|half|halv|quar|do[zu]|pair|sing|no|nil|nul|neither|never|inf|und|dne|nan|all|any|every"
    r"|emp|pi|tau|uni|e$|max|min|sin|cos|tan|log|ln|exp|sqrt|deg|per|cm|mm|km|kg|mg|ml",
)


def decide_words(reference: str, answer: str) -> bool | None:
    """Whether two answers are equal, one of which at least is a word; None where it is unclear."""
    gold, found = _word(reference), _word(answer)
    if gold and found:
        if gold == found:
            return True
        return False if any({gold, found} <= group for group in _OPPOSITES) else None
    word, other = (gold, answer) if gold else (found, reference)
    if not word or _NUMBERLIKE.match(word):
        return None
    return False if is_constant(other) else None


def _word(text: str) -> str:
    """The word that the text is, in small letters; empty if it is none."""
    if len(text) > 100 or not (match := _WRAPPED.fullmatch(text)):
        return ""
    word = " ".join((match[1] or match[2]).lower().split())
    return word if len(word) > 1 else ""
