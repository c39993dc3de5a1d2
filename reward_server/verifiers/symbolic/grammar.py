"""Reads an answer into shapes: recursive descent over LaTeX, without evaluating any code."""

from __future__ import annotations

import re
from dataclasses import replace

from reward_server.verifiers.symbolic.arithmetic import (
    arithmetic,
)
from reward_server.verifiers.symbolic.cursor import Reading
from reward_server.verifiers.symbolic.expressions import Expressions
from reward_server.verifiers.symbolic.shapes import (
    Constant,
    Listing,
    Ratio,
    Relation,
    Shape,
    Union,
    Unreadable,
)
from reward_server.verifiers.symbolic.tokens import Token, tokenize
from reward_server.verifiers.symbolic.vocabulary import (
    LOGIC,
    RELATIONS,
    SEPARATORS,
    SETS,
)

_WORD = re.compile(r"(?<![\\a-zA-Z])(?![bBpv]?matrix|smallmatrix|array|cases)[a-zA-Z]{4,}")
_ENDS_CELL = frozenset({"&", "\\\\", r"\end"})


def read(text: str, reading: Reading) -> Shape:
    r"""The shape of an answer that `plain` has tidied.

    Raises:
        Unreadable: it is beyond this grammar.
    """
    if _WORD.search(text):
        raise Unreadable("words")
    tokens = tokenize(text, grouped=reading.grouped)
    names = {token.text for token in tokens}
    if names & {r"\pm", r"\mp"}:
        parts: list[Shape] = []
        for sign, opposite in (("+", "-"), ("-", "+")):
            signs = {r"\pm": sign, r"\mp": opposite}
            chosen = [
                Token("sign", signs[token.text], token.spaced) if token.text in signs else token
                for token in tokens
            ]
            branch = _Reader(chosen, reading).whole()
            bare = isinstance(branch, Listing) and not branch.opening
            parts += branch.parts if bare and isinstance(branch, Listing) else [branch]
        distinct = tuple(dict.fromkeys(parts))
        return distinct[0] if len(distinct) == 1 else Listing("", "", distinct)
    return _Reader(tokens, reading).whole()


class _Reader(Expressions):
    """Reads a whole answer."""

    def whole(self) -> Shape:
        """Everything up to the end."""
        shape = self._answer()
        if self._next.text == "." and self._tokens[self._at + 1].kind == "end":
            self._at += 1
        if self._next.kind != "end":
            raise self._refusal()
        return shape

    def _answer(self) -> Shape:
        """Parts between commas."""
        parts = [self._logic()]
        while self._next.text in SEPARATORS:
            while self._next.text in SEPARATORS:
                self._take()
            if self._next.kind == "end" or self._next.text in _ENDS_CELL:
                break
            parts.append(self._logic())
        return parts[0] if len(parts) == 1 else Listing("", "", tuple(parts))

    def _logic(self) -> Shape:
        """Relations joined by `or` and `and`, which join what they allow."""
        shape = self._relation()
        while self._next.text in LOGIC:
            operator = LOGIC[self._take().text]
            other = self._relation()
            if isinstance(shape, Union) and shape.operator == operator:
                shape = replace(shape, parts=(*shape.parts, other))
            else:
                shape = Union(operator, (shape, other))
        return shape

    def _relation(self) -> Shape:
        function = self._function_head()
        leading = self._next.text in RELATIONS
        sides: list[Shape] = [Constant("") if leading else self._sets()]
        if function is not None and self._next.text not in RELATIONS:
            raise self._refusal()
        operators: list[str] = []
        while self._next.text in RELATIONS:
            operators.append(RELATIONS[self._take().text])
            if self._next.text == "=" and operators[-1] in "<>":
                self._take()
                operators[-1] += "="
            sides.append(self._sets())
        if not operators:
            return self._ratio(sides[0])
        return Relation(tuple(operators), tuple(sides), function is not None)

    def _function_head(self) -> str | None:
        """The name of f in `f(x) =`, where the head is all that stands before the sign."""
        head = self._tokens[self._at : self._at + 12]
        texts = [token.text for token in head]
        if len(head) < 5 or head[0].kind != "letter":
            return None
        at = 1
        if texts[at] == "_":
            at += 4 if texts[at + 1] == "{" else 2
        if at + 3 >= len(texts) or texts[at] != "(" or head[at + 1].kind != "letter":
            return None
        while at + 3 < len(texts) and texts[at + 2] == "," and head[at + 3].kind == "letter":
            at += 2
        if at + 3 < len(texts) and texts[at + 2] == ")" and texts[at + 3] in ("=", ":="):
            return texts[0]
        return None

    def _ratio(self, first: Shape) -> Shape:
        if self._next.text != ":":
            return first
        parts = [arithmetic(first)]
        while self._accept(":"):
            parts.append(arithmetic(self._sum()))
        return Ratio(tuple(parts))

    def _sets(self) -> Shape:
        shape = self._sum()
        while self._next.text in SETS:
            operator = SETS[self._take().text]
            other = self._sum()
            if isinstance(shape, Union) and shape.operator == operator != "minus":
                shape = replace(shape, parts=(*shape.parts, other))
            else:
                shape = Union(operator, (shape, other))
        return shape
