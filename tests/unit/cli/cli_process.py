"""Runs the command line as users do, and looks at its processes from outside."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

TIMEOUT_S = 120.0


def trimtab(
    *arguments: str, cwd: Path, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "trimtab.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        timeout=TIMEOUT_S,
    )


@contextlib.contextmanager
def running(*arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A command that runs; what it says on both streams comes on its `stdout`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trimtab.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=cwd,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(TIMEOUT_S)
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """The lines up to the one that holds the text."""
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came:\n{''.join(lines)}")


def free_address() -> str:
    """A HOST:PORT that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def service_pid(parent_pid: int, module: str) -> int:
    """The child of a process that runs `python -m module`."""
    for thread in Path(f"/proc/{parent_pid}/task").iterdir():
        for child in (thread / "children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
            if module in words:
                return int(child)
    raise AssertionError(f"{parent_pid} has no child that runs {module}")


def group_pids(group: int) -> set[int]:
    """The processes of a process group that still run."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[2]) == group and fields[0] not in "ZX":
                    found.add(int(entry.name))
    return found


def wait_gone(pid: int) -> None:
    """Returns once a process that need not be a child has ended."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended = select.poll()
        ended.register(handle, select.POLLIN)
        assert ended.poll(TIMEOUT_S * 1000), f"process {pid} does not end"
    finally:
        os.close(handle)
