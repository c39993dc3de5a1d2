from fractions import Fraction

import pytest

from reward_server.verifiers.numbers import OutOfRange, read_number, tidy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", Fraction(0)),
        ("-3", Fraction(-3)),
        ("\u22123", Fraction(-3)),
        ("+7", Fraction(7)),
        ("007", Fraction(7)),
        ("1,234", Fraction(1234)),
        ("1{,}234{,}567", Fraction(1234567)),
        ("12 345", Fraction(12345)),
        (r"12\,345", Fraction(12345)),
        ("3.50", Fraction(7, 2)),
        (".5", Fraction(1, 2)),
        ("18.", Fraction(18)),
        ("$36", Fraction(36)),
        (r"\$36.00", Fraction(36)),
        ("3/4", Fraction(3, 4)),
        ("-3/4", Fraction(-3, 4)),
        (r"\frac{3}{4}", Fraction(3, 4)),
        (r"-\dfrac{3}{4}", Fraction(-3, 4)),
        (r"\frac{-3}{4}", Fraction(-3, 4)),
        (r"-\tfrac{-3}{4}", Fraction(3, 4)),
        ("1 1/2", Fraction(3, 2)),
        (r"1\frac{1}{2}", Fraction(3, 2)),
        ("1e3", Fraction(1000)),
        ("2.5E-2", Fraction(1, 40)),
        (r"1.6 \times 10^{-2}", Fraction(2, 125)),
        (r"3\cdot10^2", Fraction(300)),
    ],
)
def test_a_plain_number_is_read_exactly(text: str, value: Fraction) -> None:
    assert read_number(tidy(text)) == value


@pytest.mark.parametrize(
    "text",
    ["", "x", "1 2", "4 2", "1/0", r"\frac{1}{0}", "12,34", "1,2", "32, 349", "--3", "3-2",
     "\u0664", "1.2.3", "0x10", "1_000", "inf", "nan", "__import__('os')", "1e", "2^10"],
)  # fmt: skip
def test_anything_else_is_no_number(text: str) -> None:
    assert read_number(tidy(text)) is None


@pytest.mark.parametrize(
    "text", ["1e999999999", "1e-999999999", "9" * 401, "1e" + "9" * 100_000, r"2\times10^{99999}"]
)
def test_a_number_too_long_to_compute_with_is_out_of_range(text: str) -> None:
    with pytest.raises(OutOfRange):
        read_number(tidy(text))
