"""Cuts LaTeX, and the plain writing that models mix into it, into tokens."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from reward_server.verifiers.symbolic.shapes import Unreadable

_NAMES = (
    r"(?:arc|ar|a)?(?:sin|cos|tan|cot|sec|csc)h?|arctg|cosec|ctg|tg|sqrt|exp|ln|log|lg|abs|floor|"
    r"ceil|gcd|lcm|max|min|sgn|sign|Re|Im|arg"
)
_SPACING = (
    "displaystyle|textstyle|limits|nolimits|nonumber|!|,|;|:|>|allowbreak|"
    "boldsymbol|mathstrut|rm|bf|it"
)
_GREEK = "alpha|beta|gamma|delta|theta|lambda|sigma|omega|varphi|phi|pi|rho|tau"
"""What a letter may follow without a blank, though LaTeX would not take it."""
_UNICODE = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\uff0d": "-", "\u2010": "-", "\u2011": "-",
        "\u00d7": r"\times ", "\u00b7": r"\cdot ", "\u22c5": r"\cdot ",
        "\u2217": "*", "\u00f7": r"\div ",
        "\u03c0": r"\pi ", "\u221e": r"\infty ", "\u221a": r"\sqrt ", "\u00b0": r"^{\circ}",
        "\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\ne ", "\u2248": r"\approx ",
        "\u222a": r"\cup ", "\u2229": r"\cap ", "\u2208": r"\in ", "\u2205": r"\emptyset ",
        "\u00b1": r"\pm ", "\u2213": r"\mp ", "\u211d": r"\mathbb{R}", "\u2124": r"\mathbb{Z}",
        "\u00b2": "^{2}", "\u00b3": "^{3}", "\u2074": "^{4}", "\u00b9": "^{1}", "\u207b": "^{-}",
        "\u2026": r"\ldots ", "\u03b1": r"\alpha ", "\u03b2": r"\beta ", "\u03b8": r"\theta ",
        "\u03bb": r"\lambda ", "\u03bc": r"\mu ", "\u03c6": r"\phi ", "\u03c9": r"\omega ",
        "\u00bd": r"\frac{1}{2}", "\u00bc": r"\frac{1}{4}", "\u00be": r"\frac{3}{4}",
        "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\uff0c": ",", "\uff08": "(", "\uff09": ")",
        "\u3001": ",", "\uff1b": ";", "\u2032": "'", "\ufeff": None, "\u200b": None,
    }
)  # fmt: skip


def _joined(match: re.Match[str]) -> str:
    """Thousands that blanks set off."""
    return "".join(match.group().split())


_SUBSTITUTIONS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern), new)
    for pattern, new in (
        (r"\\left\s*\|", r"\\lvert "),
        (r"\\right\s*\|", r"\\rvert "),
        (r"\\(?:left|right|bigg?[lrm]?|Bigg?[lrm]?|middle)\s*(?=[\\({\[|)}\].<>/])", ""),
        (
            rf"\\(?:{_SPACING})(?![a-zA-Z])",
            " ",
        ),
        (r"\\(?:q?quad|\s)", " "),
        (r"\\(?:h|v)space\*?\s*\{[^{}]*\}", " "),
        (r"\\(?:v?phantom|tag\*?|label)\s*\{[^{}]*\}", " "),
        (r"\\[dtc]frac(?![a-zA-Z])", r"\\frac"),
        (rf"\\({_GREEK})(?=[a-zA-Z])", r"\\\1 "),
        (r"\^\s*(?:\{\s*\+\s*\}|\+)(?=\s*\})", r"\\above "),
        (r"\^\s*(?:\{\s*-\s*\}|-)(?=\s*\})", r"\\below "),
        (r"\\(?:text|mathrm)\s*\{\s*(?:if|for|when)\s*\}", " "),
        (r"\\(?:text|mathrm)\s*\{\s*(?:otherwise|else)\s*\}", r"\\otherwise "),
        (r"\\mathrm\s*\{\s*d\s*\}", "d"),
        (r"\^\s*(?:\{\s*\\prime\s*\}|\\prime(?![a-zA-Z]))", "'"),
        (r"\.{3}", r"\\ldots "),
        (r"\\[dt]binom(?![a-zA-Z])", r"\\binom"),
        (r"(?<=\d)\s*\{\s*,\s*\}\s*(?=\d)|\{\s*,\s*\}", ","),
        (
            r"\\(?:text|mathrm)\s*\{\s*(?:percent(?:age)?|pct)\s*\}|(?<![a-zA-Z])(?:percent(?:age)?|pct)\b",
            r"\\%",
        ),
        (r"(?<=\d),\s*\\!\s*(?=\d)|(?<=\d)\\!\s*,(?=\d)", ","),
        (r"(?<=\d)\s*[xX]\s*(?=10\s*\^)", r"\\times "),
        (rf"\\(?:operatorname\*?|mathrm|text|mathop|mathit)\s*\{{\s*({_NAMES})\s*\}}", r"\\\1 "),
        (rf"(?<![a-zA-Z\\])({_NAMES}|pi)(?![a-zA-Z])", r"\\\1 "),
        (r"(?<![a-zA-Z\\])(?:infinity|infty|inf|oo)(?![a-zA-Z])", r"\\infty "),
        (r"(?<![\d.])(\d{1,3})((?:\s+\d{3})+)(?![\d/])", _joined),
        (r"\\(?:text|textrm|mathrm|mbox)\s*\{\s*(?:,\s*)?(?:and|or|AND|OR)\s*\}", r"\\SEP "),
        (r"(?<![a-zA-Z\\])(?:,\s*)?(?:and|or|AND|OR)(?![a-z])", r"\\SEP "),
    )
)
_TOKEN = re.compile(
    r"(?P<number>(?:\d{1,3}(?:,\d{3})+(?![\d])|\d+)(?:\.\d+|\.(?=\\overline))?(?:[eE][+\-]?\d+(?![\w.]))?"
    r"|\.\d+(?:[eE][+\-]?\d+(?![\w.]))?)"
    r"|(?P<command>\\[a-zA-Z]+\*?|\\.)"
    r"|(?P<relation><=|>=|!=|==|:=|[=<>])"
    r"|(?P<letter>[A-Za-z])|(?P<blank>\s+|~)|(?P<sign>\*\*|[-+*/^_!|(){}\[\],;:&'%.])",
    re.DOTALL,
)
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+", re.ASCII)
MAX_TOKENS = 3000
"""Longest answer that is read."""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text."""

    kind: str
    """`number`, `command`, `relation`, `letter`, `sign` or `end`."""
    text: str
    spaced: bool = False
    """True where a blank stands before it."""


def tokenize(text: str, *, grouped: bool) -> list[Token]:
    """The tokens of an answer, with an end token.

    `grouped`: reads "1,234" inside brackets as one number instead of two.

    Raises:
        Unreadable: a character is no token, or there are too many of them.
    """
    tokens: list[Token] = []
    depth = 0
    position = 0
    spaced = False
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or len(tokens) >= MAX_TOKENS:
            raise Unreadable(f"{text[position : position + 20]!r} is beyond the grammar")
        kind, piece = str(match.lastgroup), match.group()
        if kind == "number" and depth and not grouped and "," in piece:
            match = _PLAIN_NUMBER.match(text, position)
            assert match is not None
            piece = match.group()
        position = match.end()
        if kind == "blank":
            spaced = True
            continue
        if piece in ("(", "[", r"\{", r"\langle", r"\lbrace"):
            depth += 1
        elif piece in (")", "]", r"\}", r"\rangle", r"\rbrace"):
            depth -= 1
        tokens.append(Token(kind, piece, spaced))
        spaced = False
    tokens.append(Token("end", ""))
    return tokens


def plain(text: str) -> str:
    """The text in one way of writing: ASCII, no sizes, no spacing commands, "and" as a comma."""
    text = text.translate(_UNICODE)
    if "matrix" not in text and "array" not in text and "cases" not in text:
        text = re.sub(r"\\\\(?=[a-zA-Z])", lambda _: "\\", text)
    # `(?<=\d),\!` must go before spacing commands do.
    text = re.sub(r"(?<=\d),\s*\\!\s*(?=\d)|(?<=\d)\\!\s*,(?=\d)|(?<=\d)\{,\}(?=\d{3})", ",", text)
    for pattern, new in _SUBSTITUTIONS:
        text = pattern.sub(new, text)
    return text
