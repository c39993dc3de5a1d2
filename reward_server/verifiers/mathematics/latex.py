"""Cuts LaTeX into tokens, and gives what differs in writing only the same ones."""

from __future__ import annotations

import re

MAX_CHARS = 2000
"""Longest text that is cut into tokens."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.\d+|\.\d+)(?:[eE][+\-]?\d+)?|\d+(?:[eE]\d+)?)"
    r"|\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mathit|mbox|operatorname)\*?\s*"
    r"\{(?P<words>[^{}\\$]*)\}"
    r"|(?P<command>\\(?:begin|end)\s*\{[a-zA-Z]*\}|\\(?:[a-zA-Z]+|.))"
    r"|(?P<letters>[^\W\d_]+)|(?P<sign>[!<>]=|\S))",
    re.ASCII | re.DOTALL,
)
_DROPPED = (
    r"\left", r"\right", r"\big", r"\Big", r"\bigg", r"\Bigg", r"\bigl", r"\bigr", r"\Bigl",
    r"\Bigr", r"\displaystyle", r"\textstyle", r"\limits", r"\,", r"\;", r"\:", r"\!", r"\quad",
    r"\qquad", r"\thinspace", r"\medspace", r"\$", "$", "\\ ", "\\\n", "\\\t",
)  # fmt: skip
_SAME = {
    **dict.fromkeys(_DROPPED, ""),
    r"\dfrac": r"\frac", r"\tfrac": r"\frac", r"\cfrac": r"\frac", r"\dbinom": r"\binom",
    r"\tbinom": r"\binom", r"\leq": r"\le", r"\leqslant": r"\le", r"\geq": r"\ge",
    r"\geqslant": r"\ge", r"\neq": r"\ne", r"\lt": "<", r"\gt": ">", r"\times": "*",
    r"\cdot": "*", r"\ast": "*", r"\div": "/", r"\lbrace": r"\{", r"\rbrace": r"\}",
    r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\lbrack": "[", r"\rbrack": "]",
    r"\degree": r"\circ", r"\%": "%", r"\land": r"\wedge", r"\varnothing": r"\emptyset",
    r"\operatorname": r"\mathrm", r"\bigcup": r"\cup", r"\langle": "(", r"\rangle": ")",
    r"\begin{bmatrix}": r"\begin{pmatrix}", r"\end{bmatrix}": r"\end{pmatrix}",
    "!=": r"\ne", "<=": r"\le", ">=": r"\ge", ";": ",",
}  # fmt: skip
_THOUSANDS = re.compile(r"(?<=\d)(?:\{,\}|,\\!\s*|\\,)(?=\d{3}(?!\d))")
_ARGUMENTS = {"^": 1, "_": 1, r"\sqrt": 1, r"\frac": 2, r"\binom": 2}
_UNICODE = str.maketrans(
    {
        "\u2212": "-", "\u2013": "-", "\uff0d": "-", "\u00d7": "*", "\u00b7": "*", "\u22c5": "*",
        "\u00f7": "/", "\u03c0": "\\pi ", "\u00b0": "^\\circ ", "\u221e": "\\infty ",
        "\u2264": "\\le ", "\u2265": "\\ge ", "\u2260": "\\ne ", "\u222a": "\\cup ",
        "\u00a0": " ", "\uff0c": ",", "\u3001": ",", "\u20ac": " ", "\u00a3": " ",
    }
)  # fmt: skip


def tokens_of(text: str) -> list[str] | None:
    r"""The tokens of a short text, without blanks and what only spaces; else None.

    Words in `\text{...}` are one token that begins with a blank; letters stay together as written.
    """
    if len(text) > MAX_CHARS:
        return None
    if not text.isascii():
        text = text.translate(_UNICODE)
    if "," in text:
        text = _THOUSANDS.sub("", text)
    tokens: list[str] = []
    for match in _TOKEN.finditer(text.rstrip()):
        kind = match.lastgroup or "sign"
        piece = match[kind]
        if kind == "words":
            piece = " " + " ".join(piece.split())
        elif kind == "command" or kind == "sign":
            piece = _SAME.get(piece, piece)
            if not piece or (piece == "~" and tokens):
                continue  # a tilde that leads means "about"
        tokens.append(piece)
    if tokens[-1:] == ["."] and tokens[-2:] != [".", "."]:
        tokens.pop()  # a full stop, and no ellipsis
    return tokens


def canonical(text: str) -> tuple[str, ...] | None:
    r"""What texts that differ in writing only have in common; None for a long text.

    `\dfrac12` is `\frac{1}{2}`, `x^{2}` is `x^2` and `\text{ cm}` is `cm`.
    """
    tokens = tokens_of(text)
    if tokens is None:
        return None
    plain: list[str] = []
    pending: list[int] = []  # of each open brace: the arguments that are to follow it
    wanted = 0  # the arguments that the last command still takes
    for piece in tokens:
        rest = piece
        if piece == "{":
            pending.append(max(wanted - 1, 0))
            wanted = 0
        elif piece == "}":
            wanted = pending.pop() if pending else 0
        elif wanted and (piece.isalnum() or piece[0] == "\\"):
            size = 1 if piece.isalnum() else len(piece)
            while wanted and rest:
                plain += ["{", rest[:size], "}"]
                rest, wanted = rest[size:], wanted - 1
        else:
            wanted = _ARGUMENTS.get(piece, 0)
        # Letters stand one by one, whether they were in a \text or not.
        plain += "".join(rest.split()) if rest[:1].isalpha() or rest[:1] == " " else [rest]
    return tuple(filter(None, plain))
