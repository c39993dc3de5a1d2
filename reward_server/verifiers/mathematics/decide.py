"""Decides what two answers tell without algebra, in bounded time and memory."""

from __future__ import annotations

import re
from fractions import Fraction

from reward_server.verifiers.mathematics.prove import prove
from reward_server.verifiers.mathematics.refute import refute
from reward_server.verifiers.mathematics.words import decide_words
from reward_server.verifiers.mathematics.written import MAX_CHARS, Written, written
from reward_server.verifiers.numbers import OutOfRange, read_integer

_COMMA_DECIMAL = re.compile(r"[+\-]?\d+,(?:\d{1,2}|\d{4,})", re.ASCII)
_MAX_LIST_DEPTH = 2
_MAX_PARTS = 30


def decide(reference: str, answer: str, *, any_order: bool = False) -> bool | None:
    """Whether they are equal, where that is certain; else None.

    With `any_order` lists without brackets are equal in whatever order, as sets always are.
    """
    whole, other = read_integer(reference), read_integer(answer)
    if whole is not None and other is not None:
        return whole == other
    gold, found = written(reference), written(answer)
    known = _decide_plain(gold, found)
    if known is not None or max(len(reference), len(answer)) > MAX_CHARS:
        return known
    # Most answers that are not written like the reference are wrong.
    if refute(gold.readings, found.readings) or _is_choice_for_value(gold, found):
        return False
    words = decide_words(gold, found)
    if words is not None:
        return words
    if _are_alike(gold, found, 0) or _are_proved(gold, found):
        return True
    return True if any_order and _are_same_lists(gold, found) else None


def _decide_plain(gold: Written, found: Written) -> bool | None:
    """What identical texts, plain numbers and single letters tell."""
    if gold.tidy == found.tidy:
        return bool(gold.tidy)
    try:
        gold_value, found_value = gold.number, found.number
    except OutOfRange:
        return None
    if gold_value is not None and found_value is not None:
        if gold_value == found_value:
            return True
        return None if _is_rounded(gold, found, abs(gold_value - found_value)) else False
    if gold.choice and found.choice:
        return gold.choice == found.choice
    return True if _is_comma_for_point(gold.tidy, found.tidy) else None


def _is_rounded(gold: Written, found: Written, difference: Fraction) -> bool:
    """True if one may be the other cut to so many decimals, as 0.333 is 1/3."""
    if ("." in gold.tidy) == ("." in found.tidy):
        return False
    places = (gold if "." in gold.tidy else found).tidy.partition(".")[2]
    return not places.isdigit() or difference * 10 ** len(places) < 1


def _is_choice_for_value(gold: Written, found: Written) -> bool:
    """True for the letter of an option beside a formula; a letter alone may be a variable."""
    choice, other = (gold, found) if gold.choice else (found, gold)
    return bool(choice.choice) and len(choice.tidy) > 1 and other.is_constant


def _is_comma_for_point(gold: str, found: str) -> bool:
    """True for an answer 1,5 to 1.5, and for 1.25 to 1,25; a reference 1,5 is a list."""
    if _COMMA_DECIMAL.fullmatch(found):
        return found.replace(",", ".") == gold
    is_decimal = _COMMA_DECIMAL.fullmatch(gold) and len(gold.partition(",")[2]) > 1
    return bool(is_decimal) and gold.replace(",", ".") == found


def _are_alike(gold: Written, found: Written, depth: int) -> bool:
    """Whether they are one formula in another writing, or lists of things that are."""
    if gold.canonical is not None and gold.canonical == found.canonical:
        return True
    if depth > _MAX_LIST_DEPTH:
        return False
    if bool(gold.value) != bool(found.value) and "=" not in (gold if found.value else found).text:
        pair = gold.value or gold.text, found.value or found.text
        return _are_equal(*pair, depth)
    brackets, parts = gold.listed
    other_brackets, others = found.listed
    if brackets != other_brackets or not 1 < len(parts) == len(others) <= _MAX_PARTS:
        return False
    if brackets == r"\{\}":
        return _are_same_sets(parts, others, depth)
    return all(_are_equal(part, other, depth) for part, other in zip(parts, others, strict=True))


def _are_proved(gold: Written, found: Written) -> bool:
    # With several readings it is not known which of them are meant.
    if not len(gold.readings) == len(found.readings) == 1:
        return False
    return prove(gold.readings[0], found.readings[0])


def _are_equal(a: str, b: str, depth: int) -> bool:
    gold, found = written(a), written(b)
    known = _decide_plain(gold, found)
    return _are_alike(gold, found, depth + 1) if known is None else known


def _are_same_lists(gold: Written, found: Written) -> bool:
    """Whether they list the same things in some order; names give things an order of their own."""
    brackets, parts = gold.listed
    other_brackets, others = found.listed
    if not {brackets, other_brackets} <= {"", r"\{\}"} or "=" in gold.text + found.text:
        return False
    if not 1 < len(parts) == len(others) <= _MAX_PARTS:
        return False
    return _are_same_sets(parts, others, 0)


def _are_same_sets(parts: list[str], others: list[str], depth: int) -> bool:
    left = list(others)
    for part in parts:
        same = (other for other in left if _are_equal(part, other, depth))
        if (match := next(same, None)) is None:
            return False
        left.remove(match)
    return True
