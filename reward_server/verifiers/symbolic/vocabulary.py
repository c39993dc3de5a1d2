"""The LaTeX commands that the grammar knows, besides functions."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


RELATIONS = {
    "=": "=", "==": "=", ":=": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">=", "!=": "!=",
    r"\lt": "<", r"\gt": ">", r"\le": "<=", r"\leq": "<=", r"\leqslant": "<=", r"\ge": ">=",
    r"\geq": ">=", r"\geqslant": ">=", r"\ne": "!=", r"\neq": "!=", r"\approx": "~",
    r"\simeq": "~", r"\in": "in", r"\leqq": "<=", r"\geqq": ">=",
}  # fmt: skip
SETS = {r"\cup": "cup", r"\cap": "cap", r"\setminus": "minus", r"\backslash": "minus"}
LOGIC = {r"\vee": "cup", r"\lor": "cup", r"\wedge": "cap", r"\land": "cap"}
SEPARATORS = frozenset({",", ";", r"\SEP"})
TIMES = frozenset({"*", r"\cdot", r"\times", r"\ast"})
OVER = frozenset({"/", r"\div"})
CLOSING = {
    "(": ")", "[": "]", r"\{": r"\}", r"\lbrace": r"\rbrace", r"\langle": r"\rangle",
    r"\lfloor": r"\rfloor", r"\lceil": r"\rceil", r"\lvert": r"\rvert", r"\vert": r"\vert",
    "|": "|",
}  # fmt: skip
PARENTHESES = frozenset({"(", "["})
GREEK = _words(
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi "
    "rho varrho sigma varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi "
    "Sigma Upsilon Phi Psi Omega ell hbar"
)
FONTS = _words(
    "mathrm mathbf mathit mathsf mathcal textbf textit textrm text mbox mathnormal bm "
    "boldsymbol textnormal operatorname"
)
ACCENTS = frozenset(
    {"overline", "bar", "vec", "hat", "tilde", "dot", "ddot", "overrightarrow", "widehat"}
)
NUMBER_SETS = frozenset("RZQNC")
MATRICES = _words("matrix pmatrix bmatrix Bmatrix smallmatrix array vmatrix cases")
FACTORS = _words(
    "frac sqrt pi infty log lg binom lfloor lceil lvert begin imath mathbb cdots ldots dots sum "
    "prod int lim"
)
