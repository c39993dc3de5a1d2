"""Sums, products and powers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sympy import Mod

from reward_server.verifiers.symbolic.arithmetic import (
    as_shape,
    operand,
    over,
    plus,
    raised,
)
from reward_server.verifiers.symbolic.atoms import Atoms
from reward_server.verifiers.symbolic.functions import (
    FUNCTIONS,
    factorial,
)
from reward_server.verifiers.symbolic.literals import decimal_of, read_literal
from reward_server.verifiers.symbolic.shapes import (
    DEGREE,
    PERCENT,
    Shape,
    Unreadable,
    Value,
)
from reward_server.verifiers.symbolic.vocabulary import (
    ACCENTS,
    CLOSING,
    FACTORS,
    FONTS,
    GREEK,
    OVER,
    TIMES,
)

_MAX_DEPTH = 60


class Expressions(Atoms):
    """Reads one expression."""

    def _sum(self) -> Shape:
        start = self._at
        sign = self._accept("+", "-")
        found = self._term()
        if sign is not None and sign.text == "-":
            found = -operand(found)
        while token := self._accept("+", "-"):
            other = operand(self._term())
            found = operand(found)
            found = plus(found, other if token.text == "+" else -other)
        shape = as_shape(found)
        if isinstance(shape, Value):
            decimal = decimal_of(self._tokens[start : self._at])
            if decimal is not None:
                return Value(shape.expr, *decimal)
        return shape

    def _plain_sum(self) -> Shape:
        return self._sum()

    def _product(self) -> Any:
        return self._term()

    def _term(self) -> Any:
        found = self._factor()
        while True:
            if self._next.text in TIMES:
                self._take()
                found = operand(found) * operand(self._signed())
            elif self._next.text in OVER:
                self._take()
                found = over(operand(found), operand(self._signed()))
            elif self._next.text in (r"\bmod", r"\mod"):
                self._take()
                found = Mod(operand(found), operand(self._signed()))
            elif self._starts_factor():
                found = operand(found) * operand(self._factor())
            else:
                return found

    def _signed(self) -> Any:
        if self._accept("-"):
            return -operand(self._signed())
        self._accept("+")
        return self._factor()

    def _starts_factor(self) -> bool:
        token = self._next
        if self._at_differential():
            return False
        if token.kind == "number":
            # "4 2" is no product.
            return self._tokens[self._at - 1].kind != "number"
        if token.kind == "letter" or token.text in ("(", "{", "["):
            return True
        if token.text in ("|", r"\vert"):
            return self._bars == 0
        if token.kind != "command":
            return False
        name = token.text[1:]
        return any(name in names for names in (FUNCTIONS, GREEK, FONTS, ACCENTS, FACTORS))

    def _factor(self) -> Any:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Unreadable("nested too deep")
        found = self._postfix(self._primary())
        self._depth -= 1
        return found

    def _postfix(self, found: Any) -> Any:
        while True:
            if self._next.text in ("^", "**"):
                self._take()
                if self._degree():
                    found = operand(found) * DEGREE
                else:
                    found = raised(operand(found), operand(self._script()))
            elif self._accept("!"):
                found = self._factorial(operand(found))
            elif self._accept(r"\%", "%"):
                found = operand(found) * PERCENT
            elif self._accept(r"\degree", r"\textdegree"):
                found = operand(found) * DEGREE
            else:
                return found

    def _factorial(self, value: Any) -> Any:
        """`n!`, the double `n!!`, or three and more, which are one after the other."""
        count = 1
        while self._accept("!"):
            count += 1
        if count == 2:
            return factorial(value, double=True)
        for _ in range(count):
            value = factorial(value)
        return value

    def _degree(self) -> bool:
        texts = [token.text for token in self._tokens[self._at : self._at + 3]]
        if texts[:1] == [r"\circ"]:
            self._at += 1
            return True
        if texts == ["{", r"\circ", "}"]:
            self._at += 3
            return True
        return False

    def _script(self) -> Any:
        """What stands after `^`: a group, or one piece with its sign."""
        if self._next.text == "{":
            return self._group()
        if self._accept("-"):
            return -operand(self._script())
        token = self._next
        if token.kind == "number":
            self._take()
            # LaTeX takes one digit, but whoever writes 2^10 means all of them.
            return read_literal(token.text)
        return self._factor() if token.text == "(" else self._primary()

    def _group(self) -> Any:
        """`{...}` with one expression in it."""
        self._expect("{")
        shape = self._answer()
        self._expect("}")
        return shape

    def _argument(self) -> Any:
        r"""What a command such as `\frac` takes: a group or one character."""
        if self._next.text == "{":
            return self._group()
        token = self._next
        if token.kind == "number" and len(token.text) == 1:
            return read_literal(self._take().text)
        if token.kind == "number":
            # \frac12: the first digit is the one argument, the rest stays.
            tokens = list(self._tokens)
            tokens[self._at] = replace(token, text=token.text[1:])
            self._tokens = tokens
            return read_literal(token.text[0])
        return self._primary()

    def _primary(self) -> Any:
        token = self._take()
        if token.kind == "number":
            return self._number(token)
        if token.kind == "letter":
            return self._symbol(token.text)
        if token.text == "{":
            self._at -= 1
            return self._group()
        if token.text in CLOSING:
            return self._bracket(token.text)
        if token.kind == "command":
            return self._command(token.text[1:])
        self._at -= 1
        raise self._refusal()
