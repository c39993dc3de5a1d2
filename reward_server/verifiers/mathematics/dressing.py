"""Takes off what answers wear without meaning anything by it, before anything is compared.

Linear in texts of bounded length: it runs in the server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from reward_server.verifiers.mathematics.phrases import reworded

MAX_CHARS = 1000
"""Longest text that is looked at."""

_Replacement = str | Callable[[re.Match[str]], str]

FONT = r"\\(?:text(?:bf|it|rm|normal)?|math(?:rm|bf|it)|mbox|operatorname)(?![a-zA-Z])"
"""A command that only sets what follows in another font."""
_BRACED = r"\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}"
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SCALE = "|".join(_SCALES)
_BASES = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16,
}  # fmt: skip
_COLOR = r"\\(?:text|page)?color(?:box)?\s*(?:\[[A-Za-z]*\]\s*)?\{[^{}]*\}"
_SIZES = "tiny|small|normalsize|large|Large|LARGE|huge|Huge|bfseries|itshape|mathstrut|strut"
_END = r"(?=\s*(?:$|[,;}]))"
_ELLIPSIS = r"(?:\.\.\.|\\[lc]?dots(?![a-zA-Z])|\u2026)"
_REPEATED = re.compile(r"(?P<head>\d{0,4}?)(?P<period>\d{1,6}?)(?P<more>(?P=period)+)", re.ASCII)


def _scaled(match: re.Match[str]) -> str:
    rest = (match["rest"] or "").strip()
    power = rf"\times 10^{{{_SCALES[match['scale'].lower()]}}}"
    return rf"{power} \text{{ {rest}}}" if rest else power


def _periodic(match: re.Match[str]) -> str:
    """`0.333...` with the period marked, if it is shown often enough to be one."""
    digits = match["digits"]
    shown = _REPEATED.fullmatch(digits)
    if shown is None:
        return match.group()
    count = len(shown["more"]) // len(shown["period"]) + 1
    if count < (2 if not shown["head"] and len(shown["period"]) > 1 else 3):
        return match.group()
    return rf"{match['whole'] or '0'}.{shown['head']}\overline{{{shown['period']}}}"


def _binomial(match: re.Match[str]) -> str:
    above, below = (int(digits) for digits in match.groups())
    return rf"\binom{{{above}}}{{{below}}}" if above > below and above > 2 else match.group()


def _below_first(match: re.Match[str]) -> str:
    below, above = (int(digits) for digits in match.groups())
    return rf"\binom{{{above}}}{{{below}}}" if above > below and above > 2 else match.group()


def _based(match: re.Match[str]) -> str:
    return f"_{{{_BASES[match[1]]}}}"


_N = r"\{?\s*(\d{1,4})\s*\}?"
_RULES: tuple[tuple[re.Pattern[str], _Replacement], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        # what is not seen, and what only decorates
        (rf"\\[vh]?phantom\s*{_BRACED}", " "),
        (_COLOR, " "),
        (r"\\(?:underline|uline|bm|boldsymbol|pmb|ensuremath)\s*(?=\{)", ""),
        (rf"\\(?:{_SIZES})(?![a-zA-Z])", " "),
        (r"\\(?:checkmark|blacksquare|qed)(?![a-zA-Z])|[\u2713\u2714]", " "),
        (r"\\(?:nicefrac|sfrac|xfrac|flatfrac)(?![a-zA-Z])", r"\\frac"),
        (r"(?<=\d)\{([.:])\}(?=\d)", r"\1"),
        (r"\\colon(?![a-zA-Z])", ":"),
        (r"\\\\\s*\[\s*-?[\d.]{1,6}\s*(?:pt|em|ex|mm|cm|in|mu|bp)\s*\]", r"\\\\"),
        (r"(?:\\\\\s*){1,3}$", ""),
        (r"(?<!\\)\\$", ""),
        # money
        (rf"{FONT}\s*\{{\s*\\?\$\s*\}}", r"\\$"),
        (rf"^(?:{FONT}\s*\{{)?\s*(USD|EUR|GBP|INR)\s*\}}?[\s~]*(-?[\d.,]+)\s*$", r"\2 \\text{ \1}"),
        (
            rf"{FONT}\s*\{{\s*[\u20b9\u00a5\u20ac\u00a3]\s*\}}|[\u20b9\u00a5]\s*(?=\d)|^Rs\.?\s*(?=\d)",
            "",
        ),
        # numbers
        (r"([A-Z][a-z]{2,8}\s+\d{1,2})(?:st|nd|rd|th)\b", r"\1"),
        (
            rf"^{FONT}\s*\{{\s*(-?\d[\d,.]*)(?:\s|~|\\[ ,])+([A-Za-z][A-Za-z .]*)\}}$",
            r"\1 \\text{ \2}",
        ),
        (rf"^(\d+)\s*(?:\^\s*)?\{{?\s*(?:{FONT}\s*\{{\s*)?(?:st|nd|rd|th)[\s}}]*$", r"\1"),
        (
            rf"(?<=\d)[\s~]*{FONT}\s*\{{\s*(?P<scale>(?i:{_SCALE}))s?\b(?P<rest>[^{{}}]*)\}}",
            _scaled,
        ),
        (rf"(?<=\d)[\s~]*(?P<scale>(?i:{_SCALE}))\b(?P<rest>)", _scaled),
        (rf"_\s*\{{?\s*{FONT}\s*\{{\s*({'|'.join(_BASES)})\s*\}}\s*\}}?", _based),
        (r"^\(\s*([0-9A-Fa-f]+)\s*\)\s*_", r"\1_"),
        (r"(\d\.\d{0,40})\\dot\s*\{(\d)\}(\d{0,40})\\dot\s*\{(\d)\}", r"\1\\overline{\2\3\4}"),
        (r"(\d\.\d{0,40})\\(?:bar|dot)\s*(?:\{(\d+)\}|(\d))", r"\1\\overline{\2\3}"),
        (rf"(?<![\d.])(?P<whole>\d{{0,9}})\.(?P<digits>\d{{3,40}})\s*{_ELLIPSIS}{_END}", _periodic),
        (rf"(?<![\w}}])C\s*_\s*{_N}\s*\^\s*{_N}", _binomial),
        (rf"(?<![\w}}])C\s*\^\s*{_N}\s*_\s*{_N}", _below_first),
        (rf"(?<!\w)(?:\{{\}}\s*)?[\^_]\s*{_N}\s*\\?C\s*_\s*{_N}", _binomial),
        (rf"(?<!\w)C\(\s*{_N}\s*,\s*{_N}\s*\)", _binomial),
        # units
        (r"(?<=[a-zA-Z])\u00b2", "^2"),
        (r"(?<=[a-zA-Z])\u00b3", "^3"),
        (r"(?<=\d)\s*\^\s*(?:o|\{\s*o\s*\})(?![a-zA-Z])", r"^\\circ"),
        (r"(?<=year)(s?)[ -]old\b", r"\1"),
        (
            rf"^(?:{FONT}\s*\{{\s*)?(\d{{1,2}}:\d\d)[\s~]*(?:{FONT}\s*\{{\s*)?([aApP])\.?\s*[mM]\.?\s*\}}?$",
            lambda match: rf"{match[1]} \text{{ {match[2].upper()}M}}",
        ),
        (r"(?<=[)\]])\s*U\s*(?=[(\[])", r" \\cup "),
    )
)
_PLAIN = re.compile(r"[\d\s.,+\-/*=()]*|[A-Z]|\\frac\{\d+\}\{\d+\}", re.ASCII)


def undress(text: str) -> str:
    """The text without what only decorates it, in one way of writing what remains."""
    if len(text) > MAX_CHARS or (_PLAIN.fullmatch(text) and "..." not in text):
        return text
    return _undressed(text)


@lru_cache(maxsize=4096)
def _undressed(text: str) -> str:
    # Runs of blanks would make the patterns slow.
    text = " ".join(text.split())
    for pattern, new in _RULES:
        text = pattern.sub(new, text)
    return reworded(text.strip())
