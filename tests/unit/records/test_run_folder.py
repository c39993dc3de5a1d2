"""A run's folder: what is written is read back, cut lines are skipped, resumes roll back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from trimtab.errors import Reason, ServiceError
from trimtab.records import RunFolder, SampleRecord, read_samples, write_samples
from trimtab.records.samples import SCHEMA

RECORD = SampleRecord(
    step=3,
    prompt_id="p7",
    sample_index=1,
    prompt="1+2=",
    response="3 \N{SNOWMAN}",
    references=["3", "3.0"],
    prompt_token_ids=[1, 2],
    token_ids=[5, 6],
    finish_reason="eos",
    logprobs=[-0.5, -0.25],
    entropies=[0.5, 1.5],
    entropy_kind="exact",
    token_weights=[1.0, 0.75],
    advantage=-0.5,
    outcome="correct",
    reward=1.0,
    components={"math": 1.0, "style": 0.25},
    weights_spans=[{"first_token": 0, "lineage": "l", "version": 2, "digest": "d"}],
    generating_s=0.5,
)
DROPPED = SampleRecord(step=3, prompt_id="p8", sample_index=0, state="dropped", outcome="timed_out")


def folder_with_steps(path: Path, steps: int) -> RunFolder:
    folder = RunFolder(path)
    for step in range(1, steps + 1):
        folder.write_samples(step, [SampleRecord(step=step, prompt_id="p", sample_index=0)])
        folder.append_weights(step, "line", f"digest-{step}")
        folder.append_metrics(step, {"loss": float(step)})
        folder.write_eval_samples(step, "held", [])
        folder.append_evaluation(step, "held", {"mean": 0.5})
    return folder


def steps_of(rows: Any) -> list[int]:
    return [row["step"] for row in rows]


def test_pandas_reads_samples(tmp_path: Path) -> None:
    path = tmp_path / "step.parquet"
    write_samples(path, [RECORD, DROPPED])
    frame = pd.read_parquet(path)
    assert list(frame.columns) == SCHEMA.names
    first, second = (frame.iloc[row] for row in range(2))
    assert first["response"] == RECORD.response
    assert list(first["token_ids"]) == [5, 6]
    assert list(first["entropies"]) == [0.5, 1.5]
    assert dict(first["components"]) == {"math": 1.0, "style": 0.25}
    assert first["weights_spans"][0]["version"] == 2
    assert first["reward"] == 1.0
    assert math.isnan(second["reward"])
    assert math.isnan(second["advantage"])
    assert second["state"] == "dropped"
    assert frame.groupby("outcome").size().to_dict() == {"correct": 1, "timed_out": 1}


def test_no_samples_make_a_file_with_all_columns(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "step.parquet"
    write_samples(path, [])
    assert read_samples(path) == []
    assert pq.read_schema(path) == SCHEMA
    assert [found.name for found in path.parent.iterdir()] == ["step.parquet"]


def test_a_cut_line_is_skipped_and_appending_goes_on(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    whole = folder.metrics_path.read_bytes()
    folder.metrics_path.write_bytes(whole + b'{"step": 3, "lo')
    assert steps_of(folder.metrics()) == [1, 2]
    folder.append_metrics(3, {"loss": math.nan})
    folder.append_metrics(4, {"loss": 4.0})
    assert steps_of(folder.metrics()) == [1, 2, 3, 4]
    assert math.isnan(list(folder.metrics())[2]["loss"])


@pytest.mark.parametrize("cut", [b"\xff\xfe", b"[1]\n", b"\n\n", b'"text"\n'])
def test_lines_that_are_no_rows_are_skipped(tmp_path: Path, cut: bytes) -> None:
    folder = folder_with_steps(tmp_path, 1)
    folder.metrics_path.write_bytes(folder.metrics_path.read_bytes() + cut)
    folder.append_metrics(2, {})
    assert steps_of(folder.metrics()) == [1, 2]


def test_there_are_no_rows_without_a_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "none")
    assert list(folder.metrics()) == list(folder.evaluations()) == folder.rollbacks() == []
    assert folder.read_state() == {}
    assert not folder.path.exists()


def test_roll_back_moves_what_came_after(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 4)
    assert folder.roll_back(2) == 4
    for rows in (folder.metrics(), folder.evaluations(), folder.weights()):
        assert steps_of(rows) == [1, 2]
    archive = RunFolder(tmp_path / "rolled_back" / "1")
    for rows in (archive.metrics(), archive.evaluations(), archive.weights()):
        assert steps_of(rows) == [3, 4]
    for step, kept in ((1, folder), (2, folder), (3, archive), (4, archive)):
        other = archive if kept is folder else folder
        assert kept.samples_path(step).exists()
        assert kept.eval_samples_path(step, "held").exists()
        assert not other.samples_path(step).exists()
        assert not other.eval_samples_path(step, "held").exists()
    assert folder.rollbacks() == [{"step": 2, "rolled_back_step": 4}]


def test_roll_backs_are_numbered(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 3)
    for step in (2, 1, 0):
        assert folder.roll_back(step) == step + 1
    assert [row["step"] for row in folder.rollbacks()] == [2, 1, 0]
    assert list(folder.metrics()) == []


def test_nothing_after_the_step_moves_nothing(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    before = sorted(tmp_path.rglob("*"))
    assert folder.roll_back(2) == 2
    assert sorted(tmp_path.rglob("*")) == before


def test_samples_without_a_row_of_metrics_are_rolled_back(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    folder.write_samples(3, [])
    assert folder.roll_back(2) == 2
    assert not folder.samples_path(3).exists()
    assert steps_of(folder.metrics()) == [1, 2]


def test_weights_without_a_row_of_metrics_are_rolled_back(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    folder.append_weights(3, "line", "digest")
    folder.roll_back(2)
    assert steps_of(folder.weights()) == [1, 2]


def test_strange_files_do_not_stop_a_roll_back(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    strange = folder.samples_path(1).with_name("step-notes.parquet")
    strange.write_bytes(b"")
    late = folder.samples_path(1_000_000)
    late.write_bytes(b"")
    folder.roll_back(200_000)
    assert strange.exists()
    assert not late.exists()


def test_state_is_replaced(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_state({"step": 1})
    folder.write_state({"step": 2})
    assert folder.read_state() == {"step": 2}
    folder.state_path.write_bytes(b'{"step": ')
    assert folder.read_state() == {}


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x", "a/../b", "a/..", "/etc", "a//b", "a/", "/a", ".a", "a/.b", "a\0b",
     "a b", "a\n", "a\\b", "-a", "a" * 101, "a/b/c/d/e/f", "\N{LATIN SMALL LETTER E WITH ACUTE}"],
)  # fmt: skip
def test_names_that_escape_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        RunFolder.below(tmp_path, name)
    assert caught.value.reason is Reason.INVALID_FIELD
    assert caught.value.field == "name"


@pytest.mark.parametrize(
    "name", ["a", "_a", "2026-01-01", "team/grpo_v1.2", "a/b/c/d/e", "a" * 100]
)
def test_names_that_do_not_are_taken(tmp_path: Path, name: str) -> None:
    assert RunFolder.below(tmp_path, name).path == tmp_path / name


def test_metrics_are_lines_of_json(tmp_path: Path) -> None:
    folder = folder_with_steps(tmp_path, 2)
    lines = folder.metrics_path.read_text().splitlines()
    assert [json.loads(line)["loss"] for line in lines] == [1.0, 2.0]
    assert pd.read_json(folder.metrics_path, lines=True)["loss"].tolist() == [1, 2]
