"""Judges items in worker processes, each of which is killed at its item's deadline."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from reward_server import frames
from reward_server.processes import Nursery, SpawnFailed, WorkerDied, WorkerProcess
from reward_server.verifiers.base import Cause, Outcome, Question, Verdict, failed
from reward_server.worker import from_reply
from trimtab.server.logs import get_logger

_log = get_logger("reward.pool")
_MAX_ATTEMPTS = 2
_MAX_SPAWN_FAILURES = 5
_SPAWN_RETRY_S = 0.5


@dataclass(slots=True, eq=False)
class Job:
    """One item for the workers."""

    request: dict[str, Any]
    timeout_s: float
    done: asyncio.Future[Verdict]
    started_s: float | None = None
    """When a worker took it, by the monotonic clock; None while it waits."""
    elapsed_s: float = field(default=0.0)


class WorkerPool:
    """A fixed number of workers on one queue, each with one item at a time."""

    def __init__(self, nursery: Nursery, *, workers: int, max_items: int) -> None:
        """A worker is replaced after `max_items` items."""
        self.worker_count = workers
        self.running_count = 0
        self.waiting_count = 0
        self.limited = False
        """True once workers run with every limit of `limit_resources` in force."""
        self._nursery = nursery
        self._max_items = max_items
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._loops: list[asyncio.Task[None]] = []
        self._closing = False
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when no worker can be started any more."""

    async def start(self) -> None:
        """Brings up every worker.

        Raises:
            SpawnFailed: one did not come up.
        """
        workers = [await self._nursery.spawn() for _ in range(self.worker_count)]
        self.limited = all(worker.limited for worker in workers)
        self._loops = [asyncio.create_task(self._keep(worker)) for worker in workers]

    def submit(self, verifier: str, question: Question, *, timeout_s: float) -> Job:
        """Queues a question to the verifier of that name; `Job.done` gets its verdict."""
        request = {
            "verifier": verifier,
            "kind": question.kind,
            "texts": question.texts,
            "references": question.references,
            "timeout_s": timeout_s,
        }
        job = Job(request, timeout_s, asyncio.get_running_loop().create_future())
        self.waiting_count += 1
        self._queue.put_nowait(job)
        return job

    def cancel(self, job: Job) -> None:
        """Gives an item up; a worker that is at it is killed."""
        if job.done.done():
            return
        if job.started_s is None:
            self.waiting_count -= 1
        job.done.cancel()

    async def close(self) -> None:
        """Ends every worker; unfinished items get no verdict."""
        self._closing = True
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._nursery.close()

    async def _keep(self, worker: WorkerProcess | None) -> None:
        """Serves the queue with one worker at a time, replacing it when it is gone or spent."""
        # A cancellation that comes together with a worker's answer can get lost on the way here.
        while not self._closing:
            if worker is None:
                worker = await self._spawn()
            job = await self._queue.get()
            if job.done.done():
                continue
            self.waiting_count -= 1
            self.running_count += 1
            job.started_s = time.monotonic()
            try:
                worker = await self._serve(worker, job)
            finally:
                self.running_count -= 1

    async def _serve(self, worker: WorkerProcess | None, job: Job) -> WorkerProcess | None:
        """Gives the job its verdict, and back the worker if it can go on."""
        for attempt in range(1, _MAX_ATTEMPTS + 1):
            worker = worker or await self._spawn()
            if job.done.done():
                return worker
            try:
                reply = await self._ask(worker, job)
                verdict = from_reply(reply)
            except TimeoutError:
                self._nursery.kill(worker)
                detail = f"no verdict within {job.timeout_s:g} s"
                self._finish(job, failed(Outcome.TIMED_OUT, detail, cause=Cause.ITEM))
                return None
            except (WorkerDied, frames.BadFrame) as death:
                self._nursery.kill(worker)
                worker = None
                if job.done.done():
                    return None
                _log.warning("worker died", reason=str(death), attempt=attempt)
                if attempt == _MAX_ATTEMPTS:
                    self._finish(job, _verdict_of(death))
            else:
                self._finish(job, verdict)
                spent = reply.get("retire") or worker.served_count >= self._max_items
                # A job that is cancelled just as its reply comes has had the worker killed.
                if spent or worker.writer.is_closing():
                    self._nursery.kill(worker)
                    return None
                return worker
        return worker

    async def _ask(self, worker: WorkerProcess, job: Job) -> dict[str, Any]:
        """The worker's reply; a job that is cancelled meanwhile costs the worker its life."""

        def abandon(done: asyncio.Future[Verdict]) -> None:
            if done.cancelled():
                self._nursery.kill(worker)

        job.done.add_done_callback(abandon)
        try:
            async with asyncio.timeout(job.timeout_s):
                return await worker.ask(job.request)
        finally:
            job.done.remove_done_callback(abandon)

    def _finish(self, job: Job, verdict: Verdict) -> None:
        assert job.started_s is not None
        job.elapsed_s = time.monotonic() - job.started_s
        if not job.done.done():
            job.done.set_result(verdict)

    async def _spawn(self) -> WorkerProcess:
        failures = 0
        while True:
            try:
                return await self._nursery.spawn()
            except SpawnFailed as error:
                failures += 1
                _log.error("worker did not start", reason=str(error), failures=failures)
                if failures >= _MAX_SPAWN_FAILURES and not self.broken.done():
                    self.broken.set_result(str(error))
            await asyncio.sleep(_SPAWN_RETRY_S)


def _verdict_of(death: WorkerDied | frames.BadFrame) -> Verdict:
    """What a death of its own, twice over, says about the item."""
    status = getattr(death, "status", None)
    # The kernel's out-of-memory killer, and the limit on processor time.
    starved = status in (-signal.SIGKILL, -signal.SIGXCPU)
    outcome = Outcome.RESOURCE_EXHAUSTED if starved else Outcome.VERIFIER_ERROR
    return failed(outcome, f"{death}, twice", cause=Cause.ITEM)
