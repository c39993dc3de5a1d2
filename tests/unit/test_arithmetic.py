"""The arithmetic task: right answers, disjoint splits, the same problems for the same seed."""

import re

import pytest

from trimtab.data import arithmetic
from trimtab.data.arithmetic import Split, problems, split_of

SPLITS: tuple[Split, ...] = ("train", "heldout")
PROMPT = re.compile(r"(\d+)\+(\d+)([+-])(\d+)=")


@pytest.mark.parametrize("split", SPLITS)
def test_solutions_and_answers_are_right(split: Split) -> None:
    for problem in problems(2_000, seed=3, split=split):
        match = PROMPT.fullmatch(problem.prompt)
        assert match is not None
        a, b, c = int(match[1]), int(match[2]), int(match[4])
        result = a + b + c if match[3] == "+" else a + b - c
        assert problem.solution == f"{a + b}{match[3]}{c}={result}"
        assert problem.answer == str(result)


@pytest.mark.parametrize("split", SPLITS)
def test_numbers_stay_in_range(split: Split) -> None:
    for problem in problems(2_000, seed=4, split=split):
        match = PROMPT.fullmatch(problem.prompt)
        assert match is not None
        assert 10 <= int(match[1]) <= 99
        assert 10 <= int(match[2]) <= 99
        assert 1 <= int(match[4]) <= 99
        assert int(problem.answer) >= 0


def test_both_signs_occur_about_equally() -> None:
    minus = sum("-" in problem.prompt for problem in problems(2_000, seed=0, split="train"))
    assert 800 < minus < 1_200


@pytest.mark.parametrize("split", SPLITS)
def test_prompts_are_distinct(split: Split) -> None:
    prompts = [problem.prompt for problem in problems(20_000, seed=0, split=split)]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize("split", SPLITS)
def test_every_problem_belongs_to_the_split_asked_for(split: Split) -> None:
    assert {split_of(problem.prompt) for problem in problems(2_000, seed=7, split=split)} == {split}


def test_splits_are_disjoint_across_seeds() -> None:
    train = {p.prompt for seed in range(3) for p in problems(5_000, seed=seed, split="train")}
    heldout = {p.prompt for seed in range(3) for p in problems(5_000, seed=seed, split="heldout")}
    assert train.isdisjoint(heldout)


def test_about_a_tenth_is_held_out() -> None:
    prompts = [f"{a}+{b}+{c}=" for a in range(10, 100) for b in range(10, 100) for c in (1, 50)]
    share = sum(split_of(prompt) == "heldout" for prompt in prompts) / len(prompts)
    assert 0.09 < share < 0.11


def test_split_of_does_not_drift() -> None:
    assert split_of("12+34+5=") == "train"
    assert split_of("19+57+59=") == "heldout"


def test_same_seed_gives_the_same_problems() -> None:
    assert problems(100, seed=1, split="train") == problems(100, seed=1, split="train")


def test_first_problems_do_not_drift() -> None:
    assert [problem.prompt for problem in problems(3, seed=0, split="train")] == [
        "10+70-78=",
        "98+46-2=",
        "18+99-12=",
    ]


def test_a_longer_list_starts_with_the_shorter_one() -> None:
    assert problems(100, seed=1, split="train")[:10] == problems(10, seed=1, split="train")


def test_another_seed_gives_other_problems() -> None:
    assert problems(100, seed=1, split="train") != problems(100, seed=2, split="train")


def test_zero_problems_is_an_empty_list() -> None:
    assert problems(0, seed=0, split="train") == []


def test_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        problems(-1, seed=0, split="train")


def test_count_beyond_every_problem_is_refused() -> None:
    with pytest.raises(ValueError, match="count is 2000000"):
        problems(2_000_000, seed=0, split="train")


def test_count_beyond_the_split_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_NUM_CANDIDATES", 1_000)
    with pytest.raises(ValueError, match=r"count is 500, but split 'heldout' has \d+ problems"):
        problems(500, seed=0, split="heldout")


def test_the_two_splits_together_hold_every_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arithmetic, "_NUM_CANDIDATES", 1_000)
    sizes = []
    for split in SPLITS:
        with pytest.raises(ValueError, match=r"problems$") as refusal:
            problems(1_000, seed=0, split=split)
        sizes.append(int(str(refusal.value).split()[-2]))
        assert len(problems(sizes[-1], seed=0, split=split)) == sizes[-1]
    assert sum(sizes) == 1_000


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'train' or 'heldout', got 'test'"):
        problems(1, seed=0, split="test")  # type: ignore[arg-type]
