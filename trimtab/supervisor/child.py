"""One child process: started, listened to, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

_LEASH = Path(__file__).with_name("leash.py")
_READY = re.compile(r"\w+ serving on (?P<address>\S+)")
_LINE_LIMIT_BYTES = 1 << 20
_KEPT_LINES = 50
_LOG_PATIENCE_S = 2.0

OnLine = Callable[[str], None]


class Child:
    """A service's process, in a process group of its own and tied to this process's life."""

    def __init__(self, process: asyncio.subprocess.Process, on_line: OnLine) -> None:
        """Use `start`."""
        self._process = process
        self._on_line = on_line
        self.last_lines: deque[str] = deque(maxlen=_KEPT_LINES)
        """The end of its log."""
        self.address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """HOST:PORT, once it serves; cancelled if it ends before."""
        assert process.stdout is not None
        assert process.stderr is not None
        self._pumps = (
            asyncio.create_task(self._pump(process.stdout, watch=True)),
            asyncio.create_task(self._pump(process.stderr, watch=False)),
        )
        self._ending = asyncio.create_task(self._end())

    @classmethod
    async def start(cls, module: str, arguments: Sequence[str], on_line: OnLine) -> Child:
        """Runs `python -m module arguments`; every line that it writes goes to `on_line`."""
        program = [sys.executable, "-u", "-m", module, *arguments]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_LEASH), str(os.getpid())),
            *program,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # Ctrl-C in a terminal goes to the whole foreground group: only the parent shall act.
            process_group=0,
            limit=_LINE_LIMIT_BYTES,
        )
        return cls(process, on_line)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """True once it is gone and its log is read to the end."""
        return self._ending.done()

    async def wait(self) -> int:
        """Its exit status, negative for a signal, once it is gone and its log is read."""
        return await asyncio.shield(self._ending)

    def terminate(self) -> None:
        """Asks it to drain."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Ends it and what it started, at once."""
        _kill_group(self.pid)

    async def _pump(self, stream: asyncio.StreamReader, *, watch: bool) -> None:
        while True:
            try:
                raw = await stream.readline()
            except ValueError:  # a line over the limit; readline has dropped it
                continue
            if not raw:
                return
            line = raw.decode(errors="replace").rstrip("\n")
            ready = _READY.fullmatch(line) if watch else None
            if ready and not self.address.done():
                self.address.set_result(ready["address"])
            elif not watch and line.strip():
                self.last_lines.append(line)
            self._on_line(line)

    async def _end(self) -> int:
        status = await self._process.wait()
        # A service that was killed leaves its own workers behind, which may hold its pipes open.
        _kill_group(self.pid)
        _, pending = await asyncio.wait(self._pumps, timeout=_LOG_PATIENCE_S)
        for pump in pending:
            pump.cancel()
        self.address.cancel()
        return status


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def describe_exit(status: int) -> str:
    """An exit status in words, as "killed by SIGKILL"."""
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
