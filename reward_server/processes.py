"""The server's hold on its zygote and on the workers that it forked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.sandbox import selftest
from reward_server.sandbox.jacket import Jacket
from reward_server.sandbox.levels import Fit, Level
from reward_server.sandbox.private_base import PrivateBase
from reward_server.zygote import COMMAND, EVENT, PRIVATE, TEST

_Forked = tuple[int, int, asyncio.Future[int]]
"""A child's pid, the number of its folder or 0, and what its exit status will be."""
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 5.0
_KEPT_ENVIRONMENT = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH"
)  # fmt: skip


def signal_name(number: int) -> str:
    """The signal's name, where Python has one."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class WorkerDied(Exception):
    """A worker ended, or stopped making sense, before it answered."""

    def __init__(self, what: str, *, status: int | None = None) -> None:
        """`status`: as `Popen.returncode`, where the worker ended."""
        super().__init__(what)
        self.status = status

    @classmethod
    def by_stop(cls) -> WorkerDied:
        """The end of one that somebody had stopped, so that it had to be killed."""
        return cls("the worker was stopped", status=-signal.SIGKILL)


class SpawnFailed(Exception):
    """No worker could be started."""


@dataclass(slots=True)
class WorkerProcess:
    """One worker, which takes one request at a time."""

    pid: int
    fit: Fit
    """How well it is locked in."""
    private_dir: Path | None
    """The only folder that it can write to; removed once it has ended."""
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    exited: asyncio.Future[int]
    served_count: int = 0

    @property
    def cpu_s(self) -> float:
        """Processor time that it has used; 0 where the system does not tell."""
        try:
            # The number that Linux gives the clock of a process's processor time.
            return time.clock_gettime(~self.pid << 3 | 2)
        except OSError:
            return 0.0

    @property
    def is_stopped(self) -> bool:
        """True if somebody has stopped it by a signal."""
        return self._stat()[:1] == ["T"]

    async def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The worker's reply.

        Raises:
            WorkerDied: there will be none.
        """
        self.served_count += 1
        try:
            self.writer.write(frames.encode(request))
            await self.writer.drain()
            return await frames.read_reply(self.reader)
        except frames.BadFrame as error:
            raise WorkerDied(f"the worker sent {error}") from error
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await self._death() from error

    async def _death(self) -> WorkerDied:
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                status = await asyncio.shield(self.exited)
        except TimeoutError:
            return WorkerDied("the worker closed its connection")
        if status >= 0:
            return WorkerDied(f"the worker ended with status {status}", status=status)
        return WorkerDied(f"the worker was killed by {signal_name(-status)}", status=status)

    def _stat(self) -> list[str]:
        """What the system tells of it, from the state on; empty where it does not."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return []


class Nursery:
    """Starts and ends workers through the zygote, which it restarts if that dies."""

    def __init__(
        self,
        *,
        entry: str,
        settings: dict[str, Any],
        jacket: Jacket,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`entry`: module as in `sandbox/entry.py`; `settings`: of its `prepare`, as JSON.

        `environment`: what the children have in theirs besides the few variables kept.
        """
        self.fit = Fit(Level.NONE)
        """How well workers are locked in, as one tried out when the zygote started."""
        self._missing: set[str] = set()
        self._environment = dict(environment or {})
        self._settings = {"entry": entry, "settings": settings, "jacket": jacket.to_settings()}
        self._base: PrivateBase | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._ordered: deque[asyncio.Future[_Forked]] = deque()
        self._exits: dict[int, asyncio.Future[int]] = {}
        self._lock = asyncio.Lock()

    async def spawn(self, *, private_dir: bool = False) -> WorkerProcess:
        """A fresh worker; `private_dir`: with a folder of its own, the only one it can write to.

        Raises:
            SpawnFailed: it did not come up.
        """
        zygote = None
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                async with self._lock:
                    if self._listening is None or self._listening.done():
                        await self._end()
                        await self._start()
                    zygote = self._listening
                    order = self._order(PRIVATE if private_dir else 0)
                worker, missing = await self._meet(*order)
        except (asyncio.IncompleteReadError, frames.BadFrame, ConnectionError) as error:
            raise SpawnFailed(f"a worker ended while it started: {error!r}") from error
        except OSError as error:
            # Out of time or of descriptors: begin anew, with another zygote.
            async with self._lock:
                if zygote is None or zygote is self._listening:
                    await self._end()
            raise SpawnFailed(f"no worker could be started: {error!r}") from error
        if not self._missing.issuperset(missing):
            self.kill(worker)
            raise SpawnFailed(f"a worker is locked in worse than the one tested: {missing}")
        return worker

    def kill(self, worker: WorkerProcess) -> None:
        """Ends a worker at once, in the middle of whatever it does."""
        worker.writer.close()
        self._command(b"k", worker)

    def pause(self, worker: WorkerProcess) -> None:
        """Stops a worker until `resume`."""
        self._command(b"s", worker)

    def resume(self, worker: WorkerProcess) -> None:
        """Has a worker go on that was paused."""
        self._command(b"c", worker)

    def _command(self, command: bytes, worker: WorkerProcess) -> None:
        # A zygote that is gone has taken its workers along.
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(COMMAND.pack(command, worker.pid))

    async def close(self) -> None:
        """Ends every worker and the zygote, and waits until they are reaped."""
        async with self._lock:
            await self._end()

    async def _start(self) -> None:
        self._base = await asyncio.to_thread(PrivateBase)
        ours, theirs = socket.socketpair()
        with theirs:
            environment = {
                name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ
            } | self._environment
            command = [sys.executable, "-m", "reward_server.zygote"]
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns within milliseconds
                [*command, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        self._control = ours
        reader, self._writer = await asyncio.open_connection(sock=ours.dup())
        settings = {**self._settings, "private_base": str(self._base.path)}
        self._writer.write(frames.encode(settings))
        await self._writer.drain()
        await reader.readexactly(EVENT.size)
        self._listening = asyncio.create_task(self._listen(reader))
        self.fit = await self._test()

    async def _test(self) -> Fit:
        """Has a child try what it must not be able to do."""
        worker, missing = await self._meet(*self._order(TEST))
        try:
            with selftest.targets() as targets:
                worker.writer.write(frames.encode(targets))
                await worker.writer.drain()
                report = await frames.read_reply(worker.reader)
                try:
                    await frames.read_reply(worker.reader)
                except asyncio.IncompleteReadError:
                    report["succeeded"].append("exec")  # another program took its place
        finally:
            self.kill(worker)
        self._missing = set(missing)
        return selftest.judge(report["succeeded"], report["whereabouts"], missing)

    def _order(self, asked: int) -> tuple[socket.socket, asyncio.Future[_Forked]]:
        """Orders a child: our end of its connection, and what the zygote will say of it.

        The zygote answers in the order of the orders, also those that nobody waits for any more.
        """
        assert self._control is not None
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                socket.send_fds(self._control, [COMMAND.pack(b"f", asked)], [theirs.fileno()])
            except OSError:
                ours.close()
                raise
        forked: asyncio.Future[_Forked] = asyncio.get_running_loop().create_future()
        self._ordered.append(forked)
        return ours, forked

    async def _meet(
        self, ours: socket.socket, forked: asyncio.Future[_Forked]
    ) -> tuple[WorkerProcess, dict[str, str]]:
        """A child that was ordered, and the parts of its jacket that do not sit."""
        assert self._base is not None
        base = self._base.path
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            pid, dir_number, exited = await forked
            hello = await frames.read_reply(reader)
        except BaseException:
            writer.close()
            raise
        worker = WorkerProcess(
            pid=pid,
            fit=self.fit,
            private_dir=base / str(dir_number) if dir_number else None,
            reader=reader,
            writer=writer,
            exited=exited,
        )
        if "problem" in hello:
            writer.close()
            raise SpawnFailed(f"no worker could be started: {hello['problem']}")
        return worker, hello["missing"]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                event, pid, number = EVENT.unpack(await reader.readexactly(EVENT.size))
                if event == b"f":
                    ended = asyncio.get_running_loop().create_future()
                    if pid:
                        self._exits[pid] = ended
                    forked = self._ordered.popleft()
                    if not forked.done():
                        forked.set_result((pid, number, ended))
                elif pid in self._exits:
                    self._exits.pop(pid).set_result(number)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """The zygote is gone, and by the kernel's hand its workers are too."""
        self._forget(f"the zygote ended: {error}")
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._writer is not None:
            self._writer.close()
        if self._process is not None:
            self._process.poll()

    def _forget(self, reason: str) -> None:
        """Tells whoever waits for a child's birth or death that the zygote will not say."""
        for forked in self._ordered:
            if not forked.done():
                forked.set_exception(ConnectionResetError(reason))
        self._ordered.clear()
        for ended in self._exits.values():
            ended.set_result(-signal.SIGKILL)
        self._exits.clear()

    async def _end(self) -> None:
        process, listening = self._process, self._listening
        self._process = self._listening = None
        if listening is not None:
            listening.cancel()
        if self._writer is not None:
            self._writer.close()
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.shutdown(socket.SHUT_RDWR)
            self._control.close()
            self._control = None
        self._forget("the zygote was ended")
        if process is not None:
            try:
                await asyncio.to_thread(process.wait, _END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                await asyncio.to_thread(process.wait)
        if self._base is not None:
            base, self._base = self._base, None
            await asyncio.to_thread(base.close)
