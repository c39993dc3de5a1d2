import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import transformers
import yaml

from tests.unit.cli.cli_process import group_pids, read_until, running, trimtab

STEPS = 12
OBJECTIVES = ("grpo", "steer_paper")
METRICS = ["mean_at_16", "pass_at_16", "greedy", "entropy"]
SERVICES = {"rollout": "rollout_server", "reward": "reward_server", "learner": "learner"}
PAGE = Path(__file__).parents[2] / "docs" / "run-folder.md"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.timeout(600)
def test_the_demo_trains_compares_and_survives_deaths(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with running("demo", "--steps", str(STEPS), "--out", str(out), cwd=tmp_path) as process:
        said = read_until(process, "step 1/12")
        pids = {
            match[1]: int(match[2])
            for line in said
            if (match := re.match(r"(\w+) runs as process (\d+) on ", line))
        }
        assert {name: module_of(pid) for name, pid in pids.items()} == SERVICES
        said += read_until(process, "step 3/12")
        os.kill(pids["reward"], signal.SIGKILL)
        said += read_until(process, "steer_paper: step 6/12")
        os.kill(pids["learner"], signal.SIGKILL)
        assert process.stdout is not None
        said += process.stdout.readlines()
        assert process.wait(60) == 0, "".join(said)
    text = "".join(said)
    assert "reward was killed by SIGKILL" in text
    assert "learner was killed by SIGKILL" in text
    assert re.search(r"steer_paper: goes on from the checkpoint of step [48]\n", text)
    assert [pid for pid in pids.values() if group_pids(pid)] == []
    check_summary(out)
    for objective in OBJECTIVES:
        check_run(out / objective, objective)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert all(f"Samples of {objective}" in page for objective in OBJECTIVES)
    assert {path.name for path in (out / "logs").iterdir()} == {f"{s}.log" for s in SERVICES}


def module_of(pid: int) -> str:
    """What a Python process runs as `python -m`."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return words[words.index("-m") + 1]


def check_summary(out: Path) -> None:
    summary = json.loads((out / "summary.json").read_text())
    assert list(summary) == ["steps", "wall_seconds", "samples_per_second", "runs"]
    assert summary["steps"] == STEPS
    assert summary["wall_seconds"] > 0
    assert summary["samples_per_second"] > 0
    assert [run["objective"] for run in summary["runs"]] == list(OBJECTIVES)
    for run in summary["runs"]:
        assert list(run) == ["objective", "before", "after"]
        assert list(run["before"]) == list(run["after"]) == METRICS
        assert run["after"]["mean_at_16"] > run["before"]["mean_at_16"]
        assert run["after"]["entropy"] < run["before"]["entropy"]
    assert summary["runs"][0]["before"] == summary["runs"][1]["before"]


def check_run(folder: Path, objective: str) -> None:
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["objective"]["preset"] == objective
    assert config["objective"]["loss"]["eps_high"] == 0.28
    assert (config["objective"]["token_weight"] is None) == (objective == "grpo")
    rows = lines(folder / "metrics.jsonl")
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    assert undocumented({name for row in rows for name in row} - {"step", "time"}) == []
    for step in range(1, STEPS + 1):
        samples = pq.read_table(folder / "samples" / f"step-{step:06d}.parquet")
        assert samples.num_rows == 32 * 8
    evaluations = lines(folder / "eval" / "metrics.jsonl")
    assert [(row["step"], row["dataset"]) for row in evaluations] == [
        (0, "heldout"), (STEPS, "heldout"),
    ]  # fmt: skip
    for step in (0, STEPS):
        samples = pq.read_table(folder / "eval" / f"step-{step:06d}-heldout.parquet")
        assert samples.num_rows == 256 * 17
    checkpoint = folder / "checkpoints" / f"step-{STEPS:06d}"
    model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    assert model.config.vocab_size >= len(tokenizer)
    assert list((folder / "tensorboard").iterdir())


def undocumented(names: set[str]) -> list[str]:
    """Metrics that the page on run folders does not explain."""
    text = PAGE.read_text(encoding="utf-8")
    return sorted(n for n in names if f"`{n}`" not in text and not n.startswith("outcome/"))


def test_ctrl_c_stops_the_demo_and_its_services(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    with running("demo", "--steps", "500", "--out", str(out), cwd=tmp_path) as process:
        said = read_until(process, "step 2/500")
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        said += process.stdout.readlines()
        assert process.wait(60) == 130, "".join(said)
    text = "".join(said)
    pids = [int(pid) for pid in re.findall(r"runs as process (\d+)", text)]
    assert len(pids) == 3
    assert [pid for pid in pids if group_pids(pid)] == []
    assert json.loads((out / "grpo" / "state.json").read_text())["state"] == "stopped"
    assert not (out / "steer_paper").exists()


def test_an_earlier_folder_is_moved_and_said_so(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    with running("demo", "--steps", "1", "--out", str(out), cwd=tmp_path) as process:
        said = "".join(read_until(process, "starting the services"))
        process.send_signal(signal.SIGINT)
        process.wait(60)
    [moved] = [path for path in tmp_path.iterdir() if path.name != "demo"]
    assert re.fullmatch(r"demo-\d{8}-\d{6}", moved.name)
    assert (moved / "mine.txt").read_text() == "kept"
    assert f"moved the earlier {out} to {moved}" in said


def test_a_folder_that_holds_the_working_directory_is_refused(tmp_path: Path) -> None:
    ended = trimtab("demo", "--out", str(tmp_path), cwd=tmp_path)
    assert ended.returncode == 2
    assert "holds the working directory" in ended.stderr


def test_a_config_without_evaluations_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plain.yaml").write_text("data: {train: {generator: arithmetic}}\n")
    ended = trimtab("demo", "--config", "plain.yaml", cwd=tmp_path)
    assert ended.returncode == 2
    assert "data.eval" in ended.stderr
    assert not (tmp_path / "runs").exists()
