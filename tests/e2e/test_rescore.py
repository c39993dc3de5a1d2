"""`trimtab rescore` judges a run's samples again and tells what changed."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.unit.cli.cli_process import trimtab
from trimtab.records import RunFolder, SampleRecord

CONFIG = """
workers: 1
verifiers:
  exactly: {type: numeric}
  roughly: {type: numeric, relative_tolerance: 0.1}
  brief: {type: length, max_length: 20, margin: 10}
"""
RUN = """
rewards: {exactly: {}}
serve: {reward: {workers: 1, verifiers: {exactly: {type: numeric}}}}
"""
TWO_PARTS = """
rewards: {exactly: {weight: 2.0}, brief: {weight: 0.5}}
"""


def record(step: int, index: int, answer: str, **fields: object) -> SampleRecord:
    correct = answer == "50"
    values: dict[str, object] = {
        "step": step,
        "prompt_id": f"p{index // 4}",
        "sample_index": index % 4,
        "response": f"it is {answer}",
        "references": ["50"],
        "token_ids": [1] * 15,
        "outcome": "correct" if correct else "incorrect",
        "reward": float(correct),
        "components": {"exactly": float(correct)},
        "extracted_answer": answer,
        "verifier_version": "numeric-0+old",
        **fields,
    }
    return SampleRecord(**values)  # type: ignore[arg-type]


def make_run(path: Path, config: str = RUN) -> RunFolder:
    """Three steps of eight samples: 50 right, 51 close, 99 wrong; and an evaluation."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    folder.config_path.write_text(config)
    folder.write_state({"state": "finished"})
    for step in (1, 2, 3):
        answers = ["50", "51", "99", "50"] * 2
        records = [record(step, index, answer) for index, answer in enumerate(answers)]
        if step == 3:
            records.append(SampleRecord(step=3, prompt_id="p9", sample_index=0, state="dropped"))
        folder.write_samples(step, records)
    folder.write_eval_samples(0, "heldout", [record(0, 0, "51"), record(0, 1, "50")])
    return folder


def digests(folder: RunFolder) -> dict[str, str]:
    files = [path for path in folder.path.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "reward.yaml"
    path.write_text(CONFIG)
    return str(path)


def test_another_verifier_changes_some_samples(tmp_path: Path, config: str) -> None:
    folder = make_run(tmp_path / "runs" / "first")
    before = digests(folder)
    ended = trimtab(
        "rescore", "first", "--config", config, "--verifier", "roughly", cwd=tmp_path,
        environment={"COLUMNS": "160"},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    [path] = (folder.path / "rescored").iterdir()
    assert path.name.startswith("numeric-")
    rows = pq.read_table(path).to_pylist()
    transitions = Counter((row["outcome_before"], row["outcome"]) for row in rows)
    assert transitions == {
        ("correct", "correct"): 13,
        ("incorrect", "correct"): 7,
        ("incorrect", "incorrect"): 6,
    }
    assert all(row["changed"] == (row["extracted_answer"] == "51") for row in rows)
    assert [row["step"] for row in rows] == [1] * 8 + [2] * 8 + [3] * 8 + [0] * 2
    assert rows[-1]["dataset"] == "heldout"
    assert rows[-1]["file"] == "eval/step-000000-heldout.parquet"
    assert rows[1]["verifier_version_before"] == "numeric-0+old"
    assert rows[1]["verifier_version"] == path.stem
    after = digests(folder)
    assert {name: after[name] for name in before} == before
    assert "7 of 26 samples changed" in ended.stdout
    assert "judged before by numeric-0+old" in ended.stdout
    assert f"judged now by {path.stem}" in ended.stdout
    assert "0.5000" in ended.stdout
    assert "0.7500" in ended.stdout
    assert "+0.2500" in ended.stdout


def test_steps_limit_what_is_judged(tmp_path: Path, config: str) -> None:
    folder = make_run(tmp_path / "first")
    arguments = ["--config", config, "--verifier", "roughly", "--name", "some"]
    for steps, found in {"2": [2] * 8, "2-3": [2] * 8 + [3] * 8, "3-": [3] * 8}.items():
        ended = trimtab("rescore", "first", "--steps", steps, *arguments, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        rows = pq.read_table(folder.rescored_path("some")).to_pylist()
        assert [row["step"] for row in rows] == found


def test_without_a_verifier_the_runs_own_rewards_count(tmp_path: Path, config: str) -> None:
    folder = make_run(tmp_path / "first", TWO_PARTS)
    recorded = [
        record(4, 0, "50", reward=2.0, components={"exactly": 1.0, "brief": 0.0}),
        record(4, 1, "51", reward=0.0, components={"exactly": 0.0, "brief": 0.0}),
    ]
    folder.write_samples(4, recorded)
    arguments = ["first", "--config", config, "--steps", "4"]
    ended = trimtab("rescore", *arguments, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(folder.rescored_path("rewards-steps-4")).to_pylist()
    # 15 tokens are half way to the full penalty, half of which counts.
    assert [row["reward"] for row in rows] == [1.75, -0.25]
    assert [row["reward_before"] for row in rows] == [2.0, 0.0]
    assert dict(rows[0]["components"]) == {"exactly": 1.0, "brief": -0.5}

    # A single verifier is compared with the part that it stands for.
    ended = trimtab("rescore", *arguments, "--verifier", "roughly", "--name", "one", cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    rows = pq.read_table(folder.rescored_path("one")).to_pylist()
    assert [(row["reward_before"], row["reward"]) for row in rows] == [(1.0, 1.0), (0.0, 1.0)]
    assert [row["changed"] for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere"], "there is no run in nowhere nor runs/nowhere"),
        (["first", "--steps", "7"], "no samples of these steps, only of 0 to 3"),
        (["first", "--steps", "3-1"], "'3-1' ends before it begins"),
        (["first", "--steps", "all"], "'all' is no range: write 7, 3-7 or 3-"),
        (["first", "--name", "../x"], "'../x' is no file's name"),
        (["empty"], "records no samples"),
        (["external"], "no sample has references"),
        (["first", "--config", "reward.yaml", "--verifier", "x"], "no verifier 'x', only exactly"),
        (["other", "--config", "reward.yaml"], "no verifier 'poetry', only exactly"),
    ],
)
def test_what_cannot_be_is_an_error(
    tmp_path: Path, config: str, arguments: list[str], problem: str
) -> None:
    make_run(tmp_path / "first")
    make_run(tmp_path / "other", "rewards: {poetry: {}}\n")
    RunFolder(tmp_path / "empty").write_state({"state": "running"})
    external = RunFolder(tmp_path / "external")
    external.write_samples(1, [record(1, 0, "50", references=[])])
    ended = trimtab("rescore", *arguments, cwd=tmp_path)
    assert ended.returncode == 2, ended.stdout
    assert problem in ended.stderr
    assert not (tmp_path / "first" / "rescored").exists()
