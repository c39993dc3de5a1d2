"""What answers wear, and what they hide behind it."""

import pytest

from reward_server.verifiers.mathematics.dressing import MAX_CHARS
from reward_server.verifiers.mathematics.pairing import paired
from tests.unit.reward.math_grading import is_right

SAME = [
    # a scale is a factor
    ("7300000", r"7.3 \text{ million}"),
    (r"2 \text{ thousand}", "2000"),
    (r"\$4.5 billion", r"4500000000"),
    ("600", r"6\text{ hundred dollars}"),
    # decoration
    ("17", r"\color{green}{17}"),
    ("17", r"\textcolor{red}{17}"),
    ("17", r"{\color{red} 17}"),
    ("17", r"\underline{17}"),
    ("17", r"17 \\"),
    ("17", r"17 \quad \checkmark"),
    ("3/8", r"\nicefrac{3}{8}"),
    ("2.5", "2{.}5"),
    (r"\begin{bmatrix}5&6\\7&8\end{bmatrix}", r"\begin{bmatrix}5&6\\[4pt]7&8\\\end{bmatrix}"),
    ("17", "\u20b917"),
    ("17", r"\mathrm{17\ cm}"),
    # words around a number
    ("17", r"\text{Total: }17"),
    ("17", r"\text{Number of paths: }17"),
    ("-12", "minus twelve"),
    (r"\text{March 3}", "March 3rd"),
    ("No solution", r"\text{None}"),
    ("17", r"\text{The answer is } 17"),
    ("17", r"\text{The final answer is 17}"),
    ("17", "seventeen"),
    ("81", r"\text{Eighty-one}"),
    ("17", "17th"),
    ("22", r"22^{\text{nd}}"),
    ("17", "17 years old"),
    ("17", r"\text{17 minutes}"),
    # units and money
    ("17", "17 m^2"),
    ("17", r"17 \frac{m}{s}"),
    ("17", "17 kg/m^3"),
    ("17", "17 cm\u00b3"),
    (r"17\text{ m}", "17 m"),
    ("9.75", "EUR 9.75"),
    ("9.75", r"\text{\$}9.75"),
    # names of values
    ("17", "f(3) = 17"),
    ("17", "a_{4} = 17"),
    ("(5,6)", "M(5,6)"),
    ("(5,6)", r"\{(5,6)\}"),
    # bases, periods, binomial coefficients, ratios
    ("1201_3", "(1201)_3"),
    ("1201_3", r"1201_{\text{three}}"),
    (r"0.\overline{6}", "0.666..."),
    (r"\frac{3}{11}", r"0.2727\ldots"),
    (r"\frac{1}{6}", r"0.1\bar{6}"),
    (r"\frac{1}{6}", r"0.1\dot{6}"),
    (r"\frac{1}{37}", r"0.\dot{0}2\dot{7}"),
    (r"\binom{9}{4}", "C_9^4"),
    (r"\binom{9}{4}", "C(9,4)"),
    (r"\binom{9}{4}", r"{}^9C_4"),
    ("5:6", r"5 \text{ to } 6"),
    ("5:6", r"5\colon 6"),
    # times of day
    ("7:45 PM", "7:45 p.m."),
    ("7:45 PM", r"7:45 \text{ pm}"),
    ("7:45 PM", "7:45"),
    ("7:45 PM", "19:45"),
    ("07:45", "7:45 a.m."),
    # choices with what they stand for
    ("B", r"\textbf{(B)}\ 17"),
    ("B", r"\text{(B) } \frac{3}{8}"),
    ("(B)", "B. seventeen apples"),
    ("B", r"\text{Option B}"),
    (r"\text{B}", "B: Paris"),
    ("Yes", r"\text{Yes, because 17 is prime}"),
    # nothing
    (r"\emptyset", r"\text{There are no solutions}"),
    ("No solution", "no real roots"),
    (r"\text{no solutions}", r"\varnothing"),
    # conditions and sets
    ("[2,7)", r"\{t \mid 2 \le t < 7\}"),
    ("[2,7)", r"\left\{ t \in \mathbb{R} : 2 \le t < 7 \right\}"),
    ("[2,7)", r"t \ge 2 \text{ and } t < 7"),
    (r"(-\infty,2)\cup(7,\infty)", "t < 2 or t > 7"),
    (r"(-\infty,2)\cup(7,\infty)", "(-inf,2) U (7,inf)"),
    # radians and degrees
    (r"30^\circ", r"\frac{\pi}{6}\text{ radians}"),
    (r"\frac{\pi}{2} rad", r"90^\circ"),
    # approximations
    (r"\frac{2}{7}", r"\frac{2}{7} \approx 0.3"),
    ("8.64", r"8.64 \approx 9"),
    ("8.64", r"\approx 8.64"),
    # decimal commas
    ("2.5", "2,5"),
    ("3,75", "3.75"),
]
DIFFERENT = [
    # text that takes the answer back or gives another one
    ("17", r"17 \text{ is incorrect}"),
    ("17", r"17 \text{ (or else 18)}"),
    ("17", r"17 \text{, but possibly 19}"),
    ("17", r"17 \text{ unless } x = 2"),
    ("17", r"17 \text{ million}"),
    ("17", "17 thousand"),
    ("17", r"\phantom{17}"),
    ("17", r"\phantom{\frac{34}{2}}"),
    ("17", r"1\hphantom{7}"),
    ("17", r"17 \text{ (18)}"),
    ("17", r"17 \text{ squared}"),
    ("17", r"17 \text{ hundredths}"),
    ("17", r"17 \text{ dozen}"),
    ("17", r"17 \text{ among others}"),
    ("17", r"17 \text{ is false}"),
    ("[2,7)", r"\{t \mid 2 \le s < 7\}"),
    ("17", r"\text{The answer is 18, not } 17"),
    # approximations
    ("17", r"17 \approx 20"),
    ("17", r"\approx 17"),
    # periods, bases, binomial coefficients
    ("17", "17..."),
    ("e", "2.718281828..."),
    (r"\frac{1}{6}", r"0.\bar{6}"),
    ("1201_3", "(1201)_4"),
    (r"\binom{9}{4}", "C_9^3"),
    # times of day
    ("7:45 PM", "7:45 AM"),
    ("7:45 PM", "8:45 PM"),
    ("7:45 AM", "19:45"),
    # choices
    ("B", r"\textbf{(A)}\ 17"),
    ("B", "(B) or (C)"),
    ("B", "B. or C."),
    ("B", "(B) is wrong"),
    ("B", "B, C"),
    ("B", "B: not sure"),
    ("Yes", "Yes, but also no"),
    # nothing, conditions and sets
    ("0", r"\text{no solution}"),
    (r"\emptyset", "0"),
    ("[2,7)", r"t \ge 2 \text{ or } t < 7"),
    ("[2,7)", r"t \ge 2 \text{ and } s < 7"),
    ("[2,7)", r"\{t \in \mathbb{Z} : 2 \le t < 7\}"),
    # units
    ("17x", "17 m^2"),
    (r"17\text{ m}", "17 kg"),
    ("(5,6)", "M(6,5)"),
    ("12", "12 x^2"),
    # rows and brackets
    (r"\begin{bmatrix}5&6\\7&8\end{bmatrix}", r"\begin{bmatrix}5&6&7&8\end{bmatrix}"),
    (r"\begin{bmatrix}5\\6\end{bmatrix}", r"\begin{bmatrix}5&6\\5&6\end{bmatrix}"),
    ("[2,7)", "2,7"),
    ("(2,7]", "2;7"),
    ("2,7", "2.7"),
    # angles
    (r"30^\circ", "30 rad"),
    (r"30^\circ", r"30 \text{ radians}"),
]


@pytest.mark.parametrize(("gold", "answer"), SAME)
def test_another_way_to_write_it_is_right(gold: str, answer: str) -> None:
    assert is_right(gold, answer)


@pytest.mark.parametrize(("gold", "answer"), DIFFERENT)
def test_what_only_looks_the_same_is_wrong(gold: str, answer: str) -> None:
    assert not is_right(gold, answer)


@pytest.mark.parametrize("gold", sorted({gold for pair in (SAME, DIFFERENT) for gold, _ in pair}))
def test_every_reference_equals_itself(gold: str) -> None:
    assert is_right(gold, gold)


@pytest.mark.parametrize(
    "unit", ["\t", "\\ ", "\\\\", "1 ", r"\text{", r"\phantom{", "x<1 and ", "3"]
)
@pytest.mark.parametrize("start", ["", r"\{x \mid ", "1"])
def test_making_ready_copes_with_endless_repetition(start: str, unit: str) -> None:
    answer = (start + unit * MAX_CHARS)[: MAX_CHARS - 1] + "!"
    assert paired("42", answer)[0] == "42"
