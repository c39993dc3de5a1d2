"""Decides what two answers tell without algebra, in bounded time and memory."""

from __future__ import annotations

import re
from itertools import accumulate

from reward_server.verifiers.mathematics.latex import canonical
from reward_server.verifiers.mathematics.refute import refute
from reward_server.verifiers.mathematics.words import decide_words
from reward_server.verifiers.numbers import OutOfRange, read_integer, read_number, tidy

_CHOICE = re.compile(r"\(?(?:\\(?:text|mathrm|textbf|mathbf)\{\(?)?([A-Z])\)?\}?\)?")
_COMMA_DECIMAL = re.compile(r"[+\-]?\d+,(?:\d{1,2}|\d{4,})", re.ASCII)
_NAME = re.compile(
    r"\s*(?:[A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega))(?:_\w|_\{\w+\})?"
    r"(?:\([A-Za-z]\))?\s*=(?!=)",
    re.ASCII,
)
_MAX_CHARS = 2000
_MAX_LIST_DEPTH = 2
_MAX_PARTS = 30


def decide(reference: str, answer: str) -> bool | None:
    """Whether they are equal, where that is certain; else None."""
    whole, other = read_integer(reference), read_integer(answer)
    if whole is not None and other is not None:
        return whole == other
    equal = _written_alike(reference, answer, 0)
    return False if equal is None and refute(reference, answer) else equal


def _written_alike(reference: str, answer: str, depth: int) -> bool | None:
    """What the writing alone tells."""
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
    if max(len(reference), len(answer)) > _MAX_CHARS:
        return None
    if _COMMA_DECIMAL.fullmatch(gold) and found == gold.replace(",", "."):
        return True
    if _COMMA_DECIMAL.fullmatch(found) and gold == found.replace(",", "."):
        return True
    choice, chosen = _CHOICE.fullmatch(gold), _CHOICE.fullmatch(found)
    if choice and chosen:
        return choice[1] == chosen[1]
    if (choice and len(gold) > 1 and found.isdigit()) or (
        chosen and len(found) > 1 and gold.isdigit()
    ):
        return False
    if (worded := decide_words(reference, answer)) is not None:
        return worded
    same = canonical(reference)
    if same is not None and same == canonical(answer):
        return True
    return True if _parts_alike(reference, answer, gold, found, depth) else None


def _parts_alike(reference: str, answer: str, gold: str, found: str, depth: int) -> bool:
    """Whether they are one value under a name and without, or lists of the same values."""
    if depth > _MAX_LIST_DEPTH:
        return False
    name, other_name = _NAME.match(reference), _NAME.match(answer)
    if bool(name) != bool(other_name):
        rest = reference[name.end() :] if name else reference
        other_rest = answer[other_name.end() :] if other_name else answer
        if "=" in rest or "=" in other_rest:
            return False
        return _written_alike(rest, other_rest, depth + 1) is True
    brackets, parts = _listed(gold)
    other_brackets, other_parts = _listed(found)
    if brackets != other_brackets or not 1 < len(parts) == len(other_parts) <= _MAX_PARTS:
        return False
    if brackets == r"\{\}":
        return _same_sets(parts, other_parts, depth)
    return all(
        _written_alike(part, other, depth + 1) is True
        for part, other in zip(parts, other_parts, strict=True)
    )


def _same_sets(parts: list[str], others: list[str], depth: int) -> bool:
    left = list(others)
    for part in parts:
        same = (other for other in left if _written_alike(part, other, depth + 1) is True)
        if (match := next(same, None)) is None:
            return False
        left.remove(match)
    return True


def _listed(text: str) -> tuple[str, list[str]]:
    """The brackets around the whole of a tidy list, and what commas part in it."""
    opening = r"\{" if text.startswith(r"\{") else text[:1] if text[:1] in {"(", "["} else ""
    if min(_depths(text)[1:-1], default=0) == 0:
        opening = ""
    closing = text[len(text) - len(opening) :]
    inner = text[len(opening) : len(text) - len(closing)]
    parts = [""]
    for character, depth in zip(inner, _depths(inner), strict=True):
        if character in ",;" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return opening + closing, parts


def _depths(text: str) -> list[int]:
    """How many brackets are open behind each character."""
    return list(accumulate((sign in "([{") - (sign in ")]}") for sign in text))


def _is_decimal(number: str) -> bool:
    return "." in number
