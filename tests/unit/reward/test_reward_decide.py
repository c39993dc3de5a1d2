import sys
from types import FrameType
from typing import Any

import pytest

from reward_server.verifiers.mathematics.decide import decide

EQUAL = [
    ("42", "42"),
    ("42", " 042 "),
    ("0", "-0"),
    (r"\dfrac{3}{4}", r"\frac34"),
    (r"\sqrt2", r"\sqrt{2}"),
    (r"2\sqrt{3}", r"2 \sqrt 3"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\tfrac{\pi}2)"),
    ("x^{2}+1", "x^2 + 1"),
    ("a_{1}", "a_1"),
    (r"2\cdot 3", r"2 \times 3"),
    (r"x \leq 2", r"x \le 2"),
    (r"x \neq 3", "x != 3"),
    (r"90^\circ", r"90^{\circ}"),
    (r"5 \text{ cm}", r"5\,\mathrm{cm}"),
    (r"\text{east}", "East"),
    ("Yes", r"\text{yes}."),
    ("NO", "no"),
    (r"\text{(B)}", "B"),
    (r"\begin{bmatrix} 1 & 2 \end{bmatrix}", r"\begin{pmatrix}1&2\end{pmatrix}"),
    ("x=5", "5"),
    ("5", r"n = \frac{10}{2}"),
    ("f(x)=2x+1", "2x+1"),
    ("(1, 0.5)", r"(1,\frac12)"),
    ("1.5, 2", r"\frac32,2"),
    (r"\{1, 2, 3\}", r"\{3, 1, 2\}"),
    ("(1,2),(3,4)", "(1,2), (3,4)"),
    (r"1\frac{1}{2}", "1.5"),
    ("1{,}234{,}567", "1234567"),
    ("x+1", "1+x"),
    (r"2\sqrt5", r"\sqrt{20}"),
]

DIFFERENT = [
    ("42", "-42"),
    ("0.333", "0.33"),
    ("5", "5.001"),
    ("1", "1.0000001"),
    ("1/3", "0.335"),
    ("B", "C"),
    (r"\text{(C)}", "17"),
    ("(C)", r"\frac{\sqrt5-1}{2}"),
    ("yes", "no"),
    (r"\text{odd}", "even"),
    (r"\text{Evelyn}", "12"),
    ("12\\pi", "Evelyn"),
    (r"\frac34", r"\frac43"),
    ("x=5", "6"),
    ("(1,2)", "(1,3)"),
    ("10,000", "x+1"),
]

OPEN = [
    ("x-1", r"\frac{x^2-1}{x+1}"),
    ("1/3", "0.333"),
    ("2/3", "0.67"),
    ("2/3", "0.66"),
    (r"\frac{1}{3}", r"3.3\times10^{-1}"),
    ("1,2,3", "3,2,1"),
    ("(0,1)", "(0,1]"),
    ("5", "~5"),
    ("5", r"\approx 5"),
    ("5", "> 5"),
    ("x", "X"),
    ("yes", "true"),
    ("seven", "7"),
    ("AB", "ab"),
    ("ABC", "abc"),
    ("IV", "4"),
    ("second", "2"),
    ("diverges", r"\infty"),
    ("1,2,3,...", "1,2,3"),
    ("2pi", r"2\pi"),
    (r"\text{infinitely many}", "5"),
    (r"\text{even}", "2k"),
    ("5 cm", "5 m"),
    ("10\\%", "10"),
    ("", "5"),
    (r"\frac{1}{", "5"),
    ("1e999999999", "7"),
]


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_what_is_written_alike_is_equal(reference: str, answer: str) -> None:
    assert decide(reference, answer) is True
    assert decide(answer, reference) is True


@pytest.mark.parametrize(("reference", "answer"), DIFFERENT)
def test_what_is_certainly_different_is_decided(reference: str, answer: str) -> None:
    assert decide(reference, answer) is False
    assert decide(answer, reference) is False


@pytest.mark.parametrize(("reference", "answer"), OPEN)
def test_what_takes_algebra_or_a_policy_is_left_open(reference: str, answer: str) -> None:
    assert decide(reference, answer) is None
    assert decide(answer, reference) is None


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1, 2, 3", "3, 1, 2"),
        (r"\{1, \frac12\}", "0.5, 1"),
        ("(1,2), (3,4)", "(3,4), (1,2)"),
        (r"-\sqrt2; \sqrt2", r"\sqrt{2}, -\sqrt{2}"),
    ],
)
def test_the_order_of_a_list_counts_where_it_is_said_to(reference: str, answer: str) -> None:
    assert decide(reference, answer) is None
    assert decide(reference, answer, any_order=True) is True
    assert decide(answer, reference, any_order=True) is True


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("(1,2)", "(2,1)"),
        ("1,2", "1,2,3"),
        ("1,2,2", "1,1,2"),
        ("a=1,b=2", "2,1"),
        ("1,2", "(2,1)"),
    ],
)
def test_no_order_makes_these_equal(reference: str, answer: str) -> None:
    assert decide(reference, answer, any_order=True) is not True


HOSTILE = [
    "7", "{", "}", "(", ")", "[", r"\{", r"\frac", r"\frac1", r"\sqrt{", r"\sqrt", "^", "2^", "!",
    r"\sin", r"\sin(", r"\log_", "x(", "-", r"\pm", "|", "1,", "(1,", r"\text{", "_", "x_{",
    r"\begin{pmatrix}", "&", r"\\", "=", "x=", r"\cup", "e^", "i", "$", "~", ".", "1/", "\\",
    "9^{9^{", "9!", r"1\frac", "%", "^\\circ", "f(x)=", ";", "a_{1}", "\u0664", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
@pytest.mark.parametrize("length", [60, 190, 900])
def test_hostile_texts_are_neither_refused_with_an_error_nor_worked_on_for_long(
    unit: str, length: int
) -> None:
    text = unit * (length // len(unit))
    assert calls_of(text, "42") < 40_000
    assert calls_of("x+1", text) < 40_000
    assert calls_of(text, text + "1") < 100_000


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_text_takes_no_more_steps_than_a_short_one(unit: str) -> None:
    def steps(length: int) -> int:
        return calls_of(unit * (length // len(unit)), "x+1")

    assert steps(100_000) <= steps(10_000) + 10


def calls_of(reference: str, answer: str) -> int:
    """How many functions are called to decide."""
    count = 0

    def note(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        decide(reference, answer, any_order=True)
    finally:
        sys.setprofile(before)
    return count
