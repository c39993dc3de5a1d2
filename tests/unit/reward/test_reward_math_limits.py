"""What an answer may not demand, and that its reference may."""

import pytest

from reward_server.verifiers.base import Cause, Outcome, Verdict
from reward_server.verifiers.mathematics.limits import excess
from tests.unit.reward.math_grading import is_right, verdict_of

TOO_MUCH = [
    "8^{8^{8^8}}",
    r"7^{\left(7^{\left(7^7\right)}\right)}",
    "3^3^3^3",
    "2^{7777777}",
    "x^{10^{9}}",
    "10^{-10^{9}}",
    "1e99999999",
    "((50!)!)!",
    "7!!!!!",
    "(10^7)!",
    "88888888!",
    r"\binom{10^8}{10^7}",
    r"\sum_{n=1}^{10^{12}} n",
    r"\int\int\int x dx dy dz",
    r"\iiint x dx dy dz",
    "(" * 100 + "1" + ")" * 100,
    r"\frac{1}{" * 100 + "2" + "}" * 100,
    ",".join("1" for _ in range(2000)),
    "x+" * 4000 + "x",
]


@pytest.mark.parametrize("answer", TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_an_answer_that_demands_too_much_never_reaches_a_worker(answer: str) -> None:
    detail = excess(answer, ["42"])
    assert detail is not None
    assert "limit" in detail or "characters" in detail
    verdict = verdict_of(rf"\boxed{{{answer}}}", "x+42")
    if verdict.outcome is not Outcome.INCORRECT:  # told by a rule that costs nothing
        assert (verdict.outcome, verdict.cause) == (Outcome.RESOURCE_EXHAUSTED, Cause.ITEM)
        assert verdict.reward is None


@pytest.mark.parametrize("answer", TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_the_reference_may_demand_as_much(answer: str) -> None:
    assert excess(answer, ["42", answer]) is None


@pytest.mark.parametrize(
    "answer",
    [
        "2^{2020}", r"\frac{1}{2004!}", r"\binom{2n}{n}", r"\binom{400}{200}", "10^{100}",
        "(a-x)^{6000}", "e^{e^{x}}", "x!!!", "n!", r"\iint_D x dx dy", r"\sum_{k=1}^{n} k",
        "((((((1))))))", "1,2,3,4,5,6,7,8,9,10", r"2^{2^{5}}", "\u00b2", "4\u00b2!",
    ],
)  # fmt: skip
def test_honest_answers_are_within_the_limits(answer: str) -> None:
    assert excess(answer, ["42"]) is None


def test_equal_answers_need_no_limits() -> None:
    tower = "8^{8^{8^8}}"
    assert is_right(tower, tower)
    verdict = verdict_of(rf"\boxed{{{tower}}}", tower, "7")
    assert isinstance(verdict, Verdict)
    assert verdict.outcome is Outcome.CORRECT


def test_many_boxes_in_a_row_are_too_much() -> None:
    response = " and ".join(rf"\boxed{{{number}}}" for number in range(5000))
    assert verdict_of(response, "42").outcome is Outcome.RESOURCE_EXHAUSTED
