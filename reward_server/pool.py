"""Judges items in worker processes, each of which is killed at its item's deadline.

A fixed number of slots takes items from one queue. An item that keeps its worker busy for long is
set aside: it goes on beside the slots, whose next item gets another worker, so that items that hang
do not delay the others.
"""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from reward_server import frames
from reward_server.blame import Deaths
from reward_server.metrics import count_worker_end
from reward_server.processes import Nursery, SpawnFailed, WorkerDied, WorkerProcess
from reward_server.sandbox.levels import Fit, Level, lowest
from reward_server.verifiers.base import Cause, Outcome, Question, Verdict, failed
from reward_server.worker import from_reply
from trimtab.server.logs import get_logger

_log = get_logger("reward.pool")
_MAX_SPAWN_FAILURES = 5
_HOPELESS_S = 10.0
"""Time without any worker that came up, after which so many failures end the server."""
_SPAWN_RETRY_S = 0.5
_LOOK_S = 0.01
"""How often a busy worker is looked at."""
_ASIDE_CPU_S = 0.01
"""Processor time after which an item is set aside."""
_ASIDE_S = 0.2
"""The same in time by the clock, for workers that wait for something."""
_ASIDE_PER_WORKER = 2
_HANGS_COUNT_S = 60.0
"""How long an item that ran into its limit is remembered."""
_STRETCH = 1.9
"""How much longer an item may take by the clock when the machine is busy."""
_LEAST_WAIT_S = 0.005
_REST_S = 0.05
"""How long a slot is without an item before a paused one gets on."""
_MAX_SPARES = 4
"""Workers ready ahead, so that nothing waits for the birth of one."""


@dataclass(slots=True, eq=False)
class Job:
    """One item for the workers."""

    request: dict[str, Any]
    timeout_s: float
    """Longest time; where the machine gives it less of its processors, in processor time."""
    longest_s: float
    """Longest time by the clock, whatever the machine gives it."""
    done: asyncio.Future[Verdict]
    prompt: bool
    """Of a stream, whose other items are to be prompt: in a storm it makes way for them."""
    started_s: float | None = None
    """When a worker took it, by the monotonic clock; None while it waits."""
    elapsed_s: float = field(default=0.0)
    worker: WorkerProcess | None = None
    """Who is at it."""
    cpu_before_s: float = 0.0
    """What the worker had used before."""
    is_paused: bool = False
    """True while its worker is stopped, so that others get on."""
    attempted_s: float = 0.0
    """When the worker took it, by the monotonic clock."""
    kill_count: int = 0
    """Workers that it has cost by its own doing."""

    @property
    def cpu_s(self) -> float:
        """Processor time that the worker has spent on it."""
        return self.worker.cpu_s - self.cpu_before_s if self.worker is not None else 0.0

    @property
    def left_s(self) -> float:
        """Time that it may still take, if it gets a processor for itself from now on."""
        by_clock_s = self.longest_s - (time.monotonic() - self.attempted_s)
        return min(by_clock_s, self.timeout_s - self.cpu_s)

    @property
    def is_starved(self) -> bool:
        """True if it has had less than half of its time of a processor."""
        return self.cpu_s < self.timeout_s / 2

    @property
    def is_slow(self) -> bool:
        """True once it should not hold up others."""
        assert self.started_s is not None
        return self.cpu_s > _ASIDE_CPU_S or time.monotonic() - self.started_s > _ASIDE_S


class WorkerPool:
    """A fixed number of slots on one queue, and room aside for items that take long."""

    def __init__(
        self, nursery: Nursery, *, workers: int, slow_workers: int, max_items: int
    ) -> None:
        """`slow_workers` items may be set aside; a worker is replaced after `max_items` items."""
        self.worker_count = workers
        self.running_count = 0
        self.waiting_count = 0
        self.fit = Fit(Level.NONE)
        """How well the workers' jackets sit."""
        self._nursery = nursery
        self._slow_workers = slow_workers
        self._max_items = max_items
        self._queue: asyncio.Queue[Job] = asyncio.Queue()
        self._idle: list[WorkerProcess] = []
        self._slots: list[asyncio.Task[None]] = []
        self._aside: dict[asyncio.Task[None], Job] = {}
        self._hang_times_s: deque[float] = deque(maxlen=_ASIDE_PER_WORKER * workers)
        self._spares = min(_MAX_SPARES, slow_workers)
        self._stocking: asyncio.Task[None] | None = None
        self._closing = False
        self._last_spawn_s = -math.inf
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Done with the reason when no worker can be started any more."""

    async def start(self) -> None:
        """Brings up every worker.

        Raises:
            SpawnFailed: one did not come up.
        """
        self._idle = [await self._nursery.spawn() for _ in range(self.worker_count)]
        self.fit = lowest(worker.fit for worker in self._idle)
        self._slots = [asyncio.create_task(self._fill_slot()) for _ in range(self.worker_count)]

    def submit(
        self,
        verifier: str,
        question: Question,
        *,
        timeout_s: float,
        hurried: bool,
        prompt: bool = False,
    ) -> Job:
        """Queues a question to the verifier of that name; `Job.done` gets its verdict.

        `hurried`: `timeout_s` is the caller's own, and not to be stretched; `prompt`: see `Job`.
        """
        request = {
            "verifier": verifier,
            "kind": question.kind,
            "texts": question.texts,
            "references": question.references,
            "timeout_s": timeout_s,
        }
        longest_s = timeout_s if hurried else _STRETCH * timeout_s
        done: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()
        job = Job(request, timeout_s, longest_s, done, prompt)
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
        tasks = [*self._slots, *self._aside]
        if self._stocking is not None:
            tasks.append(self._stocking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._nursery.close()

    async def _fill_slot(self) -> None:
        """Takes one item after the other, each until it is done or set aside."""
        # A cancellation that comes together with a worker's answer can get lost on the way here.
        while not self._closing:
            rest = asyncio.get_running_loop().call_later(_REST_S, self._let_one_on)
            job = await self._queue.get()
            rest.cancel()
            if job.done.done():
                continue
            self._hold_back()
            self.waiting_count -= 1
            job.started_s = time.monotonic()
            serving = asyncio.create_task(self._serve(job))
            try:
                await self._done_or_slow(serving, job)
            except asyncio.CancelledError:
                serving.cancel()
                raise
            if not serving.done():
                self._set_aside(serving, job)

    async def _done_or_slow(self, serving: asyncio.Task[None], job: Job) -> None:
        """Returns when the item is done, or is slow and there is room for it aside."""
        while not serving.done():
            room = len(self._aside) < self._room()
            if room and job.is_slow:
                return
            others = () if room else self._aside
            await asyncio.wait(
                {serving, *others}, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED
            )

    @property
    def _is_stormy(self) -> bool:
        """True while so many items hang that they would take every slot."""
        oldest_s = time.monotonic() - _HANGS_COUNT_S
        while self._hang_times_s and self._hang_times_s[0] < oldest_s:
            self._hang_times_s.popleft()
        return len(self._hang_times_s) >= _ASIDE_PER_WORKER * self.worker_count

    def _room(self) -> int:
        """How many items may be aside: few, so that each gets on, unless items hang anyway."""
        usual = min(_ASIDE_PER_WORKER * self.worker_count, self._slow_workers)
        paused_count = sum(job.is_paused for job in self._aside.values())
        return min(usual + paused_count, self._slow_workers)

    def _set_aside(self, serving: asyncio.Task[None], job: Job) -> None:
        """Lets an item go on beside the slots; in a storm only when a slot has nothing to do.

        A process that never rests delays whoever wakes on its core, however low its priority.
        """
        self._aside[serving] = job
        serving.add_done_callback(self._aside.pop)
        if job.prompt and self._is_stormy:
            self._pause(job)

    def _hold_back(self) -> None:
        """Has what is aside make way in a storm."""
        if self._is_stormy:
            for job in self._aside.values():
                if job.prompt and not job.is_paused:
                    self._pause(job)

    def _let_one_on(self) -> None:
        """Lets the paused item go on that has had least, unless another one is at it."""
        if self._aside and all(job.is_paused for job in self._aside.values()):
            job = min(self._aside.values(), key=lambda each: each.cpu_s)
            if job.worker is not None:
                job.is_paused = False
                self._nursery.resume(job.worker)

    def _pause(self, job: Job) -> None:
        if job.worker is not None:
            job.is_paused = True
            self._nursery.pause(job.worker)

    async def _serve(self, job: Job) -> None:
        """Gives the job its verdict."""
        self.running_count += 1
        try:
            deaths = Deaths()
            while True:
                job.worker = self._living() or await self._spawn()
                if job.done.done():
                    self._give_back(job.worker)
                    return
                if await self._attempt(job, job.worker, deaths):
                    return
        finally:
            job.worker, job.is_paused = None, False
            self.running_count -= 1

    async def _attempt(self, job: Job, worker: WorkerProcess, deaths: Deaths) -> bool:
        """Has the worker judge the item; False if another one should try."""
        job.cpu_before_s, job.attempted_s = worker.cpu_s, time.monotonic()
        try:
            reply = await self._ask(worker, job)
            verdict = from_reply(reply)
        except TimeoutError:
            stopped = worker.is_stopped and not job.is_paused
            self._nursery.kill(worker)
            if stopped:
                return self._take_in(WorkerDied.by_stop(), job, deaths)
            count_worker_end("deadline")
            self._finish(job, self._out_of_time(job))
        except (WorkerDied, frames.BadFrame) as death:
            self._nursery.kill(worker)
            return job.done.done() or self._take_in(death, job, deaths)
        except asyncio.CancelledError:
            self._nursery.kill(worker)
            raise
        else:
            job.kill_count += verdict.outcome is Outcome.RESOURCE_EXHAUSTED
            self._finish(job, verdict)
            self._give_back(worker, spent=bool(reply.get("retire")))
        return True

    def _out_of_time(self, job: Job) -> Verdict:
        """What is said of an item that took too long: that, or that the machine was too busy."""
        detail = f"no verdict within {job.timeout_s:g} s"
        self._hang_times_s.append(time.monotonic())
        if job.is_starved:
            detail += f": the machine was busy and gave it {job.cpu_s:.2f} s of a processor"
            return failed(Outcome.TIMED_OUT, detail, cause=Cause.MACHINERY)
        job.kill_count += 1
        return failed(Outcome.TIMED_OUT, detail, cause=Cause.ITEM)

    def _take_in(self, death: WorkerDied | frames.BadFrame, job: Job, deaths: Deaths) -> bool:
        """Finishes a job under which too many workers died; False if another one should try."""
        _log.warning("worker died", reason=str(death))
        status = getattr(death, "status", None)
        count_worker_end("killed" if status == -signal.SIGKILL else "crashed")
        verdict = deaths.add(str(death), status)
        if verdict is None:
            return False
        job.kill_count = deaths.own_count
        self._finish(job, verdict)
        return True

    def _living(self) -> WorkerProcess | None:
        """An idle worker; those that have died while idle are no item's business."""
        while self._idle:
            worker = self._idle.pop()
            if not worker.exited.done():
                return worker
            count_worker_end("killed")
            worker.writer.close()
        return None

    def _give_back(self, worker: WorkerProcess, *, spent: bool = False) -> None:
        """Keeps the worker for the next item, unless it has done its share or there are enough."""
        spent = spent or worker.served_count >= self._max_items
        # A job that is cancelled just as its reply comes has had the worker killed.
        if worker.writer.is_closing():
            self._nursery.kill(worker)
        elif spent or len(self._idle) >= self.worker_count + self._spares:
            count_worker_end("replaced" if spent else "surplus")
            self._nursery.kill(worker)
        else:
            self._idle.append(worker)

    async def _ask(self, worker: WorkerProcess, job: Job) -> dict[str, Any]:
        """The worker's reply; a job that is cancelled meanwhile costs the worker its life."""

        def abandon(done: asyncio.Future[Verdict]) -> None:
            if done.cancelled():
                count_worker_end("cancelled")
                self._nursery.kill(worker)

        job.done.add_done_callback(abandon)
        asking = asyncio.create_task(worker.ask(job.request))
        try:
            while not asking.done():
                left_s = job.left_s
                if left_s <= 0:
                    raise TimeoutError
                await asyncio.wait({asking}, timeout=max(left_s, _LEAST_WAIT_S))
            return asking.result()
        finally:
            asking.cancel()
            job.done.remove_done_callback(abandon)

    def _finish(self, job: Job, verdict: Verdict) -> None:
        assert job.started_s is not None
        job.elapsed_s = time.monotonic() - job.started_s
        if not job.done.done():
            job.done.set_result(verdict)

    def _stock(self) -> None:
        """Has spares born where there are too few."""
        stocking = self._stocking is not None and not self._stocking.done()
        if not stocking and len(self._idle) < self._spares:
            self._stocking = asyncio.create_task(self._bear_spares())

    async def _bear_spares(self) -> None:
        while len(self._idle) < self._spares:
            self._idle.append(await self._spawn())

    async def _spawn(self) -> WorkerProcess:
        failures = 0
        began_s = time.monotonic()
        while True:
            try:
                worker = await self._nursery.spawn()
                self._last_spawn_s = time.monotonic()
                return worker
            except SpawnFailed as error:
                failures += 1
                _log.warning("worker did not start", reason=str(error), failures=failures)
                # Whoever kills workers at random kills some while they start.
                vain_s = time.monotonic() - max(began_s, self._last_spawn_s)
                hopeless = failures >= _MAX_SPAWN_FAILURES and vain_s > _HOPELESS_S
                if hopeless and not self.broken.done():
                    self.broken.set_result(str(error))
            # Once may be bad luck; what fails again may need time to mend.
            if failures > 1:
                await asyncio.sleep(_SPAWN_RETRY_S)
