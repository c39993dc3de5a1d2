import re
from pathlib import Path

import pytest

from tests.unit.report.fixture import make_run
from trimtab.records import RunFolder
from trimtab.records.samples import SCHEMA

PAGE = Path(__file__).parents[3] / "docs" / "run-folder.md"


def test_the_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(tmp_path / "runs" / "demo" / "grpo", steps=3)
    monkeypatch.chdir(tmp_path)
    [code] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(PAGE), "exec"), {})


def test_every_column_of_samples_is_documented() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("## Samples")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert re.findall(r"`(\w+)`", "".join(rows)) == SCHEMA.names


def test_every_path_of_a_run_is_documented() -> None:
    text = PAGE.read_text(encoding="utf-8")
    run = RunFolder(Path())
    paths = [
        run.config_path, run.state_path, run.metrics_path, run.weights_path, run.samples_path(1),
        run.eval_metrics_path, run.eval_samples_path(0, "heldout"), run.checkpoints_path,
        run.tensorboard_path,
    ]  # fmt: skip
    assert [str(path) for path in paths if str(path) not in text] == []
