"""Reads one LaTeX formula into a program; where it could mean several things it says which, or
refuses.

One pass without backtracking, of bounded depth. What is refused is not wrong: it is left to
somebody who knows more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.balls import Ball
from reward_server.verifiers.mathematics.programs import Doubt, Program, Step

MAX_DEPTH = 25
"""Brackets within brackets that are read."""
_MAX_DIGITS = 300

_GREEK = frozenset(
    {r"\alpha", r"\beta", r"\gamma", r"\delta", r"\epsilon", r"\varepsilon", r"\zeta", r"\eta",
     r"\theta", r"\vartheta", r"\kappa", r"\lambda", r"\mu", r"\nu", r"\xi", r"\rho", r"\sigma",
     r"\tau", r"\phi", r"\varphi", r"\chi", r"\psi", r"\omega", r"\Omega", r"\Gamma", r"\Delta",
     r"\Theta", r"\Lambda", r"\Phi", r"\Psi"}
)  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[[Ball], Ball]] = {
    r"\sin": balls.sine, r"\cos": balls.cosine, r"\tan": balls.tangent,
    r"\sec": balls.inverse(balls.cosine), r"\csc": balls.inverse(balls.sine),
    r"\cot": balls.inverse(balls.tangent), r"\arcsin": balls.arc_sine,
    r"\arccos": balls.arc_cosine, r"\arctan": balls.arc_tangent,
    r"\sinh": balls.hyperbolic_sine, r"\cosh": balls.hyperbolic_cosine,
    r"\tanh": balls.hyperbolic_tangent, r"\ln": balls.logarithm, r"\log": balls.logarithm,
    r"\exp": balls.exponential,
}  # fmt: skip
_STEPS = {r"\lfloor": (r"\rfloor", balls.floor), r"\lceil": (r"\rceil", balls.ceiling)}
_BEGINNINGS = frozenset([r"\frac", r"\sqrt", r"\binom", "(", "{", *_STEPS, *_FUNCTIONS])


class Odd(ValueError):
    """The text is not read: it means several things, or nothing that is known here."""


@dataclass(slots=True)
class Notes:
    """What a formula is made of."""

    letters: set[str] = field(default_factory=set)
    """Letters whose value is not known."""
    plain: set[str] = field(default_factory=set)
    """Those of them that stand alone somewhere, so that they are no functions."""
    applied: set[str] = field(default_factory=set)
    """Those that stand before a bracket."""
    raised: set[str] = field(default_factory=set)
    """Those that stand before a bracket with a power, which only a product can have."""
    doubts: set[Doubt] = field(default_factory=set)
    """What could be read in more than one way."""
    has_pi: bool = False
    """Whether pi occurs."""

    def add(self, other: Notes) -> None:
        """Takes over what another formula is made of."""
        self.letters |= other.letters
        self.plain |= other.plain
        self.applied |= other.applied
        self.raised |= other.raised
        self.doubts |= other.doubts
        self.has_pi |= other.has_pi


class Formula:
    """Reads a formula that begins at a token; `at` is then the token behind it."""

    def __init__(self, tokens: list[str], at: int) -> None:
        """`tokens` end with an empty one, letters stand one by one; digits are split in place."""
        self.tokens = tokens
        self.at = at
        self.notes = Notes()
        self._steps: list[Step] = []
        self._depth = 0
        self._bars = 0
        self._functions = 0

    def program(self) -> Program:
        """The program.

        Raises:
            Odd: the formula is not read.
        """
        self._sum()
        return tuple(self._steps)

    @property
    def _now(self) -> str:
        return self.tokens[self.at]

    def _take(self, piece: str) -> None:
        if self._now != piece:
            raise Odd
        self.at += 1

    def _push(self, ball: Ball) -> None:
        self._steps.append(("push", ball))

    def _load(self, name: str) -> None:
        self._steps.append(("load", name))

    def _unary(self, function: Callable[[Ball], Ball]) -> None:
        self._steps.append(("unary", function))

    def _binary(self, function: Callable[[Ball, Ball], Ball]) -> None:
        self._steps.append(("binary", function))

    # Sums and products

    def _sum(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise Odd
        sign = self._sign()
        self._product()
        self._signed(sign)
        while sign := self._sign():
            self._product()
            self._signed(sign)
            self._binary(balls.add)
        self._depth -= 1

    def _sign(self) -> str:
        sign = self._now
        if sign not in {"+", "-", r"\pm", r"\mp"}:
            return ""
        self.at += 1
        return sign

    def _signed(self, sign: str) -> None:
        if sign in {"-", r"\mp"}:
            self._unary(balls.negate)
        if sign in {r"\pm", r"\mp"}:
            self.notes.doubts.add(Doubt.SIGN)
            self._load(Doubt.SIGN)
            self._binary(balls.multiply)

    def _product(self) -> None:
        is_count = self._factor()
        while True:
            if self._now in {"*", "/"}:
                divides = self._now == "/"
                self.at += 1
                sign = self._sign()
                self._factor()
                self._signed(sign)
                self._binary(balls.divide if divides else balls.multiply)
                if divides and self._continues():
                    raise Odd  # whether 1/2x is x/2 or 1/(2x) is anybody's guess
            elif self._continues():
                mixed = is_count and self._now == r"\frac"
                self._factor()
                if mixed:
                    self.notes.doubts.add(Doubt.MIXED)
                    self._steps.append(("mixed", None))
                else:
                    self._binary(balls.multiply)
            else:
                return
            is_count = False

    def _continues(self) -> bool:
        """True if a factor follows without a sign of multiplication."""
        now = self._now
        return now in _BEGINNINGS or self._is_symbol() or (now == "|" and not self._bars)

    def _is_symbol(self) -> bool:
        now = self._now
        return now == r"\pi" or now in _GREEK or (now.isalpha() and now.isascii())

    # Factors

    def _factor(self) -> bool:
        """Reads what powers and the like belong to; True if it is a plain natural number."""
        piece = self._now
        self._primary()
        is_count = piece.isdecimal()
        while True:
            if self._now == "^":
                self._power()
            elif self._now == "!":
                self.at += 1
                if self._now == "!":
                    raise Odd
                self._unary(balls.factorial)
            elif self._now == "%":
                self.at += 1
                self.notes.doubts.add(Doubt.PERCENT)
                self._load(Doubt.PERCENT)
                self._binary(balls.multiply)
            elif self._now in {"_", "'"} or self._now[:1].isdecimal() or self._now[:1] == ".":
                raise Odd
            else:
                return is_count
            is_count = False

    def _power(self) -> None:
        self.at += 1
        if self._now == r"\circ" or self.tokens[self.at : self.at + 3] == ["{", r"\circ", "}"]:
            self.at += 1 if self._now == r"\circ" else 3
            self._degrees()
            return
        self._argument()
        if self._now == "^":
            raise Odd
        self._binary(balls.power)

    def _degrees(self) -> None:
        if self._functions:
            self._steps.append(("constant", "pi/180"))
        else:
            self.notes.doubts.add(Doubt.DEGREE)
            self._load(Doubt.DEGREE)
        self._binary(balls.multiply)

    def _argument(self) -> None:
        """What stands in braces, else one digit or symbol."""
        piece = self._now
        if piece == "{":
            self._bracketed("}")
        elif piece.isdecimal():
            self._push(balls.exact(int(piece[0])))
            if len(piece) > 1:
                self.tokens[self.at] = piece[1:]
            else:
                self.at += 1
        elif self._is_symbol():
            self._symbol(alone=True)
        else:
            raise Odd

    def _bracketed(self, closing: str) -> None:
        self.at += 1
        bars, self._bars = self._bars, 0
        self._sum()
        self._bars = bars
        self._take(closing)

    def _primary(self) -> None:
        piece = self._now
        if piece[:1].isdecimal() or (piece[:1] == "." and len(piece) > 1):
            self._number(piece)
        elif self._is_symbol():
            self._symbol()
        elif piece == "(":
            self._bracketed(")")
        elif piece == "{":
            self._bracketed("}")
        elif piece in {r"\frac", r"\binom"}:
            self.at += 1
            self._argument()
            self._argument()
            self._binary(balls.divide if piece == r"\frac" else balls.binomial)
        elif piece == r"\sqrt":
            self._root()
        elif piece in _STEPS:
            closing, step = _STEPS[piece]
            self._bracketed(closing)
            self._unary(step)
        elif piece == "|":
            self.at += 1
            self._bars += 1
            self._sum()
            self._bars -= 1
            self._take("|")
            self._unary(balls.absolute)
        elif piece in _FUNCTIONS:
            self._function(piece)
        elif piece == r"\infty":
            self.at += 1
            self._push((math.inf, 0.0))
        else:
            raise Odd

    def _number(self, piece: str) -> None:
        self.at += 1
        digits, _, exponent = piece.lower().partition("e")
        if len(digits) > _MAX_DIGITS or len(exponent) > 4:
            raise Odd
        whole, point, places = digits.partition(".")
        if not point and not exponent:
            ball = balls.exact(int(whole))
            self._steps.append(("decimal", (ball, piece)) if ball[1] else ("push", ball))
            return
        scale = int(exponent or 0) - len(places)
        if abs(scale) + len(digits) > _MAX_DIGITS:
            raise Odd
        # Its last digit may be a rounded one.
        self._steps.append(("decimal", (balls.rounded(float(piece), 10.0**scale), piece)))

    def _root(self) -> None:
        self.at += 1
        if self._now != "[":
            self._argument()
            self._steps.append(("root", None))
            return
        self._bracketed("]")
        self._argument()
        self._binary(balls.root)

    # Symbols and functions

    def _symbol(self, *, alone: bool = False) -> None:
        """Reads a letter, and a bracket behind it unless it stands alone."""
        name = self._now
        self.at += 1
        if name == r"\pi":
            self.notes.has_pi = True
            self._steps.append(("constant", "pi"))
            return
        if self._now == "_" and not alone:
            name += self._subscript()
        self.notes.letters.add(name)
        self._load(name)
        if self._now != "(" or alone:
            self.notes.plain.add(name)
            return
        # x(x+1) is a product and f(x+1) is none.
        self._bracketed(")")
        self.notes.applied.add(name)
        if self._now == "^":
            self.notes.raised.add(name)
            self._power()
        if self._now in {"!", "'"}:
            raise Odd
        self._steps.append(("apply", name))

    def _subscript(self) -> str:
        self.at += 1
        start = self.at
        if self._now != "{":
            name = self._now[:1] if self._now.isalnum() else ""
            if len(self._now) != 1:
                raise Odd
            self.at += 1
        else:
            while self._now not in {"}", ""}:
                self.at += 1
            name = "".join(self.tokens[start + 1 : self.at])
            self._take("}")
        if not name:
            raise Odd
        return "_" + name

    def _function(self, name: str) -> None:
        self.at += 1
        has_base = name == r"\log" and self._now == "_"
        if has_base:
            self.at += 1
            self._argument()
            self._unary(balls.logarithm)
        power = self._function_power()
        self._functions += 1
        if self._now in {"(", "{"}:
            self._bracketed(")" if self._now == "(" else "}")
            if self._now in {"^", "!", "%"}:
                raise Odd
        else:
            self._bare_argument(is_logarithm=name in {r"\ln", r"\log"})
        self._functions -= 1
        self._unary(_FUNCTIONS[name])
        if has_base:
            self._binary(_divide_reversed)
        elif name == r"\log":
            self.notes.doubts.add(Doubt.LOGARITHM)
            self._load(Doubt.LOGARITHM)
            self._binary(balls.multiply)
        if power is not None:
            self._push(power)
            self._binary(balls.power)

    def _function_power(self) -> Ball | None:
        r"""The exponent in `\sin^2 x`; what -1 means there is not agreed upon."""
        if self._now != "^":
            return None
        self.at += 1
        digits = self._now
        if digits == "{" and self.tokens[self.at + 2] == "}":
            digits = self.tokens[self.at + 1]
            self.at += 2
        if not digits.isdecimal() or len(digits) > 1:
            raise Odd
        self.at += 1
        return balls.exact(int(digits))

    def _bare_argument(self, *, is_logarithm: bool) -> None:
        """The argument of a function without brackets: one factor, or a number and a symbol."""
        if self._now in _FUNCTIONS or (self._is_symbol() and self.tokens[self.at + 1] == "("):
            raise Odd
        is_count = self._factor()
        if is_count and self._continues() and not is_logarithm and self._now != "(":
            self._factor()
            self._binary(balls.multiply)
        if self._now == "/" or (self._continues() and self._now not in _FUNCTIONS):
            raise Odd


def _divide_reversed(a: Ball, b: Ball) -> Ball:
    return balls.divide(b, a)
