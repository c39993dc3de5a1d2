"""docs/trainers.md, run as a reader would: its server, its curl commands, its Python."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "trainers.md").read_text(encoding="utf-8")
CURLS = re.findall(r"```\n(curl [^`]*)```\n\n```json\n([^`]*)```", PAGE)
SERVE = ["serve", "reward", "--compat", "openrlhf", "--compat", "slime"]
TIMEOUT_S = 60


@pytest.fixture(scope="module")
def ports() -> Iterator[dict[str, str]]:
    """The page's addresses, and where they are in truth."""
    free = ["--http", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--set", "workers=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "trimtab.cli", *SERVE, *free], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        by_grpc, by_http = process.stdout.readline(), process.stdout.readline()
        assert by_grpc.startswith("reward serving on ")
        assert by_http.startswith("reward answers HTTP on ")
        yield {"127.0.0.1:50052": by_grpc.split()[-1], "127.0.0.1:5000": by_http.split()[-1]}
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 0
        process.stdout.close()


def replaced(text: str, ports: dict[str, str]) -> str:
    for shown, real in ports.items():
        text = re.sub(rf"{re.escape(shown)}\b", real, text)
    return text


def test_the_page_shows_a_curl_for_each_shape() -> None:
    assert len(CURLS) == PAGE.count("\ncurl ") == 3


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
@pytest.mark.parametrize(("command", "shown"), CURLS)
def test_a_curl_command_gives_what_the_page_says(
    ports: dict[str, str], command: str, shown: str
) -> None:
    # `--json` is younger than some of the curls that are about.
    spelled = command.replace("--json", "--silent --header 'Content-Type: application/json' --data")
    done = subprocess.run(
        replaced(spelled, ports), shell=True, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert_holds(json.loads(shown), json.loads(done.stdout))


def assert_holds(shown: Any, real: Any) -> None:
    """The page may leave fields out, and no more than that."""
    if isinstance(shown, dict):
        assert shown.keys() <= real.keys()
        for key, value in shown.items():
            assert_holds(value, real[key])
    elif isinstance(shown, list):
        assert len(shown) == len(real)
        for one, other in zip(shown, real, strict=True):
            assert_holds(one, other)
    else:
        assert shown == real


def test_the_pages_python_runs(ports: dict[str, str]) -> None:
    (program,) = [text for text in re.findall(r"```python\n([^`]*)```", PAGE) if "Caller" in text]
    done = subprocess.run(
        [sys.executable, "-c", replaced(program, ports)],
        capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "1.0\n"), done.stderr
