"""Compares answers that are words rather than formulas."""

from __future__ import annotations

import re

from reward_server.verifiers.mathematics.written import Written

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
    r"[ivxlcdm]+$|zero|fir|sec|mid|coup|deca|div|conv|unb|cannot|does|imp|one|once|two|twi|thr|thi|four|fi[fv]|six|seven|eig|nin|ten|elev|twel|twen|hun|thou|mil"
    r"|bil|half|halv|quar|do[zu]|pair|sing|no|nil|nul|neither|never|inf|und|dne|nan|all|any|every"
    r"|emp|pi|tau|uni|e$|max|min|sin|cos|tan|log|ln|exp|sqrt|deg|per|cm|mm|km|kg|mg|ml",
)


def decide_words(gold: Written, found: Written) -> bool | None:
    """Whether two answers are equal, one of which at least is a word; None where it is unclear."""
    if gold.word and found.word:
        if gold.word == found.word:
            return True
        pair = {gold.word, found.word}
        return False if any(pair <= group for group in _OPPOSITES) else None
    word, other = (gold.word, found) if gold.word else (found.word, gold)
    if not word or _NUMBERLIKE.match(word):
        return None
    return False if other.is_constant else None
