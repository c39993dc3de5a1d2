"""Everything that runs outside the server's process: the workers, and programs."""

from __future__ import annotations

import asyncio

from reward_server.pool import Job, WorkerPool
from reward_server.programs.pool import ProgramJob, ProgramPool
from reward_server.sandbox.levels import Fit, lowest
from reward_server.verifiers.base import Question


class Pools:
    """Both pools as one."""

    def __init__(self, workers: WorkerPool, programs: ProgramPool | None) -> None:
        """`programs`: for questions to its verifiers; None: there are none."""
        self._workers = workers
        self._programs = programs

    @property
    def worker_count(self) -> int:
        """Items that can be judged at a time."""
        return self._workers.worker_count + (self._programs.slot_count if self._programs else 0)

    @property
    def running_count(self) -> int:
        """Items that are being judged."""
        return self._workers.running_count + (self._programs.running_count if self._programs else 0)

    @property
    def waiting_count(self) -> int:
        """Items that wait."""
        return self._workers.waiting_count + (self._programs.waiting_count if self._programs else 0)

    @property
    def fit(self) -> Fit:
        """How well whatever runs is locked in."""
        fits = [self._workers.fit] if self._workers.worker_count else []
        return lowest([*fits, self._programs.fit] if self._programs else fits)

    @property
    def broken(self) -> asyncio.Future[str]:
        """Done with the reason when no worker can be started any more."""
        return self._workers.broken

    async def start(self) -> None:
        """Brings everything up.

        Raises:
            SpawnFailed: a process did not come up.
            Unsafe: programs would be locked in too badly.
        """
        starts = [self._workers.start()]
        if self._programs is not None:
            starts.append(self._programs.start())
        # Both to their ends, so that what has come up can be closed.
        for end in await asyncio.gather(*starts, return_exceptions=True):
            if end is not None:
                raise end

    def submit(
        self, name: str, question: Question, *, timeout_s: float, hurried: bool, prompt: bool
    ) -> Job | ProgramJob:
        """Queues a question to the verifier of that name; `done` gets its verdict."""
        if self._programs is not None and name in self._programs.verifiers:
            return self._programs.submit(name, question)
        return self._workers.submit(
            name, question, timeout_s=timeout_s, hurried=hurried, prompt=prompt
        )

    def cancel(self, job: Job | ProgramJob) -> None:
        """Gives an item up; what runs for it is killed."""
        if isinstance(job, Job):
            self._workers.cancel(job)
        elif self._programs is not None:
            self._programs.cancel(job)

    async def close(self) -> None:
        """Ends every process; unfinished items get no verdict."""
        await self._workers.close()
        if self._programs is not None:
            await self._programs.close()
