"""Exact sums of products: formulas in a form that equal ones share, as far as schoolbook rules go.

A polynomial is a sum of terms: a fraction times the square root of a squarefree number times powers
of symbols. Whatever is not taken apart, as a sine or the cube root of something, is a symbol whose
name holds what is inside. Two formulas with the same polynomial are equal; two with different ones
may be so all the same. A budget bounds the work.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from fractions import Fraction
from typing import TypeAlias

Monomial: TypeAlias = tuple[int, frozenset[tuple[Hashable, int]]]
"""What stands under the square root, and the symbols with their powers."""
Polynomial: TypeAlias = dict[Monomial, Fraction]

_ONE: Monomial = (1, frozenset())
_MAX_PRODUCTS = 2000
_MAX_BITS = 256
_MAX_POWER = 16
_MAX_RADICAND = 10**6


class Unprovable(ValueError):
    """These rules do not lead on, or too far."""


def number(value: Fraction) -> Polynomial:
    """A number."""
    return {_ONE: value} if value else {}


def symbol(name: Hashable) -> Polynomial:
    """Something that is not taken apart."""
    return {(1, frozenset({(name, 1)})): Fraction(1)}


def opened(polynomial: Polynomial) -> Fraction | None:
    """The number that it is, else None."""
    if not polynomial:
        return Fraction(0)
    return polynomial.get(_ONE) if len(polynomial) == 1 else None


def frozen(polynomial: Polynomial) -> Hashable:
    """The polynomial as a part of a symbol's name."""
    return frozenset(polynomial.items())


class Arithmetic:
    """Computes with polynomials until its budget is spent; every operation may raise Unprovable."""

    def __init__(self) -> None:
        self._left = _MAX_PRODUCTS

    def add(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """The sum."""
        self._spend(len(b))
        total = dict(a)
        for monomial, factor in b.items():
            total[monomial] = _bounded(total.get(monomial, Fraction(0)) + factor)
        return {monomial: factor for monomial, factor in total.items() if factor}

    def negate(self, a: Polynomial) -> Polynomial:
        """The opposite."""
        return {monomial: -factor for monomial, factor in a.items()}

    def multiply(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """The product."""
        self._spend(len(a) * len(b))
        if not (a and b) and (opened(a) is None or opened(b) is None):
            raise Unprovable  # nothing times what may have no value
        total: Polynomial = {}
        for monomial, factor in a.items():
            for other, other_factor in b.items():
                joined, share = _joined(monomial, other)
                part = _bounded(factor * other_factor * share)
                total[joined] = total.get(joined, Fraction(0)) + part
        return {monomial: factor for monomial, factor in total.items() if factor}

    def divide(self, a: Polynomial, b: Polynomial) -> Polynomial:
        """The quotient by a single term."""
        if len(b) != 1:
            raise Unprovable
        [((radicand, symbols), factor)] = b.items()
        inverse = radicand, frozenset((name, -power) for name, power in symbols)
        return self.multiply(a, {inverse: 1 / (factor * radicand)})

    def power(self, a: Polynomial, exponent: Polynomial) -> Polynomial:
        """A small integer power taken apart, any other one as a symbol."""
        n = opened(exponent)
        if n is None or n.denominator != 1 or abs(n) > _MAX_POWER:
            return symbol(("power", frozen(a), frozen(exponent)))
        if n <= 0 and not a:
            raise Unprovable
        result = number(Fraction(1))
        for _ in range(abs(int(n))):
            result = self.multiply(result, a)
        return result if n >= 0 else self.divide(number(Fraction(1)), result)

    def square_root(self, a: Polynomial) -> Polynomial:
        """The root of a positive number taken apart, any other one as a symbol."""
        value = opened(a)
        if value is None or value < 0:
            return symbol(("root", frozen(a)))
        under = value.numerator * value.denominator
        if under > _MAX_RADICAND:
            raise Unprovable
        square, radicand = _square_part(under)
        return {(radicand, frozenset()): Fraction(square, value.denominator)} if value else {}

    def _spend(self, products: int) -> None:
        self._left -= products
        if self._left < 0:
            raise Unprovable


def _joined(a: Monomial, b: Monomial) -> tuple[Monomial, int]:
    """The product of two monomials, and the integer that comes out of the square roots."""
    (radicand, symbols), (other, others) = a, b
    common = math.gcd(radicand, other)
    under = radicand * other // (common * common)
    if under > _MAX_RADICAND:
        raise Unprovable
    if not symbols or not others:
        return (under, symbols or others), common
    powers = dict(symbols)
    for name, power in others:
        powers[name] = powers.get(name, 0) + power
    return (under, frozenset((name, power) for name, power in powers.items() if power)), common


def _square_part(value: int) -> tuple[int, int]:
    """The largest integer whose square divides the value, and what is left then."""
    square, divisor = 1, 2
    left = value
    while divisor * divisor <= left:
        while left % (divisor * divisor) == 0:
            left //= divisor * divisor
            square *= divisor
        divisor += 1
    return square, left


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > _MAX_BITS:
        raise Unprovable
    return value
