"""The grammar and the comparison of values that workers use."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import Integer, Rational, Symbol, cos, pi, sin, sqrt

from reward_server.verifiers.mathematics.policy import Policy
from reward_server.verifiers.symbolic import samples
from reward_server.verifiers.symbolic.answers import tell
from reward_server.verifiers.symbolic.cursor import Reading
from reward_server.verifiers.symbolic.grammar import read
from reward_server.verifiers.symbolic.shapes import (
    Constant,
    Listing,
    Relation,
    Shape,
    Union,
    Unreadable,
    Value,
)
from reward_server.verifiers.symbolic.tokens import MAX_TOKENS, plain
from reward_server.verifiers.symbolic.units import conflict, take_off

x, y = Symbol("x"), Symbol("y")


def shape(text: str) -> Shape:
    """The text as the worker reads it."""
    return read(plain(text), Reading())


@pytest.mark.parametrize(
    ("text", "expr"),
    [
        (r"\frac12x", x / 2),
        (r"\dfrac{x}{y}", x / y),
        ("2x^2y", 2 * x**2 * y),
        ("x^10", x**10),
        (r"\sqrt[3]{8}", Integer(2)),
        (r"\sin^2 2x", sin(2 * x) ** 2),
        (r"\sin x\cos y", sin(x) * cos(y)),
        (r"\cos(x)y", cos(x) * y),
        ("x(x+1)", x * (x + 1)),
        (r"3\frac{1}{4}", Rational(13, 4)),
        (r"3\frac{x}{4}", 3 * x / 4),
        (r"x/y\cdot 2", 2 * x / y),
        (r"-x^2", -(x**2)),
        (r"2\pi", 2 * pi),
        (r"|x-1|", abs(x - 1)),
        (r"\left(\sqrt{2}\right)^{2}", Integer(2)),
        (r"\sum_{i=1}^{3} i", Integer(6)),
        (r"\frac{d}{dx} x^3", 3 * x**2),
        ("sqrt(2)", sqrt(2)),
    ],
)
def test_an_expression_is_read_as_people_mean_it(text: str, expr: object) -> None:
    found = shape(text)
    assert isinstance(found, Value)
    assert found.expr == expr


def test_decimals_remember_their_last_digit() -> None:
    found = shape(r"-2.50\times10^{3}")
    assert found == Value(Integer(-2500), Rational(10), 3)


def test_delimiters_make_lists() -> None:
    one, two = Value(Integer(1)), Value(Integer(2))
    assert shape("(1,2]") == Listing("(", "]", (one, two))
    assert shape(r"\{1;2\}") == Listing("{", "}", (one, two))
    assert shape(r"1 \text{ and } 2") == Listing("", "", (one, two))
    assert shape(r"\{\}") == Constant("empty")
    assert shape(r"(1,2)\cup(1,2)") == Union("cup", (shape("(1,2)"), shape("(1,2)")))


def test_relations_keep_their_chain() -> None:
    found = shape(r"1 \le x < 2")
    assert isinstance(found, Relation)
    assert found.operators == ("<=", "<")
    assert len(found.sides) == 3


@pytest.mark.parametrize(
    "text",
    [
        "", "(", "1 2", r"\frac{1}", r"\foo", "__import__", "x^", r"\left(1", "1)", r"\sqrt",
        r"\begin{pmatrix}1&2\\3\end{pmatrix}", "1/0", "f(", "(" * 500, "x+" * MAX_TOKENS,
        "9" * 5000, r"\binom{10^9}{5}", "99999!", r"5_{1}", "import os", "\u00b2", "\x00",
    ],
)  # fmt: skip
def test_what_is_no_formula_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        shape(text)


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (sin(x) ** 2 + cos(x) ** 2, Integer(1), True),
        (sqrt(x**2), abs(x), True),
        (sqrt(x**2), x, False),
        (sqrt(x * y), sqrt(x) * sqrt(y), True),
        (Integer(10) ** 80, Integer(10) ** 80 + 1, False),
        (sqrt(2) + sqrt(3), sqrt(5 + 2 * sqrt(6)), True),
        (x, x + Rational(1, 10**30), False),
        (Symbol("n") * pi, Symbol("k") * pi, False),
    ],
)
def test_values_at_points_tell_formulas_apart(left: object, right: object, equal: bool) -> None:
    assert samples.same(left, right) is equal
    assert samples.same(right, left) is equal


def test_proportional_formulas_have_one_ratio() -> None:
    assert samples.close(samples.proportional(2 * x + 4, x + 2), 2)
    assert samples.proportional(2 * x + 4, x + 3) is None
    assert samples.proportional(Integer(0) * x, x) is None


def test_units_are_taken_off_by_name() -> None:
    assert take_off(r"5\text{ cm}^2")[0].strip() == "5"
    assert take_off("5 square centimeters")[1] == take_off(r"5\,\mathrm{cm}^{2}")[1] != ""
    assert take_off("5cm") == ("5cm", "")
    assert take_off(r"5\text{ or more}")[0] == r"5\text{ or more}"
    assert conflict("cm", "kg")
    assert not conflict("cm", "")


PIECES = (
    r"\frac \sqrt ^ _ { } ( ) [ ] | 1 2 17 x i e \pi , ; = < \in \cup \{ \} & \\ ! % \circ \sum "
    r"\int d \lim \to \log \sin - + / \pm \text{a} : . f \binom \cdot \begin{pmatrix} "
    r"\end{pmatrix}"
)


@given(st.lists(st.sampled_from(PIECES.split()), max_size=9).map(" ".join))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_comparison(text: str) -> None:
    assert tell(text, "x+1", Policy()) in (True, False, None)
    assert tell(text, text, Policy()) is not False
