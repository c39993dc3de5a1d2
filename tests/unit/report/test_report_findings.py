from pathlib import Path

import pytest

from tests.unit.report.fixture import make_run
from trimtab.report import read_runs
from trimtab.report.findings import entropy_changes, findings, paired_difference, pearson


def test_pearson_of_proportional_changes_is_one(tmp_path: Path) -> None:
    [run] = read_runs([make_run(tmp_path / "grpo")])
    pairs = entropy_changes(run)
    assert len(pairs) == 20
    assert pearson(pairs) == pytest.approx(1.0)


def test_pearson_of_known_points() -> None:
    assert pearson([(1, 1), (2, 3), (3, 2)]) == pytest.approx(0.5)


@pytest.mark.parametrize("pairs", [[], [(1.0, 1.0), (2.0, 2.0)], [(1.0, 1.0)] * 4])
def test_pearson_needs_points_that_differ(pairs: list[tuple[float, float]]) -> None:
    assert pearson(pairs) is None


def test_paired_difference_counts_shared_problems() -> None:
    first = {"a": 0.0, "b": 0.5, "only first": 1.0}
    second = {"a": 0.5, "b": 0.5, "only second": 0.0}
    difference = paired_difference(first, second)
    assert difference is not None
    assert difference[0] == pytest.approx(0.25)
    assert difference[1] == pytest.approx(0.25)
    assert paired_difference({"a": 1.0}, {"a": 0.0}) is None


def test_findings_say_what_rose_and_what_fell(tmp_path: Path) -> None:
    [text] = findings(read_runs([make_run(tmp_path / "grpo")]))
    assert "mean@4 on heldout rose from 0.250 to 0.650" in text
    assert "entropy in training fell" in text
    assert "seeds" not in text


def test_findings_do_not_tell_equal_runs_apart(tmp_path: Path) -> None:
    runs = read_runs([make_run(tmp_path / "one"), make_run(tmp_path / "two")])
    comparison = findings(runs)[-1]
    assert "do not tell the objectives apart" in comparison
    assert "changed alike" in comparison
    assert "repeats with other seeds" in comparison


def test_findings_name_the_run_that_kept_more_entropy(tmp_path: Path) -> None:
    low = make_run(tmp_path / "low", drop=0.4, gain=0.1)
    high = make_run(tmp_path / "high", drop=0.1, gain=0.7)
    comparison = findings(read_runs([low, high]))[-1]
    assert "high kept 0.284 nats a token more" in comparison
    assert "more than two standard errors" in comparison


def test_findings_without_evaluations_speak_of_training_rewards(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "grpo")
    folder.eval_metrics_path.unlink()
    [text] = findings(read_runs([folder]))
    assert "the reward of training samples rose" in text
