"""References: without their boxes, and what is wrong with one as far as its writing tells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from reward_server.verifiers.extract import last_boxes

_MAX_REMEMBERED_CHARS = 200
_ESCAPED = re.compile(r"\\[\\{}]")
_UNFINISHED = re.compile(
    r"(?:\\(?:[dtc]?frac|d?binom|sqrt|left|right|boxed|text|mathrm|cdot|times|begin|end)|[\^_=+*/]|\\)"
    r"[\s$]*$|\\[dtc]?frac\s*\{[^{}]*\}[\s$]*$"
)


def readable(references: Sequence[str]) -> list[str]:
    """The references without their boxes, less those that cannot be read."""
    return [bare for text in references if (bare := _bare(text))]


def problem(reference: str) -> str | None:
    """Why a reference cannot be read, in words; None if its writing is sound."""
    text = _unboxed(reference)
    if not text.strip(" \t\n$"):
        return "it is empty"
    if not _paired(text):
        return "its braces are not paired"
    if _UNFINISHED.search(text):
        return "it ends before its time"
    if text.count("\\begin") != text.count("\\end"):
        return "an environment is not closed"
    return None


def _bare(reference: str) -> str:
    return _remembered(reference) if len(reference) <= _MAX_REMEMBERED_CHARS else _read(reference)


def _read(reference: str) -> str:
    """The reference without its boxes; empty where it cannot be read."""
    if problem(reference) is not None:
        return ""
    return _unboxed(reference)


_remembered = lru_cache(maxsize=4096)(_read)


def _unboxed(reference: str) -> str:
    boxes = last_boxes(reference).texts
    return ", ".join(boxes) if boxes else reference


def _paired(text: str) -> bool:
    depth = 0
    for character in _ESCAPED.sub("", text):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth < 0:
            return False
    return depth == 0
