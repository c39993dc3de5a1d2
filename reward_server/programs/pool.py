"""Has programs tested, a bounded number at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from reward_server.processes import Nursery
from reward_server.programs.plan import Plan
from reward_server.programs.runner import ProgramRunner, Unsafe
from reward_server.sandbox.levels import Fit, Level
from reward_server.verifiers.base import Outcome, Question, Verdict, failed
from reward_server.verifiers.code import CodeVerifier
from trimtab.server.logs import get_logger

_log = get_logger("reward.programs")


@dataclass(slots=True, eq=False)
class ProgramJob:
    """One program for the pool."""

    verifier: str
    question: Question
    done: asyncio.Future[Verdict]
    """Gets the verdict."""
    started_s: float | None = None
    """When its tests began, by the monotonic clock; None while it waits."""
    elapsed_s: float = 0.0


class ProgramPool:
    """A fixed number of slots on one queue, each with one program at a time."""

    def __init__(
        self,
        nursery: Nursery,
        verifiers: Mapping[str, CodeVerifier],
        *,
        slots: int,
        min_level: Level,
    ) -> None:
        """No program is run below `min_level`."""
        self.slot_count = slots
        """Programs that can run at a time."""
        self.running_count = 0
        self.waiting_count = 0
        self.fit = Fit(Level.NONE)
        """How well programs are locked in."""
        self._nursery = nursery
        self.verifiers = verifiers
        """Who plans what is to be done for a question, by name."""
        self._min_level = min_level
        self._runner = ProgramRunner(nursery, min_level=min_level)
        self._queue: asyncio.Queue[ProgramJob] = asyncio.Queue()
        self._slots: list[asyncio.Task[None]] = []
        # One thread only: several would keep the event loop from its turns.
        self._reader = ThreadPoolExecutor(1, "references")

    async def start(self) -> None:
        """Tries a process and opens the slots.

        Raises:
            SpawnFailed: it does not come up.
            Unsafe: it is locked in less than `min_level`.
        """
        process = await self._nursery.spawn(private_dir=True)
        self.fit = process.fit
        self._nursery.kill(process)
        if self.fit.level < self._min_level:
            raise Unsafe(
                f"programs run at sandbox level {self._min_level.name} at least, and this system "
                f"gives {self.fit.level.name}: {'; '.join(self.fit.lacks)}"
            )
        self._slots = [asyncio.create_task(self._serve()) for _ in range(self.slot_count)]

    def submit(self, verifier: str, question: Question) -> ProgramJob:
        """Queues a question to the verifier of that name; `done` gets its verdict."""
        job = ProgramJob(verifier, question, asyncio.get_running_loop().create_future())
        self.waiting_count += 1
        self._queue.put_nowait(job)
        return job

    def cancel(self, job: ProgramJob) -> None:
        """Gives a program up; if it runs, it is killed."""
        if job.done.done():
            return
        if job.started_s is None:
            self.waiting_count -= 1
        job.done.cancel()

    async def close(self) -> None:
        """Ends every program; unfinished items get no verdict."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)
        self._reader.shutdown(wait=False, cancel_futures=True)
        await self._nursery.close()

    async def _serve(self) -> None:
        while True:
            job = await self._queue.get()
            if job.done.done():
                continue
            self.waiting_count -= 1
            self.running_count += 1
            job.started_s = time.monotonic()
            running = asyncio.create_task(self._run(job))
            job.done.add_done_callback(partial(_stop, running))
            try:
                await asyncio.wait({running})
                job.elapsed_s = time.monotonic() - job.started_s
                if not job.done.done():
                    job.done.set_result(running.result())
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
                self.running_count -= 1

    async def _run(self, job: ProgramJob) -> Verdict:
        try:
            plan = await self._plan(job)
            return plan if isinstance(plan, Verdict) else await self._runner.run(plan)
        except Exception as error:  # noqa: BLE001 - a slot's top: it must not die of one program
            _log.exception("testing a program failed")
            return failed(Outcome.VERIFIER_ERROR, f"testing it failed: {error!r}")

    async def _plan(self, job: ProgramJob) -> Plan | Verdict:
        verifier = self.verifiers[job.verifier]
        if not verifier.plans_long(job.question):
            return verifier.plan(job.question)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._reader, verifier.plan, job.question)


def _stop(running: asyncio.Task[Verdict], _: asyncio.Future[Verdict]) -> None:
    """A program whose verdict is no longer wanted is ended."""
    running.cancel()
