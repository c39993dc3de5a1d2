"""Sums, products, integrals, limits and derivatives.

Short sums are added up and derivatives taken. The rest stays as it is written: two of them are
equal if their parts are, and nothing more is claimed.
"""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, Integer, S, Symbol

from reward_server.verifiers.symbolic.arithmetic import arithmetic, as_shape, operand
from reward_server.verifiers.symbolic.cursor import Cursor
from reward_server.verifiers.symbolic.functions import opaque
from reward_server.verifiers.symbolic.shapes import Unreadable

_ARROWS = frozenset(
    {r"\to", r"\rightarrow", r"\longrightarrow", r"\Rightarrow", r"\Longrightarrow"}
)
_MAX_TERMS = 1000


class Calculus(Cursor):
    """Reads what binds a letter."""

    _integrals = 0
    """How many integrals are open, which the next differential ends."""

    _counts_i = False
    """True once a sum has i for its letter."""

    def _series(self, name: str) -> Expr:
        r"""`\sum_{k=1}^{n} ...`."""
        end: Expr | None = None
        if self._accept("^"):
            end = arithmetic(as_shape(self._script()))
        self._expect("_")
        letter, start, _ = self._bound(frozenset({"="}))
        if end is None:
            self._expect("^")
            end = arithmetic(as_shape(self._script()))
        body = arithmetic(as_shape(self._product()))
        if isinstance(start, Integer) and isinstance(end, Integer):
            if end - start >= _MAX_TERMS:
                raise Unreadable("a sum of too many parts")
            values = [body.subs(letter, k) for k in range(int(start), int(end) + 1)]
            return sympy.Add(*values) if name == "sum" else sympy.Mul(*values)
        return opaque(name, _renamed(body, letter), start, end)

    def _limit(self) -> Expr:
        r"""`\lim_{x \to 0^+} ...`."""
        self._expect("_")
        letter, point, below = self._bound(_ARROWS)
        body = arithmetic(as_shape(self._product()))
        return opaque("limit from below" if below else "limit", _renamed(body, letter), point)

    def _integral(self) -> Expr:
        r"""`\int_a^b ... dx`."""
        ends: dict[str, Expr] = {}
        while self._next.text in ("_", "^"):
            which = self._take().text
            ends[which] = arithmetic(as_shape(self._script()))
        self._integrals += 1
        body: Any = S.One
        if not self._at_differential():
            body = operand(self._plain_sum())
        if not self._at_differential():
            raise Unreadable("an integral without its differential")
        self._integrals -= 1
        self._take()
        letter = operand(self._primary())
        if not isinstance(letter, Symbol):
            raise Unreadable("an integral over something that is no letter")
        if not ends:
            return opaque("integral", body, letter)
        if set(ends) != {"_", "^"}:
            raise Unreadable("an integral with one end")
        return opaque("integral", _renamed(body, letter), ends["_"], ends["^"])

    def _at_differential(self) -> bool:
        """Whether `dx` comes next, inside an integral."""
        following = self._tokens[self._at + 1 : self._at + 2]
        return bool(
            self._integrals
            and self._next.text == "d"
            and following
            and (following[0].kind == "letter" or following[0].text[:1] == "\\")
        )

    def _derivative(self, below: Any) -> Expr | None:
        r"""The derivative where `\frac{d}{dx}` has just been read, else None."""
        d = Symbol("d")
        letters = below.free_symbols - {d} if isinstance(below, Expr) else set()
        if len(letters) != 1 or below != d * next(iter(letters)):
            return None
        [letter] = letters
        return sympy.diff(arithmetic(as_shape(self._product())), letter)

    def _bound(self, signs: frozenset[str]) -> tuple[Expr, Expr, bool]:
        """The letter, where it begins or goes to, and whether it comes from below."""
        self._expect("{")
        # Whoever counts with i means no imaginary unit by it, from here to the end.
        self._counts_i = self._counts_i or self._next.text == "i"
        letter = operand(self._primary())
        if not isinstance(letter, Symbol):
            raise Unreadable("a sum over something that is no letter")
        if self._take().text not in signs:
            raise Unreadable("a sum without its beginning")
        point = arithmetic(as_shape(self._plain_sum()))
        side = self._accept(r"\above", r"\below")
        self._expect("}")
        return letter, point, side is not None and side.text == r"\below"

    def _product(self) -> Any:
        """The factors that follow."""
        raise NotImplementedError

    def _plain_sum(self) -> Any:
        """A sum."""
        raise NotImplementedError


def _renamed(body: Expr, letter: Expr) -> Expr:
    """The body with a name for the bound letter that does not depend on the writer."""
    taken = sum(symbol.name.startswith("bound ") for symbol in body.free_symbols)
    return body.subs(letter, Symbol(f"bound {taken}"))
