"""The server's hold on one process in which a program runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
import struct
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from reward_server import frames
from reward_server.processes import Nursery, WorkerProcess, signal_name
from reward_server.programs.folder import is_overfull
from reward_server.sandbox.levels import Level

T = TypeVar("T")
_LENGTH = struct.Struct("!I")
_MAX_STRETCH = 2.0  # times its time that a program may wait for a processor
_LOOK_S = 0.03
_WORTH_WAITING_S = 0.01
_READY_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 10.0
_DISTURBANCE_S = 0.05  # what another process costs, at least
_PIECE_BYTES = 1 << 16
_MAX_EXPLANATION_BYTES = 1200


class Failure(Exception):
    """What the program did wrong, in words."""


class SlowStarts(Exception):
    """Starting processes has used up the time for all tests; the program is not to blame."""


class NotReady(Exception):
    """The process failed before anything of the program had run."""


class Disturbed(Exception):
    """The process was killed or stopped, perhaps by somebody else."""

    def __init__(self, what: str, *, stopped: bool = False) -> None:
        super().__init__(what)
        self.stopped = stopped


class Patience:
    """How often a test may be disturbed before that counts as the program's own doing.

    Whoever kills at random does not hit the same test so often; a stop costs all of its time.
    """

    def __init__(self) -> None:
        self._kills_left, self._stops_left = 20, 3

    def ends_with(self, disturbance: Disturbed) -> bool:
        """Takes in a disturbance; True if there should be no other try."""
        if disturbance.stopped:
            self._stops_left -= 1
        else:
            self._kills_left -= 1
        return self._kills_left == 0 or self._stops_left == 0


@dataclass(slots=True)
class Budget:
    """The time that a program has."""

    test_s: float
    """For one test."""
    left_s: float
    """For all that is still to come."""
    forgiven_s: float = field(init=False)
    """What disturbances may still cost: a program can kill itself as often as it likes."""

    starting_s: float = field(init=False, default=0.0)
    """What the starts of processes have taken."""

    def __post_init__(self) -> None:
        self.forgiven_s = self.left_s

    def limit_s(self) -> float:
        """What the next test may take.

        Raises:
            Failure: nothing is left.
        """
        if self.left_s <= 0:
            raise Failure("the time for all tests together is used up")
        return min(self.test_s, self.left_s)

    def start(self, spent_s: float) -> None:
        """Takes in what the start of a process has taken.

        Raises:
            SlowStarts: starts and tests together have taken all that there was.
        """
        self.starting_s += spent_s
        if self.starting_s >= self.left_s:
            raise SlowStarts(
                f"starting processes for its tests took {self.starting_s:.3g} s: "
                "give more total_timeout_s or fewer max_tests"
            )

    def spend(self, spent_s: float, *, disturbed: bool) -> None:
        """Takes in what a try has taken; that of a disturbed one is given back, up to a bound."""
        if disturbed:
            spent_s = max(spent_s, _DISTURBANCE_S)
            given_s = min(spent_s, self.forgiven_s)
            self.forgiven_s -= given_s
            spent_s -= given_s
        self.left_s -= spent_s


class ProgramProcess:
    """A process that is given one request; ended by `close`."""

    def __init__(self, nursery: Nursery, process: WorkerProcess, budget: Budget) -> None:
        self._nursery = nursery
        self._process = process
        self._budget = budget
        # In its own namespaces a program's folder is a file system of limited size.
        bounded = process.fit.level >= Level.ISOLATED
        self._folder = None if bounded else process.private_dir
        self._look_s = math.inf if bounded else _LOOK_S

    async def send(self, request: dict[str, Any]) -> None:
        """Gives it the program and waits until that begins; nothing of it has run before.

        Raises:
            NotReady: the process fails.
        """
        try:
            async with asyncio.timeout(_READY_TIMEOUT_S):
                self._process.writer.write(frames.encode(request))
                await self._process.writer.drain()
                await frames.read_reply(self._process.reader)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            raise NotReady("a process failed before the program began") from error

    async def output(self, max_bytes: int) -> bytes:
        """What it writes until it ends well.

        Raises:
            Failure: it fails, takes too long, or writes too much.
            Disturbed: it was killed or stopped.
        """
        return await self._in_time(self._read_output(max_bytes))

    async def answer(self, max_bytes: int) -> dict[str, Any]:
        """Its next frame.

        Raises:
            Failure: there is none, it takes too long, or it is no frame of at most `max_bytes`.
            Disturbed: the process was killed or stopped.
        """
        return await self._in_time(self._read_answer(max_bytes))

    async def close(self) -> None:
        """Kills it and waits until it is gone."""
        self._nursery.kill(self._process)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_TIMEOUT_S):
                await asyncio.shield(self._process.exited)

    async def _read_output(self, max_bytes: int) -> bytes:
        output = bytearray()
        with contextlib.suppress(ConnectionError):  # it ended without having read its request
            while piece := await self._process.reader.read(_PIECE_BYTES):
                output += piece
                if len(output) > max_bytes:
                    raise Failure(f"it writes more than {max_bytes} bytes")
        status = await asyncio.shield(self._process.exited)
        if status:
            _, mark, explanation = output.rpartition(b"\0")
            shown = explanation[:_MAX_EXPLANATION_BYTES].decode(errors="replace") if mark else ""
            raise self._ended(status, shown)
        return bytes(output)

    async def _read_answer(self, max_bytes: int) -> dict[str, Any]:
        reader = self._process.reader
        try:
            (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
            if length > max_bytes:
                raise Failure(f"it answers with {length} bytes; at most {max_bytes} are read")
            answer = json.loads(await reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            status = await asyncio.shield(self._process.exited)
            raise self._ended(status, "it ended before it answered") from error
        except (ValueError, RecursionError) as error:
            raise Failure("what it answers cannot be read") from error
        if not isinstance(answer, dict):
            raise Failure("what it answers cannot be read")
        return answer

    def _ended(self, status: int, explanation: str) -> Exception:
        if status == -signal.SIGKILL:
            return Disturbed("it was killed by SIGKILL")
        if status == -signal.SIGXCPU:
            return Failure("it used up its processor time")
        if status < 0:
            return Failure(f"it crashed with {signal_name(-status)}")
        return Failure(explanation or f"it ended with status {status}")

    async def _in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """The result, if it comes in time; time spent waiting for a processor does not count."""
        task = asyncio.ensure_future(work)
        began_s, waited_before_s, waited_s = time.monotonic(), self._waited_s(), 0.0
        disturbed = False
        try:
            timeout_s = self._budget.limit_s()
            while not task.done():
                left_s = began_s + timeout_s + waited_s - time.monotonic()
                await asyncio.wait({task}, timeout=max(0.0, min(left_s, self._look_s)))
                if not task.done() and self._folder is not None and is_overfull(self._folder):
                    raise Failure("it fills its folder")
                if task.done() or left_s > self._look_s:
                    continue
                seen_s = min(self._waited_s() - waited_before_s, _MAX_STRETCH * timeout_s)
                if seen_s <= waited_s + _WORTH_WAITING_S:
                    raise self._late(timeout_s)
                waited_s = seen_s
            return task.result()
        except Disturbed:
            disturbed = True
            raise
        finally:
            task.cancel()
            spent_s = max(0.0, time.monotonic() - began_s - waited_s)
            self._budget.spend(spent_s, disturbed=disturbed)

    def _late(self, timeout_s: float) -> Failure | Disturbed:
        state = self._state()
        if state in ("T", "t"):
            return Disturbed("it stopped", stopped=True)
        if state in ("", "Z", "X"):  # who should reap it was stopped, or it hides behind a thread
            return Disturbed("it ended unnoticed", stopped=True)
        return Failure(f"it takes longer than {timeout_s:.3g} s")

    def _waited_s(self) -> float:
        """How long the process has been ready to run while others ran."""
        try:
            return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return 0.0

    def _state(self) -> str:
        """The letter that the system has for what the process does; empty if it does not tell."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return ""
        return stat.rpartition(")")[2].split()[0]
