"""Answers that do not commit themselves."""

from __future__ import annotations

import re

_LEADING_RELATION = re.compile(
    r"\s*(?:[<>≠≤≥≈~]|!=|\\(?:neq?|not|[lg]eq?|[lg]t|approx|sim|leqslant|geqslant)(?![a-zA-Z]))"
)
_DENIAL = re.compile(
    r"\b(?:wrong|incorrect|maybe|perhaps|possibly|probably|presumably|guess|unsure|neither|nor|"
    r"either|instead|except|unless|never|wait|but|otherwise than|rather than|mistake|invalid)\b",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"\b(?:squared|cubed|doubled|tripled|halved|factorial|dozens?|tenths?|(?:hundred|thousand|million)ths?|"
    r"etc|and\s+others|among|one of|cannot|can't|isn't|is\s+(?:false|no)|plus|minus|th\s+power)\b",
    re.IGNORECASE,
)
_TEXT = re.compile(r"\\(?:text\w*|mathrm|mathbf|mbox)\s*\{([^{}]*)\}")
_CHOICE_OR_NUMBER = re.compile(r"\bor\b|(?<![\^\w])\d")
_OR = re.compile(r"\bor\b")
_ONE_WORD = re.compile(r"\s*\w+\s*")
_DECIMAL = re.compile(r"\$?-?\d*\.\d+\$?", re.ASCII)
_ABOUT = re.compile(r"^\s*(?:\\approx(?![a-zA-Z])|\u2248)\s*(?=[\d.-])")
_HEDGE = re.compile(
    r"\b(?:or (?:more|less|greater|fewer|higher|lower|above|below)|at (?:least|most)|"
    r"(?:more|less|greater|fewer) than|not|about|around|approximately|any)\b",
    re.IGNORECASE,
)


def hedged(reference: str, answer: str) -> bool:
    """True for "> 5", "5 or more" and "5, but maybe 6", unless the reference is like that too."""
    if _DECIMAL.fullmatch(reference.strip()):
        answer = _ABOUT.sub("", answer)  # the reference is rounded as well
    signs = (_HEDGE.search, _LEADING_RELATION.match, _DENIAL.search, _changed, _second_thought)
    return any(find(answer) and not find(reference) for find in signs)


def _changed(text: str) -> bool:
    r"""Whether words make another value of a number, as in `5 \text{ squared}`."""
    return any(map(_CHANGE.search, _TEXT.findall(text)))


def _second_thought(text: str) -> bool:
    r"""Whether words hold another answer, as in `5 \text{ (or 6)}`, not `\text{3:30 PM}`."""
    for match in _TEXT.finditer(text):
        is_first = not text[: match.start()].strip()
        another = _OR if is_first else _CHOICE_OR_NUMBER
        if another.search(match[1]) and not _ONE_WORD.fullmatch(match[1]):
            return True
    return False
