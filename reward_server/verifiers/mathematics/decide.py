"""Decides what the writing of two answers alone tells; linear, bounded and without algebra."""

from __future__ import annotations

import re

from reward_server.verifiers.numbers import OutOfRange, read_number, tidy

_CHOICE = re.compile(r"\(?(?:\\(?:text|mathrm|textbf|mathbf)\{\(?)?([A-Z])\)?\}?\)?")
_COMMA_DECIMAL = re.compile(r"[+\-]?\d+,(?:\d{1,2}|\d{4,})", re.ASCII)


def decide(reference: str, answer: str) -> bool | None:
    """Whether they are equal, where their writing alone tells; else None."""
    gold, found = tidy(reference), tidy(answer)
    if gold == found:
        return bool(gold)
    try:
        gold_value, found_value = read_number(gold), read_number(found)
    except OutOfRange:
        return None
    if gold_value is not None and found_value is not None:
        if gold_value == found_value:
            return True
        # 0.333 and 1/3 may be meant as equal; two decimals, or two fractions, may not.
        return None if _is_decimal(gold) != _is_decimal(found) else False
    if _COMMA_DECIMAL.fullmatch(gold) and found == gold.replace(",", "."):
        return True
    if _COMMA_DECIMAL.fullmatch(found) and gold == found.replace(",", "."):
        return True
    choice, chosen = _CHOICE.fullmatch(gold), _CHOICE.fullmatch(found)
    return choice[1] == chosen[1] if choice and chosen else None


def _is_decimal(number: str) -> bool:
    return "." in number
