"""Takes questions to the workers, each of them once however many want to know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from reward_server.cache import VerdictCache, is_lasting, key_of
from reward_server.metrics import count_question
from reward_server.pool import Job
from reward_server.pools import Pools
from reward_server.programs.pool import ProgramJob
from reward_server.quarantine import Quarantine
from reward_server.results import shortened
from reward_server.verifiers.base import Cause, Outcome, Question, Verdict, failed


@dataclass(slots=True)
class Answer:
    """What came of a question."""

    verdict: Verdict
    """The verdict."""
    elapsed_s: float
    """Time that was spent on it for this item."""
    cached: bool = False
    """True if it was found for another item."""


class Pending:
    """One item's wait for the answer to a question."""

    def __init__(self, flight: _Flight) -> None:
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        """Gets the answer."""
        self._flight = flight

    @property
    def is_started(self) -> bool:
        """False while the question waits for a worker."""
        return self._flight.job.started_s is not None

    def cancel(self) -> None:
        """Waits no more, so `future` is never done; the question is given up when nobody waits."""
        self._flight.leave(self)


class _Flight:
    """A question on its way, and everybody who waits for it."""

    def __init__(self, job: Job | ProgramJob, give_up: Callable[[], None]) -> None:
        self.job = job
        self._give_up = give_up
        self._waiting: dict[Pending, None] = {}

    def join(self) -> Pending:
        pending = Pending(self)
        self._waiting[pending] = None
        return pending

    def leave(self, pending: Pending) -> None:
        if pending not in self._waiting:
            return
        del self._waiting[pending]
        # A job that is done lands all the same: its verdict is worth keeping.
        if not self._waiting and not self.job.done.done():
            self._give_up()

    def land(self, verdict: Verdict) -> None:
        """Tells everybody; who asked first has had the work done, the others come for free."""
        waiting = list(self._waiting)
        self._waiting.clear()
        shared = Answer(verdict, 0.0, cached=is_lasting(verdict))
        for index, pending in enumerate(waiting):
            if not pending.future.done():
                own = Answer(verdict, self.job.elapsed_s) if index == 0 else shared
                pending.future.set_result(own)


class Asker:
    """Has questions answered: from the cache, by work under way, or by a worker."""

    def __init__(self, pool: Pools, cache: VerdictCache, quarantine: Quarantine) -> None:
        self._pool = pool
        self._cache = cache
        self._quarantine = quarantine
        self._flights: dict[tuple[bytes, float], _Flight] = {}

    def ask(
        self,
        name: str,
        version: str,
        question: Question,
        *,
        timeout_s: float,
        hurried: bool,
        prompt: bool = False,
    ) -> Answer | Pending:
        """Puts a question to the verifier of that name and version.

        `hurried`: the limit is shorter than the verifier's own, so exceeding it is no offence;
        `prompt`: as in `Job`.
        """
        key = key_of(version, question)
        if (known := self._cache.get(key)) is not None:
            return Answer(known, 0.0, cached=True)
        if kill_count := self._quarantine.kills(key):
            return Answer(_quarantined(kill_count, self._quarantine.ttl_s), 0.0)
        # Only equal time limits share: nobody is cut by a limit that is not his.
        place = (key, timeout_s)
        flight = self._flights.get(place)
        if flight is None:
            flight = self._flights[place] = self._launch(
                name, question, place, hurried=hurried, prompt=prompt
            )
        return flight.join()

    def _launch(
        self,
        name: str,
        question: Question,
        place: tuple[bytes, float],
        *,
        hurried: bool,
        prompt: bool,
    ) -> _Flight:
        key, timeout_s = place
        job = self._pool.submit(name, question, timeout_s=timeout_s, hurried=hurried, prompt=prompt)

        def give_up() -> None:
            del self._flights[place]
            self._pool.cancel(job)

        def land(done: asyncio.Future[Verdict]) -> None:
            if done.cancelled():
                return
            del self._flights[place]
            verdict = shortened(done.result())
            count_question(name, job.elapsed_s)
            # A program's failure may be due to the time that it had; its success lasts.
            if isinstance(job, Job) or verdict.outcome is Outcome.CORRECT:
                self._cache.put(key, verdict)
            cut_short = hurried and verdict.outcome is Outcome.TIMED_OUT
            if isinstance(job, Job) and job.kill_count and not cut_short:
                self._quarantine.add(key, job.kill_count)
            flight.land(verdict)

        flight = _Flight(job, give_up)
        job.done.add_done_callback(land)
        return flight


def _quarantined(kill_count: int, ttl_s: float) -> Verdict:
    detail = (
        f"in quarantine: it has cost {kill_count} workers and is not judged again "
        f"within {ttl_s:g} s of the last one"
    )
    return failed(Outcome.RESOURCE_EXHAUSTED, detail, cause=Cause.ITEM)
