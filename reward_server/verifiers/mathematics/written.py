"""Answers as they are written, and what can be told from that; worked out once, when needed."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import cached_property, lru_cache
from itertools import accumulate

from reward_server.verifiers.mathematics.formulas import Odd
from reward_server.verifiers.mathematics.latex import canonical, tokens_of
from reward_server.verifiers.mathematics.reader import read
from reward_server.verifiers.mathematics.readings import Reading
from reward_server.verifiers.numbers import read_number, tidy

MAX_CHARS = 1000
"""Longest text of which more than its number is told."""
_MAX_REMEMBERED_CHARS = 150
_CHOICE = re.compile(r"\(?(?:\\(?:text|mathrm|textbf|mathbf)\{\(?)?([A-Z])\)?\}?\)?")
_NAME = re.compile(
    r"\s*(?:[A-Za-z]|\\(?:alpha|beta|gamma|theta|lambda|mu|phi|omega))(?:_\w|_\{\w+\})?"
    r"(?:\([A-Za-z]\))?\s*=(?!=)",
    re.ASCII,
)
_WORD = re.compile(
    r"\$?\s*(?:\\(?:text|textbf|textit|textrm|textnormal|mathrm|mbox)\s*\{\s*([A-Za-z ]+?)\s*\}"
    r"|([A-Za-z]+))\s*\.?\s*\$?"
)
_THOUSANDS = re.compile(r"(?<![\d.])\d{1,3}(?:,\d{3})+(?![\d.])", re.ASCII)
_DECIMAL_COMMA = re.compile(r"([+\-]?\d+),(\d+)", re.ASCII)


class Written:
    """A text and what it may say."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tidy = tidy(text)

    @cached_property
    def number(self) -> Fraction | None:
        """The plain number that it is; None if it is none.

        Raises:
            OutOfRange: it is one, but too long to be computed with.
        """
        return read_number(self.tidy)

    @cached_property
    def choice(self) -> str:
        """The capital letter that it chooses; empty if it is none."""
        match = _CHOICE.fullmatch(self.tidy)
        return match[1] if match else ""

    @cached_property
    def word(self) -> str:
        """The words that it is; empty if it is none."""
        match = _WORD.fullmatch(self.text) if len(self.text) <= 100 else None
        word = " ".join((match[1] or match[2]).split()) if match else ""
        return word if len(word) > 1 else ""

    @cached_property
    def value(self) -> str:
        """What stands behind a name and an equals sign, as in "x = 5"; empty if nothing does."""
        match = _NAME.match(self.text)
        value = self.text[match.end() :] if match else ""
        return "" if "=" in value else value

    @cached_property
    def canonical(self) -> tuple[str, ...] | None:
        """What it has in common with texts that differ in writing only; None if it is long."""
        return canonical(self.text)

    @cached_property
    def listed(self) -> tuple[str, list[str]]:
        """The brackets around the whole of a list, and what commas part in it."""
        text = self.tidy
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

    @cached_property
    def readings(self) -> tuple[Reading, ...]:
        """What it says under each meaning of its commas; nothing if one cannot be read."""
        if len(self.text) > MAX_CHARS:
            return ()
        texts = [self.text]
        if "," in self.text:
            texts.append(_THOUSANDS.sub(lambda match: match[0].replace(",", ""), self.text))
            if match := _DECIMAL_COMMA.fullmatch(self.text.strip()):
                texts.append(f"{match[1]}.{match[2]}")
        try:
            return tuple(read(tokens_of(text) or ()) for text in dict.fromkeys(texts))
        except Odd:
            return ()

    @property
    def is_constant(self) -> bool:
        """True for formulas without letters."""
        return any(not reading.symbols.letters for reading in self.readings)


def written(text: str) -> Written:
    """The text as an answer; short ones are remembered."""
    return _remembered(text) if len(text) <= _MAX_REMEMBERED_CHARS else Written(text)


_remembered = lru_cache(maxsize=1024)(Written)


def _depths(text: str) -> list[int]:
    """How many brackets are open behind each character."""
    return list(accumulate((sign in "([{") - (sign in ")]}") for sign in text))
