import json
from pathlib import Path

import pytest
from rich.console import Console

from tests.unit.report.fixture import make_run
from trimtab.errors import ConfigError
from trimtab.report import read_runs
from trimtab.report.summary import summarize, summary_table


def test_summary_has_the_documented_keys(tmp_path: Path) -> None:
    folders = [make_run(tmp_path / "grpo"), make_run(tmp_path / "steer", preset="steer_paper")]
    summary = summarize(read_runs(folders), steps=20, wall_s=90.5)
    assert json.loads(json.dumps(summary)) == summary
    assert list(summary) == ["steps", "wall_seconds", "samples_per_second", "runs"]
    assert summary["steps"] == 20
    assert summary["wall_seconds"] == 90.5
    assert summary["samples_per_second"] == 128.0
    assert [run["objective"] for run in summary["runs"]] == ["grpo", "steer_paper"]
    before = {"mean_at_4": 0.25, "pass_at_4": 0.5, "greedy": 0.25, "entropy": 0.5}
    assert summary["runs"][0]["before"] == before
    assert summary["runs"][0]["after"]["mean_at_4"] == 0.65


def test_summary_needs_both_evaluations(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "grpo", steps=0)
    with pytest.raises(ConfigError, match="lacks an evaluation"):
        summarize(read_runs([folder]), steps=0, wall_s=1.0)


def test_summary_table_fits_a_terminal(tmp_path: Path) -> None:
    summary = summarize(read_runs([make_run(tmp_path / "grpo")]), steps=20, wall_s=3.0)
    console = Console(width=80, record=True, file=(tmp_path / "out").open("w"))
    console.print(summary_table(summary))
    text = console.export_text()
    assert "mean@4" in text
    assert "0.650" in text
    console.file.close()
