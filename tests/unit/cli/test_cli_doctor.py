from __future__ import annotations

import socket
from pathlib import Path

from tests.services import service
from tests.unit.cli.cli_process import free_address, trimtab

WIDE = {"COLUMNS": "200"}


def write_config(path: Path, **listen: str) -> None:
    parts = [
        f"  {name}: {{listen: '{listen.get(name) or free_address()}'}}\n"
        for name in ("rollout", "reward", "learner")
    ]
    path.write_text("serve:\n" + "".join(parts))


def test_doctor_finds_nothing_wrong_and_names_who_serves(tmp_path: Path) -> None:
    with service("reward_server", "workers=1") as reward:
        write_config(tmp_path / "run.yaml", reward=reward.target)
        ended = trimtab("doctor", "--config", "run.yaml", cwd=tmp_path, environment=WIDE)
    assert ended.returncode == 0, ended.stdout
    [line] = [line for line in ended.stdout.splitlines() if f"reward on {reward.target}" in line]
    assert "serves: " in line
    assert "verifiers math, numeric, sandbox " in line
    assert ended.stdout.count("the port is free") == 2


def test_doctor_says_how_to_mend_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        write_config(tmp_path / "run.yaml", learner=f"127.0.0.1:{taken.getsockname()[1]}")
        ended = trimtab("doctor", "--config", "run.yaml", cwd=tmp_path, environment=WIDE)
    assert ended.returncode == 1
    assert "the port is taken by another program" in ended.stdout
    assert "-> end it, or choose another port with serve.learner.listen" in ended.stdout


def test_doctor_tells_what_is_wrong_with_a_config(tmp_path: Path) -> None:
    write_config(tmp_path / "run.yaml")
    with (tmp_path / "run.yaml").open("a") as file:
        file.write("data: {train: {path: gone.parquet}}\n")
    ended = trimtab("doctor", "--config", "run.yaml", cwd=tmp_path, environment=WIDE)
    assert ended.returncode == 1
    assert "data.train.path: there is no file gone.parquet" in ended.stdout
