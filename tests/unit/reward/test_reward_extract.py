import pytest

from reward_server.verifiers.extract import (
    final_answer,
    last_box,
    last_boxes,
    last_number,
    strip_thinking,
)


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("plain", "plain"),
        ("<think>a</think>b", "b"),
        ("a<think>b</think>c<think>d</think>e", "ace"),
        ("began in the prompt</think>b", "b"),
        ("<think>never ends", None),
        ("<think>a</think>b<think>c", None),
    ],
)
def test_thinking_is_left_out(text: str, spoken: str | None) -> None:
    assert strip_thinking(text) == spoken


@pytest.mark.parametrize(
    ("text", "content"),
    [
        (r"\boxed{42}", "42"),
        (r"\boxed {42}", "42"),
        (r"\boxed{41} no, \boxed{42}", "42"),
        (r"\boxed{\frac{1}{2}} done", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\boxed{5}}", "5"),
        (r"\boxed{41} and then \boxed{42", "41"),
        (r"\boxed{42", None),
        (r"\boxed{}", ""),
        ("no box", None),
        (r"the \boxed command", None),
    ],
)
def test_the_last_complete_box_counts(text: str, content: str | None) -> None:
    assert last_box(text) == content


def test_boxes_joined_by_words_make_one_list() -> None:
    assert last_boxes(r"\boxed{0}, hence $\boxed{1}$ and $\boxed{2}$") == (["1", "2"], True)
    assert last_boxes(r"\boxed{1} \quad \text{and} \quad \boxed{2}") == (["1", "2"], True)
    assert last_boxes("none") == ([], False)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("she pays 1,234.50 in all", "1,234.50"),
        ("#### 18", "18"),
        ("10 - 3 = 7.", "7"),
        ("it is -5", "-5"),
        ("10-3", "3"),
        ("so 3/4", "3/4"),
        ("about 1e5.", "1e5"),
        ("x2", "2"),
        ("none", None),
    ],
)
def test_the_last_number_counts(text: str, number: str | None) -> None:
    assert last_number(text) == number


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 18", "18"),
        ("She sells 9 eggs.\nAnswer: $18", "18"),
        ("The answer is 18 eggs.", "18"),
        ("The final answer is $\\frac{1}{2}$. I hope it is correct.", r"\frac{1}{2}"),
        ("**Answer:** 7", "7"),
        ("#### 1,200", "1,200"),
        ("Thus $x = 5$ holds, so we get \\(y = 6\\).", "y = 6"),
        ("From $a = 1$ we find 12 in all.", "12"),
        ("x + 1", "x + 1"),
        ("the answer is B", "B"),
        ("I do not know", None),
        ("", None),
    ],
)
def test_an_answer_without_a_box_is_found(text: str, answer: str | None) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    "unit", [r"\boxed{", r"\[", r"\(", "$", "$$ ", "{", "1,111", "1 ", "</think>", "<think>",
             "answer is ", r"\frac{1}", "\\", "-", "1/", "or \\boxed"],
)  # fmt: skip
def test_extraction_copes_with_endless_repetition(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    # Quadratic time would run for hours here and into the suite's own time limit.
    strip_thinking(text)
    last_box(text)
    last_boxes(text)
    last_number(text)
    final_answer(text)
