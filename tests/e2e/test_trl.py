"""TRL's own trainer, trained with our rewards from a real server."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services import Service, service

STEPS = 6
EXAMPLE = Path(__file__).parents[2] / "examples" / "trl" / "train.py"
PROGRAM = Path(__file__).with_name("trl_training.py")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("trl") is None, reason="needs TRL: make setup-bench"
    ),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Service]:
    numeric = "verifiers={numeric: {type: numeric, extract: after_last_equals}}"
    with service("reward_server", "workers=1", numeric) as started:
        yield started


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_trl_trains_with_our_rewards(server: Service, tmp_path: Path, kind: str) -> None:
    command = [sys.executable, str(PROGRAM), kind, server.target, str(tmp_path), str(STEPS)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stdout.splitlines() if line.startswith("RESULT ")]
    result: dict[str, Any] = json.loads(line.removeprefix("RESULT "))

    assert len(result["given"]) == STEPS
    assert {reward for batch in result["given"] for reward in batch} == {0.0, 1.0, None}
    assert result["moved"] > 0
    logged = [row for row in result["logged"] if "reward" in row]
    assert len(logged) == STEPS
    for batch, row in zip(result["given"], logged, strict=True):
        # TRL leaves those without a verdict out of what it trains on, and of its means.
        valid = [reward for reward in batch if reward is not None]
        assert row["reward"] == pytest.approx(statistics.mean(valid))
        assert row["rewards/trimtab_numeric/mean"] == pytest.approx(statistics.mean(valid))
        assert row["trimtab_numeric/invalid"] == pytest.approx(batch.count(None) / len(batch))
    assert set(result["outcomes"]) <= {"correct", "incorrect", "no_answer", "invalid_reference"}
    assert len(result["outcomes"]) == len(result["given"][-1])


def test_the_example_trains(server: Service, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(EXAMPLE), "3"], cwd=tmp_path, capture_output=True, text=True,
        timeout=280, env={**os.environ, "TRIMTAB_REWARD": server.target},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    told = re.findall(r"^(\d) reward (\S+) invalid 0.0$", ended.stdout, re.MULTILINE)
    assert [step for step, _ in told] == ["1", "2", "3"]
    assert all(0 < float(reward) < 1 for _, reward in told)
