"""Several services on this machine, from their start to their last drained call."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, TextIO

from trimtab.config.base import dump_yaml
from trimtab.supervisor.addresses import check_port
from trimtab.supervisor.services import check_installed
from trimtab.supervisor.supervised import Launch, SupervisedService

START_TIMEOUT_S = 300.0
"""Longest time from the start of a service to its first SERVING."""

OnLabelledLine = Callable[[str, str], None]


class LocalServices:
    """Starts services, keeps them running, and drains them at the end.

    Entering returns when all of them serve; leaving drains the learner first, then the others,
    and leaves no process behind. They die with this process, however it ends.

        launches = [Launch(service="reward", config=config.serve.reward, label="reward")]
        async with LocalServices(launches, log_folder=Path("logs")) as services:
            client = RewardClient(services.target("reward"))
    """

    def __init__(
        self,
        launches: Sequence[Launch],
        *,
        log_folder: Path | None = None,
        on_line: OnLabelledLine | None = None,
        on_note: OnLabelledLine | None = None,
        start_timeout_s: float = START_TIMEOUT_S,
    ) -> None:
        """`on_line` gets each line of the services' logs, `on_note` deaths and restarts.

        Both get the service's label first. With a `log_folder` lines go to `<label>.log` there.
        """
        self._launches = list(launches)
        self._log_folder = log_folder
        self._on_line = on_line
        self._on_note = on_note
        self._start_timeout_s = start_timeout_s
        self._services: dict[str, SupervisedService] = {}
        self._files: list[TextIO] = []
        self._scratch = tempfile.TemporaryDirectory(prefix="trimtab-")

    @property
    def targets(self) -> dict[str, str]:
        """Where each service is reached, by label."""
        return {label: service.target for label, service in self._services.items()}

    @property
    def pids(self) -> dict[str, int]:
        """Process id of each service, by label."""
        running = {label: service.pid for label, service in self._services.items()}
        return {label: pid for label, pid in running.items() if pid is not None}

    def target(self, label: str) -> str:
        """Where the service of that label is reached."""
        return self._services[label].target

    async def __aenter__(self) -> LocalServices:
        """Starts all of them.

        Raises:
            ConfigError: a package is missing, or a service refuses its config.
            ServiceFailed: a port is in use, or a service did not start; nothing is left running.
        """
        try:
            for launch in self._launches:
                check_installed(launch.service)
                check_port(launch.label, launch.service, launch.config.listen)
            for launch in self._launches:
                self._services[launch.label] = self._service(launch)
            async with asyncio.TaskGroup() as starts:
                for service in self._services.values():
                    starts.create_task(service.start(timeout_s=self._start_timeout_s))
        except BaseExceptionGroup as group:
            await self.stop()
            raise group.exceptions[0] from None
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def wait_failed(self) -> NoReturn:
        """Never returns: waits until a service is given up.

        Raises:
            ServiceFailed: a service died and is not started again.
        """
        waits: list[asyncio.Task[Any]] = [
            asyncio.create_task(service.wait_failed()) for service in self._services.values()
        ]
        waits.append(asyncio.create_task(asyncio.Event().wait()))  # the caller cancels this
        try:
            while True:
                done, pending = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
                waits = list(pending)
        finally:
            for task in waits:
                task.cancel()

    async def stop(self) -> None:
        """Drains all of them. The learner goes first: its step needs the others."""
        learners = [s for s in self._services.values() if s.launch.service == "learner"]
        others = [s for s in self._services.values() if s.launch.service != "learner"]
        await asyncio.gather(*(service.stop() for service in learners))
        await asyncio.gather(*(service.stop() for service in others))
        for file in self._files:
            file.close()
        self._files.clear()
        self._scratch.cleanup()

    def kill(self) -> None:
        """Ends all of them at once; `stop` then returns soon."""
        for service in self._services.values():
            service.kill()

    def _service(self, launch: Launch) -> SupervisedService:
        path = Path(self._scratch.name) / f"{launch.label}.yaml"
        path.write_text(dump_yaml(launch.config), encoding="utf-8")
        file: TextIO | None = None
        if self._log_folder is not None:
            self._log_folder.mkdir(parents=True, exist_ok=True)
            log_path = self._log_folder / f"{launch.label}.log"
            file = log_path.open("a", encoding="utf-8", buffering=1)
            self._files.append(file)

        def on_line(line: str) -> None:
            if file is not None and not file.closed:
                file.write(line + "\n")
            if self._on_line is not None:
                self._on_line(launch.label, line)

        def on_note(note: str) -> None:
            if self._on_note is not None:
                self._on_note(launch.label, note)

        return SupervisedService(launch, path, on_line=on_line, on_note=on_note)
