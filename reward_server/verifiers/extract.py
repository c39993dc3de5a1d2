"""Finds the answer in a response; every function takes time linear in the text."""

from __future__ import annotations

import re
from collections import deque
from typing import NamedTuple

_THINK_TAG = re.compile("</?think>")
_BRACE = re.compile(r"\\f?box(?:ed)?\s*\{|\\.|[{}]", re.DOTALL)
_PHRASE = re.compile(
    r"(?:answer|(?:correct|right)\s+(?:option|choice))[ \t]*(?:is|:|=|\*\*:|:\*\*)[ \t]*:?|####",
    re.IGNORECASE,
)
_MATH = re.compile(
    r"\$\$(?P<display>[^$]+)\$\$|(?<!\\)\$(?P<inline>[^$\n]+)(?<!\\)\$"
    r"|\\\[(?P<bracket>(?:[^\\]|\\(?![\[\]]))+)\\\]|\\\((?P<paren>(?:[^\\]|\\(?![()]))+)\\\)"
)
_NUMBER = re.compile(
    r"-?\\[dt]?frac\{\d+(?:\.\d+)?\}\{\d+(?:\.\d+)?\}|"
    r"(?:(?<![\w.)\]}])[+\-\u2212])?"
    r"(?:\d{1,3}(?:,\d{3})+(?!\d)(?:\.\d+)?|\d+(?:\.\d+|,\d{1,2}(?![\d,]))?|(?<!\d)\.\d+)"
    r"(?:[eE][+\-]?\d+(?!\w|\.\d))?(?:/\d+(?:\.\d+)?(?![\w/]))?",
    re.ASCII,
)
_SENTENCE_END = re.compile(r"\.(?=\s|$)|\n")
_LINK = re.compile(
    r"(?:[\s$,;]|\\q?quad|\\[()\[\]])*(?:and|or|\\text\{ ?(?:and|or) ?\})?"
    r"(?:[\s$,;]|\\q?quad|\\[()\[\]])*(?:[A-Za-z](?:_\{?\w{1,8}\}?)?\s{0,3}=\s{0,3})?"
)
_LISTING = re.compile(r"[,;]|and|or")
_OPEN_CHOICE = re.compile(r"\b(?:or|not|either|neither|between)\b", re.IGNORECASE)
_WORD = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
_PLAIN_BOX = "\\boxed{"
_TAIL_CHARS = 4096
_MAX_LINK_CHARS = 40
_MAX_TAIL_CHARS = 2000
_MAX_BARE_CHARS = 100


def strip_thinking(text: str) -> str | None:
    """The text outside think tags; None if it ends while thinking.

    A closing tag without an opening one ends thinking that began in the prompt.
    """
    if "think>" not in text:
        return text
    spoken: list[str] = []
    position: int | None = 0  # where the text that is spoken began; None while thinking
    for tag in _THINK_TAG.finditer(text):
        if tag.group() == "<think>":
            if position is not None:
                spoken.append(text[position : tag.start()])
            position = None
        else:
            if position is not None:
                spoken.clear()
            position = tag.end()
    return None if position is None else "".join([*spoken, text[position:]])


def last_box(text: str) -> str | None:
    r"""What stands in the last complete `\boxed{...}`, or None."""
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    end = text.find("}", start)
    content = text[start + len(_PLAIN_BOX) : end]
    if (
        end > 0
        and text.startswith(_PLAIN_BOX, start)
        and "{" not in content
        and "\\" not in content
    ):
        return content.strip()
    spans = _complete_boxes(text, start) or _complete_boxes(text, 0)
    if not spans:
        return None
    first, last = max(spans)
    return text[first:last].strip()


def first_box(text: str) -> str | None:
    r"""What stands in the first complete `\boxed{...}`, or None."""
    spans = _complete_boxes(text, 0)
    if not spans:
        return None
    first, last = min(spans)
    return text[first:last].strip()


class Boxes(NamedTuple):
    """Boxes that stand together."""

    texts: list[str]
    """What is in them, in order."""
    listed: bool
    """True if commas or words join them, and not just blanks."""


def last_boxes(text: str) -> Boxes:
    """The last complete box and those joined to it by blanks, commas or `and`."""
    spans = sorted(_complete_boxes(text, 0)) if "box" in text else []
    joined: list[str] = []
    following = 0
    listed = False
    for first, last in reversed(spans):
        between = text[last + 1 : following]
        if joined and (len(between) > _MAX_LINK_CHARS or not _LINK.fullmatch(between)):
            break
        listed = listed or (bool(joined) and bool(_LISTING.search(between)))
        joined.append(text[first:last].strip())
        following = text.rfind("\\", 0, first)
    return Boxes(joined[::-1], listed)


def _complete_boxes(text: str, start: int) -> list[tuple[int, int]]:
    """The content's beginning and end of each box that is closed, from `start` on."""
    spans: list[tuple[int, int]] = []
    open_braces: list[int] = []
    for match in _BRACE.finditer(text, start):
        brace = match.group()
        if brace == "{":
            open_braces.append(-1)
        elif brace == "}":
            if open_braces and (first := open_braces.pop()) >= 0:
                spans.append((first, match.start()))
        elif len(brace) > 2:
            open_braces.append(match.end())
    return spans


def last_number(text: str) -> str | None:
    """The last number as it is written, or None."""
    found = None
    if len(text) > 2 * _TAIL_CHARS:
        found = _last(_NUMBER, text[-_TAIL_CHARS:])
        # So near the cut it could be a part of a longer number.
        if found and found.start() < _TAIL_CHARS // 4:
            found = None
    found = found or _last(_NUMBER, text)
    return found.group() if found else None


def final_answer(text: str) -> str | None:
    """The answer of a response without a box, or None where nothing looks like one.

    What follows the last "answer is", "Answer:" or "####" counts first; else the last formula or
    number, or the whole of a short text without words.
    """
    statement = _statement(text)
    if statement is not None:
        if not _WORD.search(statement) and "$" not in statement:
            return statement
        if _OPEN_CHOICE.search(statement):
            return statement[:_MAX_BARE_CHARS]
        first = _NUMBER.match(statement)
        # "42, which is 6 times 7" says 42, but "6 times 7 = 42" and "the largest $n$ is 42" too.
        if first and "=" not in statement:
            return first.group()
        return _last_formula(statement) or statement[:_MAX_BARE_CHARS]
    bare = text.strip()
    if bare and len(bare) <= _MAX_BARE_CHARS and not _WORD.search(bare) and "$" not in bare:
        return bare
    return _last_formula(text)


def _statement(text: str) -> str | None:
    found = _last(_PHRASE, text)
    if found is None:
        return None
    tail = text[found.end() : found.end() + _MAX_TAIL_CHARS].strip().lstrip("*_ ")
    if match := _MATH.match(tail):
        return match.group()
    end = _SENTENCE_END.search(tail)
    return (tail[: end.start()] if end else tail).strip().strip("*_ ") or None


def _last_formula(text: str) -> str | None:
    formula = _last(_MATH, text)
    number = _last(_NUMBER, text, formula.end() if formula else 0)
    if number is not None:
        return number.group()
    return _inside(formula) if formula is not None else None


def _last(pattern: re.Pattern[str], text: str, start: int = 0) -> re.Match[str] | None:
    found = deque(pattern.finditer(text, start), maxlen=1)
    return found[0] if found else None


def _inside(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None).strip()
