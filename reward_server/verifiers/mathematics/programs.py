"""Formulas as programs of a stack machine, whose work is bounded by their length."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from reward_server.verifiers.mathematics import balls
from reward_server.verifiers.mathematics.balls import Ball

Step: TypeAlias = tuple[str, Any]
"""An operation and what it needs: `push` an exact ball, `decimal` another one with its text,
`constant` a name among `CONSTANTS`, `load` a name, `apply` a letter, `unary` or `binary` a
function, `root` and `mixed` nothing."""
Program: TypeAlias = tuple[Step, ...]

CONSTANTS: Mapping[str, Ball] = {
    "pi": balls.rounded(math.pi, 0.0),
    "pi/180": balls.rounded(math.pi / 180, 0.0),
}
"""Numbers that have a name."""


class Doubt(StrEnum):
    """What can be read in more than one way; most are factors that programs load like a letter."""

    PERCENT = "percent"
    """10 % may be 10 or 0.1."""
    DEGREE = "degree"
    """45 degrees may be 45 or pi/4."""
    LOGARITHM = "logarithm"
    """The base may be e or 10."""
    SIGN = "sign"
    """Plus and minus: both values are meant."""
    MIXED = "mixed"
    """A number before a fraction may be added to it or multiplied by it."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One way to read what is in doubt, with values for the letters."""

    values: Mapping[str, Ball]
    """Of letters, and of doubts that are factors."""
    mixed: bool = True
    """Whether a number before a fraction is added to it."""
    applied: Collection[str] = ()
    """The letters that are functions where a bracket follows."""
    has_letters: bool = False
    """Whether letters have values; then negative numbers have no roots, as laws fail for them."""


def run(program: Program, setting: Setting, sign: Ball = (1.0, 0.0)) -> Ball | None:
    """The value, or None where it is not defined; `sign` is what plus and minus mean together."""
    stack: list[Ball] = []
    values = setting.values
    try:
        for kind, payload in program:
            if kind == "push":
                stack.append(payload)
            elif kind == "load":
                stack.append(sign if payload is Doubt.SIGN else values[payload])
            elif kind == "decimal":
                stack.append(payload[0])
            elif kind == "constant":
                stack.append(CONSTANTS[payload])
            elif kind == "unary":
                stack[-1] = payload(stack[-1])
            elif kind == "root":
                if setting.has_letters and stack[-1][0].real < 0:
                    return None
                stack[-1] = balls.square_root(stack[-1])
            else:
                second = stack.pop()
                stack[-1] = _combined(kind, payload, stack[-1], second, setting)
    except (ArithmeticError, ValueError):
        return None
    return stack[0]


def _combined(kind: str, payload: Any, first: Ball, second: Ball, setting: Setting) -> Ball:
    if kind == "binary":
        combine: Callable[[Ball, Ball], Ball] = payload
        return combine(first, second)
    if kind == "mixed":
        return balls.add(first, second) if setting.mixed else balls.multiply(first, second)
    if payload in setting.applied:
        return _unknown_function(payload, second)
    return balls.multiply(first, second)


def _unknown_function(letter: str, argument: Ball) -> Ball:
    """Some smooth function that no formula gives by chance; another one for every letter."""
    pitch = math.sqrt(sum(map(ord, letter)) + 0.1)
    turned = balls.multiply((pitch, 0.0), balls.add(argument, (pitch, 0.0)))
    return balls.multiply((pitch, 0.0), balls.cosine(turned))
