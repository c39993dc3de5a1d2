from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from trimtab.server.logs import configure_logs, get_logger

def fail(secret):
    held = {"deep": secret}
    raise KeyError("the reason")

configure_logs(service="s", log_format=sys.argv[1], level="info")
try:
    fail("".join(["what", "ever"]))
except KeyError as error:
    get_logger("x").error("it failed", exc_info=error)
"""


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_a_trace_shows_lines_and_no_values_of_variables(log_format: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, log_format], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "it failed" in done.stderr
    assert "KeyError: 'the reason'" in done.stderr
    assert "in fail" in done.stderr
    assert "whatever" not in done.stderr
