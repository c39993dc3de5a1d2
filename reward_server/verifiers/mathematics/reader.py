"""Reads the lists, sets, intervals, matrices and equations that answers are written as."""

from __future__ import annotations

from collections.abc import Sequence

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.formulas import MAX_DEPTH, Formula, Notes, Odd
from reward_server.verifiers.mathematics.programs import Program
from reward_server.verifiers.mathematics.readings import Group, Part, Reading, Symbols, Value

_MAX_BASED_DIGITS = 15
MAX_TOKENS = 300
"""Longest text that is read."""

_CLOSING = {"(": ")]", "[": ")]", "{": "}", r"\{": r"\}"}
_CLOSERS = frozenset([")", "]", "}", r"\}"])
_MATRIX, _MATRIX_END = r"\begin{pmatrix}", r"\end{pmatrix}"
_JOINTS = frozenset([",", " and", " or"])
_UNION = r"\cup"
_EQUALS = frozenset(["=", r"\approx"])
_RELATIONS = frozenset([r"\le", r"\ge", r"\ne", "<", ">"])
_OPERATORS = frozenset(["+", "-", "*", "/", "^", r"\int", r"\sum", r"\prod", r"\lim"])
_SIGNS = _EQUALS | _RELATIONS
_ENDS = _CLOSERS | _JOINTS | _SIGNS | {"", _UNION}
_WORDS = frozenset(["and", "or"])
# Two letters may be a product, but not where they may be a unit or a function.
_UNITS = frozenset(prefix + unit for prefix in "kmMGcdnpu" for unit in "mgsAVWNJLlK")
_SHORT_WORDS = frozenset(
    {"ft", "hr", "pm", "am", "no", "if", "is", "of", "to", "by", "an", "at", "in", "oz", "lb", "hz",
     "ln", "lg", "tg", "sh", "ch", "th", "re", "im", "tr", "pi", "xi", "mu", "nu"}
)  # fmt: skip


def read(tokens: Sequence[str]) -> Reading:
    """Reads the tokens of a text.

    Raises:
        Odd: it is not read.
    """
    if not tokens or len(tokens) > MAX_TOKENS:
        raise Odd
    return _Reader(tokens).text()


class _Reader:
    def __init__(self, tokens: Sequence[str]) -> None:
        self._tokens = _one_by_one(tokens)
        self._ends, self._lists = _matched(self._tokens)
        self._tokens.append("")
        self._at = 0
        self._notes = Notes()
        self._names: set[str] = set()
        self._has_relations = False

    @property
    def _now(self) -> str:
        return self._tokens[self._at]

    def text(self) -> Reading:
        parts = [self._part()]
        is_union = self._now == _UNION
        while self._now == _UNION if is_union else self._now in _JOINTS:
            self._at += 1
            parts.append(self._part())
        notes = self._notes
        functions = notes.applied - notes.plain
        if self._now or notes.raised & functions:
            raise Odd
        return Reading(
            parts=tuple(parts),
            is_union=is_union,
            has_relations=self._has_relations,
            names=frozenset(self._names),
            symbols=Symbols(
                frozenset(notes.letters),
                frozenset(functions),
                frozenset(notes.doubts),
                notes.has_pi,
            ),
        )

    def _part(self) -> Part:
        if self._now == _MATRIX:
            return self._matrix()
        if self._at not in self._lists:
            return self._value()
        start = self._at
        group = self._group()
        if self._now not in _EQUALS:
            return group
        # (x, y) = (1, 2)
        self._names.add("".join(self._tokens[start : self._at]))
        self._at += 1
        if self._at not in self._lists:
            raise Odd
        return self._group()

    def _group(self) -> Group:
        opening, end = self._now, self._ends[self._at]
        self._at += 1
        parts = [self._part()]
        while self._now in _JOINTS:
            self._at += 1
            parts.append(self._part())
        closing = self._now
        self._at += 1
        if self._at != end + 1 or self._now not in _ENDS:
            raise Odd
        return Group(opening + closing, tuple(parts))

    def _matrix(self) -> Group:
        cells: list[Part] = []
        widths = [0]  # of the rows
        while self._now != _MATRIX_END:
            self._at += 1
            if cells and self._now == _MATRIX_END:
                break  # a line break behind the last row
            cells.append(Value((self._side(),)))
            widths[-1] += 1
            if self._now == "\\\\":
                widths.append(0)
            elif self._now not in {"&", _MATRIX_END}:
                raise Odd
        self._at += 1
        if self._now not in _ENDS:
            raise Odd
        return Group(f"matrix{[width for width in widths if width]}", tuple(cells))

    def _value(self) -> Value:
        start = self._at
        if self._now.isdecimal() and self._tokens[start + 1] == "_":
            return self._based()
        name = ""
        try:
            first = Formula(self._tokens, start)
            sides = [first.program()]
        except Odd:
            # A label may be anything, as in "AB' = 5".
            self._at = self._label_end(start)
            name = "".join(self._tokens[start : self._at])
            self._names.add(name)
            sides = []
        else:
            self._at = first.at
            if self._now in _SIGNS:
                name = _name(sides[0])
                self._names.add(name)
            if name:
                sides = []
            else:
                self._notes.add(first.notes)
        while self._now in _SIGNS:
            self._has_relations |= self._now in _RELATIONS
            self._at += 1
            sides.append(self._side())
        if self._now not in _ENDS:
            raise Odd
        return Value(tuple(sides), name)

    def _based(self) -> Value:
        """A number in a base, as 204_5, which may be meant by its digits alone."""
        digits = self._now
        self._at += 2
        base = self._now
        if base == "{":
            base = self._tokens[self._at + 1]
            self._at += 2
        self._at += 1
        is_number = (digits + base).isascii() and base.isdecimal()
        is_base = is_number and 2 <= int(base[:3]) <= 10 and max(digits) < base
        if not is_base or len(digits) > _MAX_BASED_DIGITS or self._now not in _ENDS:
            raise Odd
        values = int(digits), int(digits, int(base))
        return Value(tuple((("push", balls.exact(value)),) for value in values))

    def _side(self) -> Program:
        formula = Formula(self._tokens, self._at)
        program = formula.program()
        self._at = formula.at
        self._notes.add(formula.notes)
        return program

    def _label_end(self, start: int) -> int:
        at = start
        while self._tokens[at] not in _EQUALS:
            piece = self._tokens[at]
            if not piece or piece in _JOINTS or piece in _OPERATORS or piece[0].isdigit():
                raise Odd  # it is to be solved first
            at = self._ends.get(at, at) + 1
        return at


def _name(program: Program) -> str:
    """The name that a formula is: a letter, or one with others in brackets; else empty."""
    kinds = [kind for kind, _ in program]
    if kinds in (["load"], ["load", "load", "apply"]):
        return str(program[0][1])
    return ""


def _one_by_one(tokens: Sequence[str]) -> list[str]:
    """The tokens with letters one by one, and words that mean "and" as such."""
    single: list[str] = []
    for piece in tokens:
        if piece[0] == "d" and single[-2:] == [r"\frac", "{"]:
            raise Odd  # a derivative
        if len(piece) == 1 or not piece.isalpha():
            single.append(piece)
        elif piece in _WORDS:
            single.append(" " + piece)
        elif len(piece) > 2 or piece[0] == "d" or piece in _UNITS or piece.lower() in _SHORT_WORDS:
            raise Odd
        else:
            single.extend(piece)
    return single


def _matched(tokens: Sequence[str]) -> tuple[dict[int, int], set[int]]:
    """Where each bracket is closed, and the brackets that hold a list."""
    ends: dict[int, int] = {}
    lists: set[int] = set()
    opened: list[int] = []
    for at, piece in enumerate(tokens):
        if piece in _CLOSING:
            opened.append(at)
            if len(opened) > MAX_DEPTH:
                raise Odd
            if piece == r"\{":
                lists.add(at)
        elif piece in _CLOSERS:
            if not opened or piece not in _CLOSING[tokens[opened[-1]]]:
                raise Odd
            ends[opened.pop()] = at
        elif piece in _JOINTS and opened:
            lists.add(opened[-1])
    if opened:
        raise Odd
    return ends, lists
