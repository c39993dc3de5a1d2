"""A service that is kept running: started, restarted when it dies, drained."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError
from trimtab.supervisor.addresses import reachable
from trimtab.supervisor.child import Child, OnLine, describe_exit
from trimtab.supervisor.errors import ServiceFailed
from trimtab.supervisor.services import PROGRAMS, ServiceName

MAX_DEATHS = 5
DEATHS_WINDOW_S = 60.0
_FIRST_BACKOFF_S = 0.2
_MAX_BACKOFF_S = 5.0
_KILL_SLACK_S = 5.0
_USAGE_STATUS = 2
_ERROR = "error: "

OnNote = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A service to start."""

    service: ServiceName
    """Which one."""
    config: ServerConfig
    """Its whole config; `listen` says where, port 0 takes a free one."""
    label: str
    """Names it in logs and messages; unique among services started together."""
    restart: bool = True
    """Starts it again when it dies; else its death is a failure."""


class SupervisedService:
    """Keeps one service running on one address."""

    def __init__(
        self, launch: Launch, config_path: Path, *, on_line: OnLine, on_note: OnNote
    ) -> None:
        """`config_path` holds the launch's config; notes are one line for people."""
        self.launch = launch
        self._config_path = config_path
        self._on_line = on_line
        self._on_note = on_note
        self._listen = launch.config.listen
        self._child: Child | None = None
        self._stopping = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None

    @property
    def target(self) -> str:
        """Where clients on this machine reach it."""
        return reachable(self._listen)

    @property
    def pid(self) -> int | None:
        """Its process id; None before the first start."""
        return self._child.pid if self._child is not None else None

    async def start(self, *, timeout_s: float) -> None:
        """Returns once it serves.

        Raises:
            ConfigError: it refuses its config.
            ServiceFailed: it ended before, or was not ready in time.
        """
        child = await self._spawn()
        if not await self._served(child, timeout_s):
            if child.ended:
                status = await child.wait()
                _raise_refusal(status, child)
                problem = f"did not start: {describe_exit(status)}"
            else:
                problem = f"did not serve within {timeout_s:g} s"
            child.kill()
            await child.wait()
            raise ServiceFailed(self.launch.label, problem, last_lines=child.last_lines)
        # From here on the port is known: restarts take the same one.
        self._listen = child.address.result()
        self._keeping = asyncio.create_task(self._keep(child, timeout_s))

    async def wait_failed(self) -> None:
        """Returns when it was stopped.

        Raises:
            ServiceFailed: it died and is not started again.
        """
        assert self._keeping is not None
        await asyncio.shield(self._keeping)

    async def stop(self) -> None:
        """Drains it, and kills it after its grace; nothing of it is left."""
        self._stopping.set()
        child = self._child
        if child is None:
            return
        child.terminate()
        config = self.launch.config
        grace_s = config.drain_delay_s + config.drain_grace_s + _KILL_SLACK_S
        keeping: asyncio.Task[None] | asyncio.Task[int]
        keeping = self._keeping or asyncio.create_task(child.wait())
        _, pending = await asyncio.wait({keeping}, timeout=grace_s)
        if pending:
            self._on_note(f"did not end within {grace_s:g} s: killed")
            self.kill()
        with contextlib.suppress(ServiceFailed):
            await keeping

    def kill(self) -> None:
        """Ends it at once, for good."""
        self._stopping.set()
        if self._child is not None and not self._child.ended:
            self._child.kill()

    async def _spawn(self) -> Child:
        arguments = ["--config", str(self._config_path), "--listen", self._listen]
        module = PROGRAMS[self.launch.service].module
        self._child = await Child.start(module, arguments, self._on_line)
        if self._stopping.is_set():
            self._child.terminate()
        return self._child

    async def _served(self, child: Child, timeout_s: float) -> bool:
        await asyncio.wait({child.address}, timeout=timeout_s)
        return child.address.done() and not child.address.cancelled()

    async def _keep(self, child: Child, start_timeout_s: float) -> None:
        deaths: deque[float] = deque()
        while True:
            status = await child.wait()
            if self._stopping.is_set():
                return
            self._judge_death(child, status, deaths)
            backoff_s = min(_FIRST_BACKOFF_S * 2 ** (len(deaths) - 1), _MAX_BACKOFF_S)
            self._on_note(f"{describe_exit(status)}; restarting it on {self._listen}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), backoff_s)
            if self._stopping.is_set():
                return
            child = await self._spawn()
            if await self._served(child, start_timeout_s):
                self._on_note(f"serves again on {self._listen}")
            elif not child.ended:
                self._on_note(f"did not serve within {start_timeout_s:g} s")
                child.kill()

    def _judge_death(self, child: Child, status: int, deaths: deque[float]) -> None:
        """Counts a death; raises ServiceFailed if it was one too many."""
        label, how = self.launch.label, describe_exit(status)
        # What a service last wrote before somebody killed it explains nothing.
        last_lines = list(child.last_lines) if status > 0 else []
        if not self.launch.restart:
            raise ServiceFailed(label, how, last_lines=last_lines)
        now_s = time.monotonic()
        deaths.append(now_s)
        while now_s - deaths[0] > DEATHS_WINDOW_S:
            deaths.popleft()
        if len(deaths) >= MAX_DEATHS:
            raise ServiceFailed(
                label,
                f"died {len(deaths)} times within {DEATHS_WINDOW_S:g} s and is given up (it {how})",
                last_lines=last_lines,
            )


def _raise_refusal(status: int, child: Child) -> None:
    """Raises ConfigError if the child ended because of its config, which it says in one line."""
    said = child.last_lines[-1] if child.last_lines else ""
    if status == _USAGE_STATUS and said.startswith(_ERROR):
        raise ConfigError(said.removeprefix(_ERROR))
