"""Finds the program in a response, in time linear in the text."""

from __future__ import annotations

import re
import textwrap

_FENCE = re.compile(r"^(?P<indent>[ \t>]*)(?P<mark>`{3,}|~{3,})(?P<tag>[^`\n]*)$", re.MULTILINE)
_MARKS = re.compile(r"[{}.,:=]")
_PYTHON = frozenset({"python", "python3", "py", "python2", "pypy", "pypy3", "py3"})


def last_program(text: str) -> str | None:
    """The last complete block marked as Python, else the last complete one without a mark."""
    marked: str | None = None
    unmarked: str | None = None
    opening: re.Match[str] | None = None
    for fence in _FENCE.finditer(text):
        if opening is None:
            opening = fence
            continue
        mark, opened = fence["mark"], opening["mark"]
        if fence["tag"].strip() or mark[0] != opened[0] or len(mark) < len(opened):
            continue
        words = _MARKS.sub(" ", opening["tag"].lower()).split()
        body = text[opening.end() + 1 : fence.start()]
        if opening["indent"]:
            body = textwrap.dedent(body)
        if words and words[0] in _PYTHON:
            marked = body
        elif not words:
            unmarked = body
        opening = None
    return unmarked if marked is None else marked
