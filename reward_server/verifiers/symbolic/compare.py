"""Whether two shapes are the same answer.

Three-valued: None says that these rules cannot tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from sympy import Expr, MatrixBase, Rational, S

from reward_server.verifiers.mathematics.policy import Policy
from reward_server.verifiers.symbolic import samples
from reward_server.verifiers.symbolic.equations import (
    as_product,
    difference,
    letters,
    pairs,
    same_equation,
    same_inequality,
)
from reward_server.verifiers.symbolic.labels import (
    are_named,
    around_approx,
    behind,
    distinct_names,
    is_constant,
    is_label,
    is_name,
    near,
    rounds,
    unrolled,
)
from reward_server.verifiers.symbolic.sets import as_set, equal, same_solutions
from reward_server.verifiers.symbolic.shapes import (
    DEGREE,
    PERCENT,
    Cases,
    Constant,
    Grid,
    Listing,
    Ratio,
    Relation,
    Shape,
    Union,
    Value,
)
from reward_server.verifiers.symbolic.three_valued import all_of, any_of

_MIN_REFERENCE_DIGITS = 3


class Comparer:
    """Compares by one policy."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def same(self, gold: Shape, found: Shape) -> bool | None:
        """Whether the answer `found` is the reference `gold`."""
        gold, found = unrolled(gold), unrolled(found)
        if _is_equation(gold) and (product := as_product(found)):
            found = product
        elif _is_equation(found) and (product := as_product(gold)):
            gold = product
        if gold == found:
            return True
        if isinstance(gold, Relation) or isinstance(found, Relation):
            return self._relations(gold, found)
        if isinstance(gold, Value) and isinstance(found, Value):
            return self._values(gold, found)
        if isinstance(gold, Grid) or isinstance(found, Grid):
            return self._grids(gold, found)
        if isinstance(gold, Ratio) or isinstance(found, Ratio):
            return self._ratios(gold, found)
        if isinstance(gold, Cases) or isinstance(found, Cases):
            return self._cases(gold, found)
        if isinstance(gold, Listing) and isinstance(found, Listing):
            return self._listings(gold, found)
        if isinstance(gold, Union | Constant) or isinstance(found, Union | Constant):
            return self._sets(gold, found)
        return self._single(gold, found)

    # Values

    def _values(self, gold: Value, found: Value) -> bool | None:
        return any_of(
            partial(self._plain_values, gold, found, *pair)
            for pair in self._sign_readings(gold.expr, found.expr)
        )

    def _sign_readings(self, gold: Expr, found: Expr) -> list[tuple[Expr, Expr]]:
        """Both without percent and degree signs, in every way that the policy allows."""
        marked = gold.has(PERCENT), found.has(PERCENT)
        factors: list[tuple[Any, Any]] = [(1, 1)]
        if any(marked):
            hundredth = Rational(1, 100)
            choices = {
                "unit": [(1, 1)],
                "value": [(hundredth, hundredth)],
                "strict": [(1, 1)] if all(marked) else [],
                "either": [(1, 1)] if all(marked) else [(1, 1), (hundredth, hundredth)],
            }
            factors = choices[self._policy.percent]
        pairs = [(gold.subs(PERCENT, a), found.subs(PERCENT, b)) for a, b in factors]
        turned = gold.has(DEGREE), found.has(DEGREE)
        if not any(turned):
            return pairs
        plain = [(a.subs(DEGREE, 1), b.subs(DEGREE, 1)) for a, b in pairs]
        other = found if turned[0] else gold
        if all(turned) or not other.has(S.Pi):
            return plain
        return plain + [(a.subs(DEGREE, S.Pi / 180), b.subs(DEGREE, S.Pi / 180)) for a, b in pairs]

    def _plain_values(
        self, gold_value: Value, found_value: Value, gold: Expr, found: Expr
    ) -> bool | None:
        result = samples.same(gold, found)
        if result is not False or gold.free_symbols or found.free_symbols:
            return result
        if gold.is_infinite or found.is_infinite:
            return result
        policy = self._policy
        if policy.absolute_tolerance or policy.relative_tolerance:
            a, b = samples.number(gold), samples.number(found)
            allowed = max(policy.absolute_tolerance, policy.relative_tolerance * abs(a))
            if abs(a - b) <= allowed:
                return True
        return self._rounded(gold_value, found_value, gold, found)

    def _rounded(self, gold_value: Value, found_value: Value, gold: Expr, found: Expr) -> bool:
        """Whether one is a decimal that the other, which no decimal can be, rounds to."""
        least = self._policy.rounded_digits
        if not least or (gold_value.quantum is None) == (found_value.quantum is None):
            return False
        if found_value.quantum is not None:
            exact, decimal, quantum = gold, found, found_value.quantum
            enough = found_value.digits >= least
        else:
            exact, decimal, quantum = found, gold, gold_value.quantum
            enough = gold_value.digits >= min(_MIN_REFERENCE_DIGITS, least)
        if not enough or _terminates(exact) or quantum is None:
            return False
        a, b = samples.number(exact), samples.number(decimal)
        return bool(abs(a - b) * 2 <= samples.number(quantum))

    def _ratios(self, gold: Shape, found: Shape) -> bool | None:
        if isinstance(gold, Ratio) and isinstance(found, Ratio):
            if len(gold.parts) != len(found.parts):
                return False
            if 0 in gold.parts or 0 in found.parts:
                return gold.parts == found.parts
            return all_of(
                partial(samples.same, a * found.parts[0], b * gold.parts[0])
                for a, b in zip(gold.parts, found.parts, strict=True)
            )
        ratio, other = (gold, found) if isinstance(gold, Ratio) else (found, gold)
        if isinstance(ratio, Ratio) and isinstance(other, Value) and len(ratio.parts) == 2:
            return samples.same(ratio.parts[0] / ratio.parts[1], other.expr)
        return False

    # Several parts

    def _listings(self, gold: Listing, found: Listing) -> bool | None:
        if self._unordered(gold, found):
            named = self._without_names(gold, found)
            return self._matched(*named)
        if "{" in (gold.opening, found.opening):
            return self._single(gold, found)
        golds, founds = self._without_names(gold, found)
        brackets = {gold.opening + gold.closing, found.opening + found.closing} - {""}
        if len(golds) == 2 and len(brackets) == 2:
            return False
        if len(brackets) == 2 and not brackets <= {"()", "[]"}:
            return False
        if brackets & {"[)", "(]"} and gold.opening != found.opening:
            return False  # an interval is no list
        return self._in_order(golds, founds)

    def _unordered(self, gold: Listing, found: Listing) -> bool:
        kinds = {gold.opening, found.opening}
        if kinds == {""}:
            return self._policy.list_order == "ignore" and not distinct_names(gold, found)
        return kinds <= {"", "{"}

    def _without_names(
        self, gold: Listing, found: Listing
    ) -> tuple[Sequence[Shape], Sequence[Shape]]:
        """The parts, less `x =` where one of the lists goes without."""
        named = are_named(gold.parts), are_named(found.parts)
        if named[0] and not any(isinstance(part, Relation) for part in found.parts):
            return [behind(part) for part in gold.parts], found.parts
        if named[1] and not any(isinstance(part, Relation) for part in gold.parts):
            return gold.parts, [behind(part) for part in found.parts]
        return gold.parts, found.parts

    def _in_order(self, gold: Sequence[Shape], found: Sequence[Shape]) -> bool | None:
        if len(gold) != len(found):
            return False
        return all_of(partial(self.same, a, b) for a, b in zip(gold, found, strict=True))

    def _matched(self, gold: Sequence[Shape], found: Sequence[Shape]) -> bool | None:
        """Whether each part has a partner of its own."""
        gold, rest = list(dict.fromkeys(gold)), list(dict.fromkeys(found))
        if len(gold) != len(rest):
            return False
        unsure = False
        for part in gold:
            verdicts = [self.same(part, other) for other in rest]
            if True in verdicts:
                rest.pop(verdicts.index(True))
            elif None in verdicts:
                unsure = True
            else:
                return False
        return None if unsure else True

    def _single(self, gold: Shape, found: Shape) -> bool | None:
        """A value and a list: equal where the list is a set of that value alone."""
        listing, value = (gold, found) if isinstance(gold, Listing) else (found, gold)
        if isinstance(value, Listing) and value.opening == "{":
            listing, value = value, listing
        if isinstance(listing, Listing) and len(listing.parts) == 1:
            [part] = listing.parts
            return self.same(part, value) if listing is gold else self.same(value, part)
        return False

    def _cases(self, gold: Shape, found: Shape) -> bool | None:
        golds, founds = _rows(gold), _rows(found)
        if golds is None or founds is None:
            return False
        return self._matched(golds, founds)

    def _grids(self, gold: Shape, found: Shape) -> bool | None:
        if isinstance(gold, Grid) and isinstance(found, Grid):
            a, b = gold.matrix, found.matrix
            if a.shape != b.shape:
                return False
            return self._in_order(_cells(a), _cells(b))
        grid, other = (gold, found) if isinstance(gold, Grid) else (found, gold)
        if not isinstance(grid, Grid) or not isinstance(other, Listing) or other.opening == "{":
            return False
        rows, columns = grid.matrix.shape
        cells = _cells(grid.matrix)
        parts: list[Shape] = list(other.parts)
        if 1 not in (rows, columns):
            if not all(isinstance(part, Listing) for part in parts) or len(parts) != rows:
                return False
            parts = [cell for row in parts if isinstance(row, Listing) for cell in row.parts]
        return self._in_order(cells, parts) if grid is gold else self._in_order(parts, cells)

    def _sets(self, gold: Shape, found: Shape) -> bool | None:
        if isinstance(gold, Union) and isinstance(found, Union):
            ordered = gold.operator == "minus"
            match = self._in_order if ordered else self._matched
            if gold.operator == found.operator and match(gold.parts, found.parts):
                return True
        a, b = as_set(gold), as_set(found)
        if a is not None and b is not None:
            return equal(a, b)
        if isinstance(gold, Constant) and isinstance(found, Constant):
            return gold == found
        if isinstance(gold, Value) or isinstance(found, Value):
            return False
        return None

    # Relations

    def _relations(self, gold: Shape, found: Shape) -> bool | None:
        if isinstance(gold, Relation) and "~" in gold.operators:
            return any_of(partial(self.same, side, found) for side in around_approx(gold))
        if isinstance(found, Relation) and "~" in found.operators:
            sides = around_approx(found)
            if not near(sides):
                # "41.6 is about 42" says 41.6; whoever writes "41 is about 43" leaves both open.
                sides = sides[:1] if rounds(sides) else []
            return any_of(partial(self.same, gold, side) for side in sides)
        if not isinstance(gold, Relation):
            assert isinstance(found, Relation)
            return self._unwrapped_answer(gold, found)
        if not isinstance(found, Relation):
            return self._unwrapped_reference(gold, found)
        kinds = set(gold.operators), set(found.operators)
        if kinds == ({"="}, {"="}):
            return self._equations(gold, found)
        if kinds == ({"in"}, {"in"}):
            if gold.sides[0] != found.sides[0]:
                return False
            return self.same(gold.sides[-1], found.sides[-1])
        if ({"="} in kinds) or ({"in"} in kinds):
            return self._as_sets(gold, found, unknown={"in"} in kinds)
        return self._inequalities(gold, found)

    def _unwrapped_answer(self, gold: Shape, found: Relation) -> bool | None:
        """An answer `x = 5`, `2 + 3 = 5` or `x > 5` to a reference that is no relation."""
        kinds = set(found.operators)
        last = found.sides[-1]
        if kinds == {"="}:
            verdict = self.same(gold, last)
            if not verdict:
                return verdict
            values = [side for side in found.sides[:-1] if is_constant(side)]
            return all_of(partial(self.same, gold, side) for side in values)
        if kinds == {"in"}:
            return self.same(gold, last)
        return self._as_sets(gold, found, unknown=isinstance(gold, Listing | Union | Constant))

    def _unwrapped_reference(self, gold: Relation, found: Shape) -> bool | None:
        kinds = set(gold.operators)
        if kinds in ({"="}, {"in"}):
            if not is_label(gold.sides[0]) and not gold.names_function:
                return False
            return self.same(gold.sides[-1], found)
        return self._as_sets(gold, found, unknown=isinstance(found, Listing | Union | Constant))

    def _as_sets(self, gold: Shape, found: Shape, *, unknown: bool) -> bool | None:
        a, b = as_set(gold), as_set(found)
        if a is None or b is None:
            return None if unknown else False
        return equal(a, b)

    def _equations(self, gold: Relation, found: Relation) -> bool | None:
        first, last = gold.sides[0], gold.sides[-1]
        head, answer = found.sides[0], found.sides[-1]
        functions = gold.names_function or found.names_function
        named = (is_name(first) or gold.names_function) and (is_name(head) or found.names_function)
        if named and (functions or first == head):
            verdict = self.same(last, answer)
            if verdict is not False or functions or not _mentions(first, last, answer):
                return verdict
        a, b = difference(first, last), difference(head, answer)
        return a is not None and b is not None and same_equation(a, b)

    def _inequalities(self, gold: Relation, found: Relation) -> bool | None:
        a, b = as_set(gold), as_set(found)
        if a is not None and b is not None and letters(gold) == letters(found):
            return equal(a, b)
        if (solved := same_solutions(gold, found)) is not None:
            return solved
        golds, founds = pairs(gold), pairs(found)
        if len(golds) != len(founds):
            return None
        return all_of(partial(same_inequality, a, b) for a, b in zip(golds, founds, strict=True))


def _is_equation(shape: Shape) -> bool:
    return isinstance(shape, Relation) and shape.operators == ("=",)


def _mentions(name: Shape, *shapes: Shape) -> bool:
    """Whether a letter comes again in any of the shapes, as in `x = 2x - 5`."""
    letters = name.expr.free_symbols if isinstance(name, Value) else set()
    return any(isinstance(one, Value) and letters & one.expr.free_symbols for one in shapes)


def _terminates(expr: Expr) -> bool:
    """Whether a decimal can be exactly this number."""
    if not isinstance(expr, Rational):
        return False
    below = int(expr.q)
    for prime in (2, 5):
        while below % prime == 0:
            below //= prime
    return below == 1


def _rows(shape: Shape) -> Sequence[Shape] | None:
    if isinstance(shape, Cases):
        return shape.rows
    return shape.parts if isinstance(shape, Listing) and not shape.opening else None


def _cells(matrix: MatrixBase) -> list[Shape]:
    return [Value(cell) for cell in matrix.flat()]
