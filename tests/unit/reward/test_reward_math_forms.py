"""Ways to write the same answer, and answers that only look the same."""

import pytest

from tests.unit.reward.math_grading import is_right

SAME = [
    # complex numbers
    (r"\sqrt{-9}", "3i"),
    (r"e^{i\pi}", "-1"),
    (r"e^{2ix}", r"\cos 2x + i\sin 2x"),
    (r"\frac{3}{2}+\frac{3\sqrt{3}}{2}i", r"3e^{\frac{i\pi}{3}}"),
    ("(3+i)(1-i)", "4-2i"),
    ("a+bI", "bi+a"),
    # identities
    (r"\cos^2 t-\sin^2 t", r"\cos(2t)"),
    (r"\frac{1}{\cosh^2 x}", r"1-\tanh^2 x"),
    (r"\ln(p^3q)", r"3\ln p+\ln q"),
    (r"\log_3 81", "4"),
    (r"\lg 1000", "3"),
    (r"\sqrt{7+2\sqrt{10}}", r"\sqrt{2}+\sqrt{5}"),
    (r"\sqrt{\frac{1}{w}}", r"\frac{1}{\sqrt{w}}"),
    (r"\frac{t^3+1}{t+1}", "t^2-t+1"),
    (r"27^{n}", r"3^{3n}"),
    (r"\frac{(n+2)!}{n!}", "(n+1)(n+2)"),
    (r"\binom{n}{2}", r"\frac{n^2-n}{2}"),
    (r"\operatorname{asin}(u)", r"\arcsin u"),
    (r"\sin^{-1} u", r"\arcsin u"),
    (r"\left|y\right|", r"\sqrt{y^2}"),
    # numbers
    ("2.5", "2 1/2"),
    (r"\frac{11}{4}", r"2\frac34"),
    (r"\frac{1}{250}", r"4 \times 10^{-3}"),
    ("31000", "3.1e4"),
    (r"\frac{7}{9}", r"0.\overline{7}"),
    ("25", r"221_{3}"),
    ("1200300", r"1\,200\,300"),
    ("1200300", r"1{,}200{,}300"),
    (r"\frac{8}{3}", "2.66667"),
    # writing
    (r"$\frac{5}{6}$", r"\[\frac56\]"),
    ("73", "**73**"),
    (r"\$48", "48"),
    ("48", r"\$48"),
    (r"x^\frac{2}{3}", r"x^{2/3}"),
    (r"- c", "-c"),
    (r"\omega t", r"\omegat"),
    (r"\text{North}", "north"),
    # units
    ("12", r"12\text{ cm}^2"),
    ("12", "12 square feet"),
    (r"35^\circ", "35"),
    (r"45^\circ", r"\frac{\pi}{4}"),
    ("12 cm", r"12\,\mathrm{cm}"),
    (r"12 \mathrm{~cm}", "12"),
    (r"12 \mathrm{~m} / \mathrm{s}", r"12\text{ m/s}"),
    # several parts
    ("3, 1, 2", "1, 2, 3"),
    (r"\{3,1\}", r"\{1,3\}"),
    (r"2\pm\sqrt{5}", r"2-\sqrt{5}, 2+\sqrt{5}"),
    ("x = 3, x = -3", r"\pm 3"),
    ("(4,5)", r"\begin{pmatrix}4\\5\end{pmatrix}"),
    (r"\begin{bmatrix}1&0\\0&1\end{bmatrix}", "\\begin{pmatrix} 1 & 0 \\\\\n 0 & 1 \\end{pmatrix}"),
    ("(a,b)=(2,7)", "(2,7)"),
    (r"y_1=2, y_2=7", "2, 7"),
    ("3:4", "6:8"),
    # relations and sets
    ("y = 2x", "x = y/2"),
    ("x = 2x-5", "x = 5"),
    (r"y'+y=0", r"y^{\prime}=-y"),
    ("x^2-3x+2=0", "2x^2=6x-4"),
    ("x=1 \\text{ or } x=2", "(x-1)(x-2)=0"),
    ("g(t) = t^2", "t^2"),
    ("Q(x,y) = (x+y)^{n}", "(y+x)^n"),
    ("y = 4x-1", "f(x) = 4x-1"),
    ("a = 2+2 = 4", "4"),
    ("x > 3", "3 < x"),
    ("2x > 6", "x > 3"),
    ("-1 < x < 4", "(-1, 4)"),
    (r"x \in [2, 5)", "[2,5)"),
    ("x^2 < 4", "|x| < 2"),
    (r"x \neq 0", r"(-\infty,0)\cup(0,\infty)"),
    (r"(3,4)\cup(1,2)", r"(1,2)\cup(3,4)"),
    (r"\sum_{j=1}^{n} j^2", r"\sum_{k=1}^{n} k^2"),
    (r"\int_0^1 t^2 \, dt", r"\int\limits_{0}^{1} x^{2}\, dx"),
    (r"\sqrt{3} \approx 1.732", r"\sqrt{3}"),
    (r"\frac{\sqrt3}{3}", r"\frac{\sqrt{3}}{3} \approx 0.577"),
]
DIFFERENT = [
    (r"\frac{1}{1999!}", r"\frac{1}{2001!}"),
    ("1.6e-19", "9.1e-31"),
    (r"2^{-90}", r"2^{-91}"),
    ("0", "10^{-30}"),
    ("0", r"e^{-40}"),
    ("0.00000021", "0.00000037"),
    (r"10^{30}", r"10^{30}+1"),
    (r"e^{9999}", r"e^{9999}+1"),
    (r"n=5^{900}", r"n=5^{900}+1"),
    (r"2^{806}\sqrt{2^{1610}+2}-2^{1611}", r"2^{1611}-2^{806}\sqrt{2^{1610}+2}"),
    ("1", "0.999999999"),
    ("4", "4.0001"),
    ("x", "X"),
    ("9", "9cm"),
    ("9", r"9\pm 1"),
    ("9", "9x"),
    ("9", "9, 10"),
    ("9", r"\{9, 10\}"),
    ("9", r"\text{not } 9"),
    ("9", r"9 \text{ or } 10"),
    ("9", r"\ge 9"),
    ("9", r"8=9"),
    ("9", r"3=4=9"),
    ("9", "[8,10]"),
    ("9", "9!"),
    ("9", r"\frac{9}{0}"),
    (r"\pm 9", "9"),
    ("5 cm", "5 kg"),
    ("1,2,3,4", "1,2,3"),
    (r"1, 2, \ldots, n", r"1, 3, \ldots, 2n-1"),
    ("(3,8)", "(8,3)"),
    ("(3,8)", "[3,8]"),
    ("x^2", "x_2"),
    ("x = 5", "y = 5"),
    ("x > 3", r"x \ge 3"),
    ("x > 3", "x < 3"),
    ("x^2 = 9", "x = 3"),
    (r"\sqrt{x^2}", "x"),
    (r"e^{it}", r"i\sin t"),
    ("f(x)+f(y)", "f(x+y)"),
    ("Q(x,y) = (x+y)^{n}", "Q(x,y) = (x+y)^{n}+1"),
    ("I(0)t", "-I(0)t"),
    (r"\pi", "3.14"),
    (r"5\text{ ways}", r"5!\text{ ways}"),
    ("12:00", "1:00"),
    (r"\text{east}", "seat"),
    (r"1 - \frac{1}{\mathrm{e}}", r"1 + \frac{1}{\mathrm{e}}"),
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
