"""All runs of a server: opened, resumed, listed, stopped; one active at a time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

from learner.checkpoints import Checkpoint, latest_checkpoint
from learner.control import RunControl
from learner.external import ExternalDriver
from learner.managed import ManagedDriver
from learner.preparation import parse_run_config, prepare
from learner.run import Run, State, recorded_events
from learner.session import Session
from trimtab.config.base import dump_yaml
from trimtab.config.learner import LearnerServerConfig
from trimtab.config.run import RunConfig
from trimtab.errors import Reason, RemoteError, ServiceError
from trimtab.records import RunFolder
from trimtab.records.files import write_atomically
from trimtab.server.logs import get_logger

_log = get_logger("runs")
_REMEMBERED_REQUESTS = 1024


class RunManager:
    """The runs below one folder."""

    def __init__(self, config: LearnerServerConfig) -> None:
        """Nothing is read yet."""
        self._config = config
        self._root = config.runs_dir.resolve()
        self._runs: dict[str, Run] = {}
        self._by_request: dict[str, Run] = {}
        self._opening = asyncio.Lock()
        self._driver: ManagedDriver | ExternalDriver | None = None
        self._control = RunControl()
        self._driving: asyncio.Task[None] | None = None

    def load(self) -> None:
        """Reads the runs that the folder holds; none of them is active."""
        for path in self._root.glob("**/state.json"):
            run = Run.recorded(self._root, RunFolder(path.parent))
            checkpoint = latest_checkpoint(run.folder.checkpoints_path)
            run.durable_step = checkpoint.step if checkpoint else 0
            self._runs[run.name] = run

    async def create(
        self, *, name: str, config_yaml: str, external: bool, resume: bool, request_id: str
    ) -> Run:
        """Opens or resumes a run; it trains from now on.

        Raises:
            ServiceError: the name is taken, a run is active, or something does not hold.
        """
        async with self._opening:
            if request_id and request_id in self._by_request:
                return self._by_request[request_id]
            folder = RunFolder.below(self._root, name)
            known = self._runs.get(name)
            self._check_name(name, known, folder, resume=resume)
            active = self.active
            if active is not None:
                raise ServiceError(
                    Reason.RUN_ACTIVE,
                    f"run {active.name!r} is active: stop it or wait for its end",
                    metadata={"run_id": active.name},
                )
            run = await self._open(name, folder, config_yaml, external, known if resume else None)
            if request_id:
                self._by_request[request_id] = run
                while len(self._by_request) > _REMEMBERED_REQUESTS:
                    self._by_request.pop(next(iter(self._by_request)))
            return run

    @property
    def active(self) -> Run | None:
        """The run that a driver works on."""
        return next((run for run in self._runs.values() if run.active), None)

    def _check_name(self, name: str, known: Run | None, folder: RunFolder, *, resume: bool) -> None:
        if resume and known is None:
            raise ServiceError(Reason.RUN_NOT_FOUND, f"there is no run {name!r} to resume")
        if not resume and (known is not None or folder.path.exists()):
            raise ServiceError(
                Reason.RUN_EXISTS,
                f"{folder.path} exists: choose another name, or resume the run",
                field="name",
            )

    async def _open(
        self, name: str, folder: RunFolder, config_yaml: str, external: bool, old: Run | None
    ) -> Run:
        checkpoint = self._checkpoint(old) if old is not None else None
        text = config_yaml or (folder.config_path.read_text(encoding="utf-8") if old else "")
        config = parse_run_config(text)
        if old is not None:
            external = old.external
        run = Run(name, folder, external=external, step_count=0 if external else config.train.steps)
        run.lineage = uuid.uuid4().hex
        if checkpoint is not None:
            run.step = run.durable_step = checkpoint.step
        control = RunControl()
        driver = await prepare(run, config, self._config, control=control, checkpoint=checkpoint)
        self._record_opening(run, config, checkpoint)
        self._runs[name] = run
        self._driver, self._control = driver, control
        self._driving = asyncio.create_task(self._drive(run, driver))
        return run

    def _checkpoint(self, run: Run) -> Checkpoint:
        checkpoint = latest_checkpoint(run.folder.checkpoints_path)
        if checkpoint is None:
            raise ServiceError(
                Reason.NO_CHECKPOINT,
                f"run {run.name!r} has no checkpoint that is whole: start a new run",
            )
        return checkpoint

    def _record_opening(self, run: Run, config: RunConfig, checkpoint: Checkpoint | None) -> None:
        run.folder.path.mkdir(parents=True, exist_ok=True)
        if checkpoint is not None:
            run.folder.roll_back(checkpoint.step)
            run.events = recorded_events(run.folder)
        write_atomically(run.folder.config_path, dump_yaml(config).encode())
        run.write_state()

    async def _drive(self, run: Run, driver: ManagedDriver | ExternalDriver) -> None:
        """Works on the run until it ends; what ends it early is told, and nothing is lost."""
        try:
            await driver.drive()
        except (ServiceError, RemoteError, OSError) as error:
            _log.error("run failed", run=run.name, step=run.step, error=str(error))
            await run.change(State.FAILED, str(error))
        except asyncio.CancelledError:
            await run.change(State.INTERRUPTED, "the server was shut down")
            raise
        except Exception as error:  # noqa: BLE001 - a run's outermost boundary
            _log.error("run failed", run=run.name, step=run.step, exc_info=error)
            await run.change(State.FAILED, f"{type(error).__name__}: {error}")
        finally:
            self._control.abandon()
            await driver.close()
            self._driver = None

    def get(self, run_id: str) -> Run:
        """The run of that name.

        Raises:
            ServiceError: RUN_NOT_FOUND.
        """
        if run_id not in self._runs:
            raise ServiceError(Reason.RUN_NOT_FOUND, f"there is no run {run_id!r}", field="run_id")
        return self._runs[run_id]

    def newest_first(self) -> Sequence[Run]:
        """All runs."""
        return sorted(self._runs.values(), key=lambda run: run.created_s, reverse=True)

    async def stop(self, run_id: str) -> Run:
        """Ends a run after the step in progress; returns once it has ended.

        Raises:
            ServiceError: RUN_NOT_FOUND.
        """
        run = self.get(run_id)
        if run.active:
            if isinstance(self._driver, ExternalDriver):
                self._driver.stop()
            self._control.stop()
            await run.wait_ended()
        return run

    def external_driver(self, run_id: str) -> ExternalDriver:
        """The driver of an active EXTERNAL run.

        Raises:
            ServiceError: RUN_NOT_FOUND, RUN_NOT_ACTIVE or WRONG_DRIVER.
        """
        run = self.get(run_id)
        if not run.external:
            raise ServiceError(
                Reason.WRONG_DRIVER, f"run {run_id!r} is MANAGED: the learner makes its steps"
            )
        if not run.active or not isinstance(self._driver, ExternalDriver):
            raise ServiceError(
                Reason.RUN_NOT_ACTIVE, f"run {run_id!r} is {run.state}: resume it first"
            )
        return self._driver

    def session_of(self, run: Run) -> Session | None:
        """The session that holds the run's model; None unless it is active."""
        return self._driver.session if run.active and self._driver is not None else None

    async def save_checkpoint(self, run_id: str) -> tuple[Run, str]:
        """Writes a checkpoint of an active run between two steps; gives its folder.

        Raises:
            ServiceError: RUN_NOT_FOUND or RUN_NOT_ACTIVE.
        """
        run = self.get(run_id)
        if not run.active:
            raise ServiceError(
                Reason.RUN_NOT_ACTIVE,
                f"run {run_id!r} is {run.state}; its last checkpoint holds step {run.durable_step}",
            )
        if isinstance(self._driver, ExternalDriver):
            return run, await self._driver.save_checkpoint()
        try:
            return run, await self._control.request_checkpoint()
        except asyncio.CancelledError:
            if run.active:
                raise
            raise ServiceError(
                Reason.RUN_NOT_ACTIVE, f"run {run_id!r} ended before the checkpoint"
            ) from None

    async def shut_down(self, grace_s: float) -> None:
        """Ends the active run, between steps if it can be done in time."""
        if self._driving is None or self._driving.done():
            return
        if isinstance(self._driver, ExternalDriver):
            self._driver.stop()
        self._control.stop()
        await asyncio.wait({self._driving}, timeout=grace_s)
        if not self._driving.done():
            self._driving.cancel()
            await asyncio.wait({self._driving})
