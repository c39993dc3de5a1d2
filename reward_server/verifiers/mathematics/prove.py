"""Tells that two answers are equal, by schoolbook rules; never that they are different.

Doubtful signs stay symbols, so that what is told holds however they are meant.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from fractions import Fraction
from typing import Any

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.polynomials import (
    Arithmetic,
    Polynomial,
    Unprovable,
    frozen,
    number,
    symbol,
)
from reward_server.verifiers.mathematics.programs import Program
from reward_server.verifiers.mathematics.readings import Group, Part, Reading, Value

_MAX_DIGITS = 40


def prove(a: Reading, b: Reading) -> bool:
    """True only if the two list the same things in the same order and brackets."""
    if a.is_union != b.is_union or a.has_relations or b.has_relations:
        return False
    if len(a.leaves) != len(b.leaves) or "" in a.names | b.names:
        return False
    if a.names and b.names and a.names != b.names:
        return False
    applied = a.symbols.applied | b.symbols.applied
    try:
        return all(
            _same(part, other, applied) for part, other in zip(a.parts, b.parts, strict=True)
        )
    except ValueError:
        return False


def _same(a: Part, b: Part, applied: frozenset[str]) -> bool:
    if isinstance(a, Group) and isinstance(b, Group):
        return a.brackets == b.brackets and all(
            _same(part, other, applied) for part, other in zip(a.parts, b.parts, strict=True)
        )
    if not isinstance(a, Value) or not isinstance(b, Value):
        return False
    if len(a.sides) != 1 or len(b.sides) != 1 or (a.name and b.name and a.name != b.name):
        return False
    if a.sides == b.sides:
        return True
    return _polynomial(a.sides[0], applied) == _polynomial(b.sides[0], applied)


def _polynomial(program: Program, applied: frozenset[str]) -> Polynomial:
    arithmetic = Arithmetic()
    stack: list[Polynomial] = []
    for kind, payload in program:
        if kind == "push":
            stack.append(_integer(payload))
        elif kind == "decimal":
            stack.append(_decimal(payload[1]))
        elif kind in {"load", "constant"}:
            stack.append(symbol(str(payload)))
        elif kind == "root":
            stack[-1] = arithmetic.square_root(stack[-1])
        elif kind == "unary":
            operand = stack[-1]
            is_sign = payload is balls.negate
            stack[-1] = (
                arithmetic.negate(operand) if is_sign else symbol((payload, frozen(operand)))
            )
        else:
            second = stack.pop()
            stack[-1] = _combined(arithmetic, kind, payload, stack[-1], second, applied)
    return stack[0]


def _combined(
    arithmetic: Arithmetic,
    kind: str,
    payload: Any,
    first: Polynomial,
    second: Polynomial,
    applied: frozenset[str],
) -> Polynomial:
    if kind == "apply" and payload not in applied:
        return arithmetic.multiply(first, second)
    operations = {
        balls.add: arithmetic.add,
        balls.multiply: arithmetic.multiply,
        balls.divide: arithmetic.divide,
        balls.power: arithmetic.power,
    }
    operation = operations.get(payload) if kind == "binary" else None
    if operation is not None:
        return operation(first, second)
    name: Hashable = payload
    return symbol((kind, name, frozen(first), frozen(second)))


def _integer(ball: balls.Ball) -> Polynomial:
    value, error = ball
    if error or isinstance(value, complex) or math.isinf(value):
        raise Unprovable
    return number(Fraction(int(value)))


def _decimal(text: str) -> Polynomial:
    if len(text) > _MAX_DIGITS or "e" in text.lower():
        raise Unprovable
    return number(Fraction(text))
