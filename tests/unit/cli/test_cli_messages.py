from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.cli.cli_process import trimtab
from trimtab import __version__
from trimtab.cli import configs
from trimtab.config.base import dump_yaml, parse_yaml
from trimtab.config.run import RunConfig


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "demo", "train.stepz=3"], "train.stepz: unknown key"),
        (["train", "demo", "train.steps=soon"], "train.steps: Input should be a valid integer"),
        (["train", "demo", "steps"], "'steps' is not key=value"),
        (["train", "demo", "train={"], "train: '{' is not YAML"),
        (["train", "nowhere.yaml"], "there is no config file nowhere.yaml"),
        (["train", "broken.yaml"], "broken.yaml: not YAML: line 2"),
        (["train", "list.yaml"], "list.yaml: must hold `key: value` lines"),
        (["train", "demo", "--resume"], "name the run to resume"),
        (["train", "demo", "model.path=gone"], "model.path: there is no model folder 'gone'"),
        (["train", "files.yaml"], "data.train.path: there is no file gone.parquet"),
        (
            ["train", "demo", "data.eval.heldout={path: gone.parquet}"],
            "data.eval.heldout.path: there is no file gone.parquet",
        ),
        (
            ["up", "--set", "serve.reward.workers=0"],
            "serve.reward.workers: Input should be",
        ),
        (["serve", "rollout", "--set", "engine=9"], "engine: Input should be 'transformers'"),
        (["serve", "reward", "--config", "gone.yaml"], "gone.yaml: cannot be read"),
        (["serve", "reward", "--listen", "0.0.0.0:0"], "0.0.0.0:0 is not on loopback"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "broken.yaml").write_text("seed: 1\n  name: [\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "files.yaml").write_text("data: {train: {path: gone.parquet}}\n")
    ended = trimtab(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_target_that_is_not_here_and_does_not_answer_is_named(tmp_path: Path) -> None:
    ended = trimtab("train", "demo", "--rollout", "nowhere.invalid:1", cwd=tmp_path)
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("error: rollout: nowhere.invalid:1 does not answer")
    assert not (tmp_path / "runs").exists(), "nothing was started"


def test_wrong_usage_is_status_2(tmp_path: Path) -> None:
    assert trimtab("frobnicate", cwd=tmp_path).returncode == 2
    assert trimtab("train", "demo", "--frobnicate", cwd=tmp_path).returncode == 2


def test_every_command_is_listed_and_has_an_example(tmp_path: Path) -> None:
    overview = trimtab("--help", cwd=tmp_path).stdout
    for command in ("demo", "train", "up", "serve", "score", "check-reward", "report", "doctor"):
        assert command in overview
        words = [command, "reward"] if command == "serve" else [command]
        assert "Example: trimtab" in trimtab(*words, "--help", cwd=tmp_path).stdout


def test_the_version(tmp_path: Path) -> None:
    assert trimtab("--version", cwd=tmp_path).stdout == f"trimtab {__version__}\n"


def test_a_printed_run_config_is_whole_and_reads_back(tmp_path: Path) -> None:
    first = trimtab("train", "demo", "train.steps=7", "--print-config", cwd=tmp_path)
    (tmp_path / "again.yaml").write_text(first.stdout)
    again = trimtab("train", "again.yaml", "--print-config", cwd=tmp_path)
    assert again.stdout == first.stdout
    config = RunConfig.model_validate(parse_yaml(first.stdout, source="printed"))
    assert config.train.steps == 7
    assert dump_yaml(config) == first.stdout


def test_a_printed_server_config_reads_back(tmp_path: Path) -> None:
    first = trimtab("serve", "reward", "--set", "workers=3", "--print-config", cwd=tmp_path)
    assert "workers: 3" in first.stdout
    (tmp_path / "again.yaml").write_text(first.stdout)
    again = trimtab("serve", "reward", "--config", "again.yaml", "--print-config", cwd=tmp_path)
    assert again.stdout == first.stdout


def test_a_config_is_found_by_path_then_here_then_in_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bundled = configs.find_config("demo")
    assert configs.find_config("demo.yaml") == bundled
    (tmp_path / "configs").mkdir()
    shutil.copy(bundled, tmp_path / "configs" / "demo.yaml")
    assert configs.find_config("demo") == Path("configs/demo.yaml")
    shutil.copy(bundled, tmp_path / "demo")
    assert configs.find_config("demo") == Path("demo")
    assert configs.load_run_config(bundled, ["seed=4"]).seed == 4
