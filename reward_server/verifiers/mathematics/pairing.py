"""A reference and an answer, made ready to be compared with each other."""

from __future__ import annotations

import re

from reward_server.verifiers.mathematics.dressing import MAX_CHARS, undress

_FONT = r"\\(?:text|textrm|mathrm|mbox|operatorname)"
_RADIANS = re.compile(rf"(?<![a-zA-Z])(?:{_FONT}\s*\{{\s*)?rad(?:ians?|s)?(?![a-zA-Z])\s*\}}?\s*$")
_DEGREES = re.compile(
    rf"\^\s*\{{\s*\\circ\s*\}}|\^\s*\\circ(?![a-zA-Z])|\\degree(?![a-zA-Z])|\u00b0"
    rf"|(?<![a-zA-Z])(?:{_FONT}\s*\{{\s*)?(?:degrees?|deg)(?![a-zA-Z])\s*\}}?"
)


def paired(reference: str, answer: str) -> tuple[str, str]:
    """Both in the writing that comparisons expect; an answer may come out empty."""
    if answer.isdigit() and reference.isdigit():
        return reference, answer
    gold, found = undress(reference), undress(answer)
    if max(len(gold), len(found)) > MAX_CHARS:
        return gold, found
    return _in_radians(gold, found)


def _in_radians(gold: str, found: str) -> tuple[str, str]:
    """Degrees in radians, where the other side says that it is in radians."""
    if "rad" not in gold and "rad" not in found:
        return gold, found
    for one, other in ((gold, found), (found, gold)):
        if _RADIANS.search(other) and _DEGREES.search(one):
            turned = _DEGREES.sub(lambda _: r"\cdot\frac{\pi}{180}", one)
            plain = _RADIANS.sub("", other).rstrip()
            return (turned, plain) if one is gold else (plain, turned)
    return gold, found
