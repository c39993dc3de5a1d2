import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_server.verifiers.mathematics import prove as prover
from reward_server.verifiers.mathematics import refute as refuter
from reward_server.verifiers.mathematics.written import written

EQUAL = [
    ("x+1", "1+x"),
    ("(x+1)^2", "x^2+2x+1"),
    ("(x-1)(x+1)", "x^2-1"),
    ("(a+5)(b+2)", "ab+2a+5b+10"),
    ("n(n+1)/2", r"\frac{n^2+n}{2}"),
    (r"\frac{11+9a}{20}", r"\frac{9}{20}a+\frac{11}{20}"),
    (r"\frac{x}{y}", "xy^{-1}"),
    (r"\frac12+\frac13", r"\frac56"),
    ("0.5x", r"\frac{x}{2}"),
    ("2^{10}", "1024"),
    (r"2\sqrt5", r"\sqrt{20}"),
    (r"\sqrt2\sqrt3", r"\sqrt6"),
    (r"\frac{\sqrt3}{3}", r"\frac{1}{\sqrt3}"),
    (r"\sqrt{\frac{2}{9}}", r"\frac{\sqrt2}{3}"),
    (r"\frac{\pi}{6}", r"\frac16\pi"),
    (r"x\ln 2", r"\ln(2)x"),
    (r"\sin(x+1)", r"\sin(1+x)"),
    ("e^{t+t}", "e^{2t}"),
    ("3+2i", "2i+3"),
    (r"3\pm2\sqrt2", r"3\pm\sqrt8"),
    ("f(x)+1", "1+f(x)"),
    ("y=2x+1", "1+2x"),
    ("y=2x+1", "y=1+2x"),
    ("(1,x+1)", "(1,1+x)"),
    (r"x=\sqrt8,y=3", r"2\sqrt2,3"),
    ("(x,y)=(1,a+b)", "(x,y)=(1,b+a)"),
    (r"x=1,y=2\sqrt2", r"x=1,y=\sqrt8"),
    (r"(-\infty,1+x)", r"(-\infty,x+1)"),
    (r"(-\infty,2)\cup(\sqrt{12},\infty)", r"(-\infty,2)\cup(2\sqrt3,\infty)"),
    (r"\begin{pmatrix}x+x\\2\end{pmatrix}", r"\begin{pmatrix}2x\\\frac42\end{pmatrix}"),
    (r"50\%", r"5\cdot 10\%"),
    (r"60^\circ", r"2\cdot 30^\circ"),
]

NOT_PROVED = [
    ("x+1", "x+2"),
    ("x=5", "y=5"),
    ("x=1,y=2", "y=1,x=2"),
    ("(x=1,y=2)", "(y=1,x=2)"),
    ("(x,y)=(1,2)", "(y,x)=(1,2)"),
    ("2x'=10", "10"),
    ("x=5", "x>5"),
    ("5", "2+3=5"),
    ("x+y=1", "y+x=1"),
    ("(1,2)", "(2,1)"),
    ("(1,2)", "[1,2]"),
    ("(0,1]", "(0,1)"),
    (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1\\2\end{pmatrix}"),
    (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", r"\begin{pmatrix}1&2&3&4\end{pmatrix}"),
    ("(1,2)", "1,2"),
    ("1,2", "1,2,2"),
    ("((1,2),3)", "(1,(2,3))"),
    ("f(2x)", "2f(x)"),
    ("f(x)", "g(x)"),
    ("f(x+1)", "fx+f"),
    ("x", "X"),
    ("i^2", "-1"),
    (r"\sqrt{x^2}", "x"),
    (r"\sqrt{-4}", r"2\sqrt{-1}"),
    (r"10\%", "0.1"),
    (r"45^\circ", "45"),
    (r"1\frac45", r"\frac45"),
    ("5+0/0", "5"),
    (r"5+0\ln 0", "5"),
    ("0^0", "1"),
    (r"\infty-\infty", "0"),
    (r"\frac{\infty}{\infty}", "1"),
    ("1/3", "0.333"),
    ("12345678901234567890x", "12345678901234567891x"),
    ("(x+y+z+a+b)^{16}", "(y+x+z+a+b)^{16}"),
    ("9^{16}x^{16}9^{16}9^{16}9^{16}9^{16}9^{16}9^{16}", "x"),
    ("", ""),
]


def proved(reference: str, answer: str) -> bool:
    golds, found = written(reference).readings, written(answer).readings
    return len(golds) == len(found) == 1 and prover.prove(golds[0], found[0])


@pytest.mark.parametrize(("reference", "answer"), EQUAL)
def test_schoolbook_rules_prove_formulas_equal(reference: str, answer: str) -> None:
    assert proved(reference, answer)
    assert proved(answer, reference)


@pytest.mark.parametrize(("reference", "answer"), NOT_PROVED)
def test_nothing_else_is_proved(reference: str, answer: str) -> None:
    assert not proved(reference, answer)
    assert not proved(answer, reference)


TERMS = st.sampled_from(
    ["1", "2", "7", "x", "y", "0.5", r"\sqrt2", r"\sqrt{8}", r"\frac13", r"\pi", "x^2", r"\ln 2"]
)
FORMULAS = st.lists(TERMS, min_size=1, max_size=3).map(r" \cdot ".join)
SUMS = st.lists(FORMULAS, min_size=1, max_size=3).map("+".join)


@settings(deadline=None, max_examples=300)
@given(SUMS, SUMS, st.sampled_from(["{}", "({})^2", "x-({})", r"\frac{{{}}}{{2}}"]))
def test_what_is_proved_equal_is_never_told_apart(one: str, other: str, shape: str) -> None:
    a, b = shape.format(one), shape.format(other)
    told_apart = refuter.refute(written(a).readings, written(b).readings)
    assert not (proved(a, b) and told_apart)


@settings(deadline=None)
@given(st.lists(FORMULAS, min_size=2, max_size=4))
def test_sums_in_any_order_are_proved_equal(terms: list[str]) -> None:
    assert proved("+".join(terms), "+".join(reversed(terms)))
    assert proved("({})({})".format(*terms[:2]), "({1})({0})".format(*terms[:2]))
