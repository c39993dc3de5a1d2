"""Takes off what answers wear without meaning anything by it, before anything is compared.

Linear in texts of bounded length: it runs in the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

MAX_CHARS = 2000
"""Longest text that is looked at."""

_Replacement = str | Callable[[re.Match[str]], str]

_FONT = r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|rm)"
_BRACED = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_SCALES = {
    "hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12,
}  # fmt: skip


def _scaled(match: re.Match[str]) -> str:
    rest = match["rest"].strip() if match["rest"] else ""
    power = rf"\times 10^{{{_SCALES[match['scale'].lower()]}}}"
    return rf"{power} \text{{ {rest}}}" if rest else power


_SCALE = "|".join(_SCALES)
_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (rf"\\[vh]?phantom\s*{_BRACED}", " "),
        (
            rf"(?<=\d)[\s~]*{_FONT}\s*\{{\s*(?P<scale>(?i:{_SCALE}))s?\b(?P<rest>[^{{}}]*)\}}",
            _scaled,
        ),
        (rf"(?<=\d)[\s~]*(?P<scale>(?i:{_SCALE}))\b(?P<rest>)", _scaled),
    )
)
_TRIGGER = re.compile(rf"\\[vh]?phantom|(?i:{_SCALE})")


def undress(text: str) -> str:
    """The text without what only decorates it, in one way of writing what remains."""
    if len(text) > MAX_CHARS or not _TRIGGER.search(text):
        return text
    return _undressed(text)


@lru_cache(maxsize=1024)
def _undressed(text: str) -> str:
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return text.strip()
