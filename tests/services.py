"""Starts the real servers for tests, each as a process of its own on a free port."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from trimtab.supervisor import leash

_STOP_TIMEOUT_S = 60.0
_LEASH = Path(leash.__file__)


class Service:
    """A server that serves; may be killed and started again on its port."""

    def __init__(self, module: str, *assignments: str, cwd: Path | None = None) -> None:
        """Starts `python -m module` with `key=value` settings; returns once it serves."""
        self._module = module
        self._settings = [part for assignment in assignments for part in ("--set", assignment)]
        self._cwd = cwd
        self.target = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        """Starts it, on the port that it had before."""
        tied = [sys.executable, str(_LEASH), str(os.getpid())]
        server = [sys.executable, "-m", self._module, "--listen", self.target]
        command = [*tied, *server, *self._settings]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=self._cwd)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if " serving on " not in line:
            self.kill()
            raise AssertionError(f"{self._module} did not start: {line!r}")
        self.target = line.strip().rpartition(" ")[2]

    def stop(self) -> int:
        """Ends it as a supervisor would; gives its exit status."""
        self.process.terminate()
        return self._reaped()

    def kill(self) -> None:
        """Ends it at once."""
        self.process.kill()
        self._reaped()

    def _reaped(self) -> int:
        status = self.process.wait(timeout=_STOP_TIMEOUT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


@contextlib.contextmanager
def service(module: str, *assignments: str, cwd: Path | None = None) -> Iterator[Service]:
    """A server for the length of a block."""
    started = Service(module, *assignments, cwd=cwd)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()
