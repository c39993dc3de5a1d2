"""What answers wear, and what they hide behind it."""

import pytest

from tests.unit.reward.math_grading import is_right

SAME = [
    # a scale is a factor
    ("7300000", r"7.3 \text{ million}"),
    (r"2 \text{ thousand}", "2000"),
    (r"\$4.5 billion", r"4500000000"),
    ("600", r"6\text{ hundred dollars}"),
    # radians and degrees
    (r"30^\circ", r"\frac{\pi}{6}\text{ radians}"),
    (r"\frac{\pi}{2} rad", r"90^\circ"),
    # approximations
    (r"\frac{2}{7}", r"\frac{2}{7} \approx 0.3"),
    ("8.64", r"8.64 \approx 9"),
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
    # approximations
    ("17", r"17 \approx 20"),
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
