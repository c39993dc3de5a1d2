"""Starts reward servers that are programs of their own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_TIMEOUT_S = 30.0


@contextmanager
def program(*arguments: str) -> Iterator[str]:
    """`python -m` with the arguments, a program that prints its target; gives the target."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        target = process.stdout.readline().strip()
        assert target, arguments
        yield target
    finally:
        process.kill()
        process.wait(_TIMEOUT_S)
        assert process.stdout is not None
        process.stdout.close()
