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
_KNOWN = frozenset[str]().union(*_OPPOSITES)
# Words that name a number, a unit or a function, or say that there is nothing to name.
_NUMBERLIKE = re.compile(
    r"[ivxlcdm]+$|zero|fir|sec|mid|coup|deca|div|conv|unb|cannot|does|imp|one|once|two|twi|thr|thi|four|fi[fv]|six|seven|eig|nin|ten|elev|twel|twen|hun|thou|mil"
    r"|bil|half|halv|quar|do[zu]|pair|sing|no|nil|nul|neither|never|inf|und|dne|nan|all|any|every"
    r"|emp|pi|tau|uni|e$|max|min|sin|cos|tan|log|ln|exp|sqrt|deg|per|cm|mm|km|kg|mg|ml",
)


def decide_words(gold: Written, found: Written) -> bool | None:
    """Whether two answers are equal, one of which at least is a word; None where it is unclear."""
    word, other_word = _without_case(gold.word), _without_case(found.word)
    if word and other_word:
        if word == other_word:
            return True
        return False if any({word, other_word} <= group for group in _OPPOSITES) else None
    if not (word or other_word) or _NUMBERLIKE.match((word or other_word).lower()):
        return None
    return False if (found if word else gold).is_constant else None


def _without_case(word: str) -> str:
    """The word in small letters where capitals mean nothing; AB and ab are different products."""
    small = word.lower()
    return small if small in _KNOWN or (len(word) > 2 and word[1:].islower()) else word
