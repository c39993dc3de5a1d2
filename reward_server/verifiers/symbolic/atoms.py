"""Numbers, letters, brackets and commands: what expressions are made of."""

from __future__ import annotations

from typing import Any

import sympy
from sympy import Expr, I, Integer, MatrixBase, Rational, S, Symbol

from reward_server.verifiers.symbolic.arithmetic import (
    arithmetic,
    as_shape,
    operand,
    over,
    parts_of,
    raised,
)
from reward_server.verifiers.symbolic.calculus import Calculus
from reward_server.verifiers.symbolic.functions import (
    FUNCTIONS,
    INVERSES,
    apply,
    choose,
    power,
    unknown,
)
from reward_server.verifiers.symbolic.literals import read_base, read_literal
from reward_server.verifiers.symbolic.shapes import (
    DOTS,
    Cases,
    Constant,
    Listing,
    Shape,
    Unreadable,
    Value,
)
from reward_server.verifiers.symbolic.tokens import Token
from reward_server.verifiers.symbolic.vocabulary import (
    ACCENTS,
    CLOSING,
    FONTS,
    GREEK,
    MATRICES,
    NUMBER_SETS,
    PARENTHESES,
)

_MAX_DETERMINANT = 5
_MAX_LOOK_AHEAD = 60
_OPEN = frozenset({"(", "[", "{", r"\{"})
_CLOSE = frozenset({")", "]", "}", r"\}"})
_NOTHING = (Token("end", ""), Token("end", ""))


class Atoms(Calculus):
    """Reads one atom."""

    def _number(self, token: Token) -> Any:
        if self._next.text == "_" and "." not in token.text:
            self._take()
            base = operand(self._script())
            if not isinstance(base, Integer):
                raise Unreadable("a base that is none")
            return read_base(token.text, int(base))
        value = read_literal(token.text)
        following = self._next
        if following.text == r"\overline" and "." in token.text:
            self._take()
            return self._repeating(token.text)
        if token.text.isdecimal():
            if following.kind == "number" and following.spaced:
                return self._mixed(value)
            if following.text == r"\frac":
                return self._mixed_fraction(value)
        return value

    def _repeating(self, head: str) -> Rational:
        self._expect("{")
        period = self._take().text
        self._expect("}")
        places = len(head.partition(".")[2])
        if not period.isdecimal() or places + len(period) > 200:
            raise Unreadable("a period that is no number")
        return read_literal(head) + Rational(int(period), 10**places * (10 ** len(period) - 1))

    def _mixed(self, whole: Rational) -> Rational:
        """`1 1/2`."""
        above, slash, below = (*self._tokens[self._at : self._at + 3], *_NOTHING)[:3]
        if slash.text != "/" or below.kind != "number" or not above.text.isdecimal():
            raise Unreadable("two numbers side by side")
        self._at += 3
        return whole + over(read_literal(above.text), read_literal(below.text))

    def _mixed_fraction(self, whole: Rational) -> Any:
        r"""`1\frac{1}{2}`; other fractions are factors."""
        start = self._at
        self._take()
        above, below = operand(self._argument()), operand(self._argument())
        integers = isinstance(above, Integer) and isinstance(below, Integer)
        if integers and 0 < above < below:
            return whole + over(above, below)
        self._at = start
        return whole

    def _symbol(self, name: str) -> Any:
        if name == "i" and self._next.text != "_" and not self._counts_i:
            return I
        if name == "I" and self._reading.capital:
            return I
        if name == "e" and self._next.text != "_":
            return S.Exp1
        name += self._subscript()
        while self._accept("'"):
            name += "'"
        if self._is_call(name):
            braced = self._accept("{") is not None
            self._expect("(")
            arguments = [arithmetic(part) for part in parts_of(self._answer())]
            self._expect(")")
            if braced:
                self._expect("}")
            return unknown(name)(*arguments)
        return Symbol(name)

    def _is_call(self, name: str) -> bool:
        """Whether a letter is a function here: f(...), and P(A), I(0), y(0) but not x(x+1)."""
        if name[0] in "fgh" and self._next.text == "{":
            return self._tokens[self._at + 1].text == "("
        if self._next.text != "(":
            return False
        # Nobody multiplies a letter by a tuple.
        if name[0] in "fgh" or self._has_several():
            return True
        argument, closing = (*self._tokens[self._at + 1 : self._at + 3], *_NOTHING)[:2]
        if closing.text != ")":
            return False
        return argument.text == "0" or (name[0].isupper() and argument.kind in ("letter", "number"))

    def _has_several(self) -> bool:
        """Whether the bracket that comes next holds more than one part."""
        depth = 0
        for token in self._tokens[self._at : self._at + _MAX_LOOK_AHEAD]:
            depth += (token.text in _OPEN) - (token.text in _CLOSE)
            if depth == 0:
                return False
            if depth == 1 and token.text == ",":
                return True
        return False

    def _subscript(self) -> str:
        if not self._accept("_"):
            return ""
        if self._next.text != "{":
            return f"_{self._take().text}"
        depth, pieces = 0, []
        while True:
            token = self._take()
            depth += {"{": 1, "}": -1}.get(token.text, 0)
            if token.text not in "{}":
                pieces.append(token.text)
            if depth == 0:
                return "_" + "".join(pieces)

    def _bracket(self, opening: str) -> Any:
        closing = CLOSING[opening]
        bars = opening in ("|", r"\vert", r"\lvert")
        outer, self._bars = self._bars, 1 if bars else 0
        if opening == r"\{" and self._accept(closing):
            self._bars = outer
            return Constant("empty")
        shape = self._answer()
        self._bars = outer
        found = self._take().text
        if opening in PARENTHESES and found in (")", "]"):
            return self._parenthesised(opening, found, shape)
        if found != closing:
            raise Unreadable(f"{closing!r} is missing")
        if bars:
            inside = operand(shape)
            return _determinant(inside) if isinstance(inside, MatrixBase) else sympy.Abs(inside)
        if opening == r"\lfloor":
            return sympy.floor(arithmetic(shape))
        if opening == r"\lceil":
            return sympy.ceiling(arithmetic(shape))
        if opening == r"\langle":
            return Listing("(", ")", parts_of(shape))
        return Listing("{", "}", parts_of(shape))

    def _parenthesised(self, opening: str, closing: str, shape: Shape) -> Any:
        bare = isinstance(shape, Listing) and not shape.opening
        if bare and isinstance(shape, Listing):
            return Listing(opening, closing, shape.parts)
        if opening + closing == "()" or (opening + closing == "[]" and isinstance(shape, Value)):
            return shape.expr if isinstance(shape, Value) else shape
        raise Unreadable("a bracket around one part")

    def _command(self, name: str) -> Any:
        if name == "frac":
            return self._fraction()
        if name in ("sum", "prod"):
            return self._series(name)
        if name in ("int", "lim"):
            return self._integral() if name == "int" else self._limit()
        if name == "sqrt":
            return self._root()
        if name in ("log", "lg"):
            return self._logarithm(ten=name == "lg")
        if name in FUNCTIONS:
            return self._function(name)
        if name == "binom":
            above = arithmetic(as_shape(self._argument()))
            return choose(above, arithmetic(as_shape(self._argument())))
        if name == "begin":
            return self._environment()
        if name == "pi":
            return S.Pi
        if name == "infty":
            return S.Infinity
        if name == "imath":
            return I
        if name in ("ldots", "dots", "cdots"):
            return DOTS
        if name in ("emptyset", "varnothing", "otherwise"):
            return Constant("empty" if name != "otherwise" else name)
        if name in ("mathbb", "Bbb"):
            return self._number_set()
        return self._named(name)

    def _fraction(self) -> Any:
        above = operand(self._argument())
        below = operand(self._argument())
        if above == Symbol("d") and (derivative := self._derivative(below)) is not None:
            return derivative
        return over(above, below)

    def _named(self, name: str) -> Any:
        if name in GREEK:
            return self._symbol("\\" + name)
        if name in FONTS:
            return self._font()
        if name in ACCENTS:
            self._expect("{") if self._next.text == "{" else None
            return self._accented(name)
        self._at -= 1
        raise self._refusal()

    def _font(self) -> Any:
        """Letters in another font; words are beyond the grammar."""
        if self._next.text != "{":
            return self._primary()
        inside = self._tokens[self._at + 1 : self._at + 3]
        if inside[0].kind == "letter" and inside[-1].text != "}":
            raise Unreadable("words")
        if inside[0].kind == "letter":
            self._at += 3
            return self._symbol(inside[0].text)
        return self._group()

    def _accented(self, accent: str) -> Symbol:
        braced = self._tokens[self._at - 1].text == "{"
        pieces = [self._take().text]
        while braced and self._next.text != "}":
            pieces.append(self._take().text)
        if braced:
            self._expect("}")
        return Symbol(f"{accent} {''.join(pieces)}" + self._subscript())

    def _number_set(self) -> Constant:
        self._accept("{")
        name = self._take().text
        if name not in NUMBER_SETS:
            raise Unreadable("an unknown set")
        self._accept("}")
        suffix = ""
        while self._next.text in ("^", "_"):
            self._take()
            suffix += "".join(self._raw())
        return Constant(name + suffix)

    def _root(self) -> Any:
        degree: Any = Integer(2)
        if self._accept("["):
            degree = arithmetic(self._answer())
            self._expect("]")
        inside = self._argument() if self._next.text != "(" else self._primary()
        value = operand(inside)
        if isinstance(degree, Integer) and degree % 2 and value.is_negative:
            return -power(-value, 1 / degree)
        return raised(value, 1 / degree)

    def _logarithm(self, *, ten: bool) -> Any:
        base: Any = Integer(10) if ten or self._reading.ten else S.Exp1
        exponent = None
        while self._next.text in ("_", "^"):
            if self._take().text == "_":
                base = operand(self._digit_script())
            else:
                exponent = operand(self._script())
        arguments = self._function_arguments()
        if len(arguments) != 1:
            raise Unreadable("log takes one argument")
        value = sympy.log(arguments[0]) / sympy.log(base)
        return value if exponent is None else power(value, exponent)

    def _digit_script(self) -> Any:
        r"""The base in `\log_2 x` and `\log_28`."""
        return self._argument()

    def _function(self, name: str) -> Any:
        exponent = None
        if self._accept("^"):
            exponent = operand(self._script())
            if exponent == -1 and name in INVERSES:
                name, exponent = INVERSES[name], None
        if name == "sqrt":
            return self._root()
        value = apply(name, self._function_arguments())
        return value if exponent is None else power(value, exponent)

    def _function_arguments(self) -> list[Expr]:
        if self._next.text in ("(", "{", "[", r"\{"):
            opening = self._take().text
            shape = self._answer()
            closing = "}" if opening == "{" else CLOSING[opening]
            self._expect(closing)
            if isinstance(shape, Listing) and shape.opening == "(":
                return [arithmetic(part) for part in shape.parts]
            return [arithmetic(part) for part in parts_of(shape)]
        if self._accept("-"):
            return [-arithmetic(as_shape(self._function_arguments()[0]))]
        found = operand(self._factor())
        while self._continues_argument(found):
            found = found * operand(self._factor())
        return [found]

    def _continues_argument(self, found: Any) -> bool:
        name = self._next.text.removeprefix("\\")
        if name in FUNCTIONS or name in ("log", "lg", "begin") or not self._starts_factor():
            return False
        return self._next.text not in ("(", "[", "{") or bool(getattr(found, "is_number", False))

    def _environment(self) -> Any:
        name = "".join(self._raw()).rstrip("*")
        if name not in MATRICES:
            raise Unreadable("an unknown environment")
        if name == "array" and self._next.text == "{":
            self._raw()
        rows: list[list[Shape]] = [[]]
        while self._next.text != r"\end":
            if self._accept(r"\\"):
                rows.append([])
            elif not self._accept("&", r"\hline"):
                rows[-1].append(self._answer())
        self._take()
        self._raw()
        filled = [row for row in rows if row]
        if name == "cases":
            return Cases(
                tuple(row[0] if len(row) == 1 else Listing("", "", tuple(row)) for row in filled)
            )
        if not filled or len({len(row) for row in filled}) != 1:
            raise Unreadable("a matrix with rows of different length")
        matrix = sympy.Matrix([[arithmetic(cell) for cell in row] for row in filled]).as_immutable()
        return _determinant(matrix) if name == "vmatrix" else matrix


def _determinant(matrix: MatrixBase) -> Expr:
    rows, columns = matrix.shape
    if rows != columns or rows > _MAX_DETERMINANT:
        raise Unreadable("a determinant that is too large, or none")
    value: Expr = matrix.det()
    return value
