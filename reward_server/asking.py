"""Takes questions to the workers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from reward_server.pool import Job
from reward_server.pools import Pools
from reward_server.programs.pool import ProgramJob
from reward_server.verifiers.base import Question, Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question."""

    verdict: Verdict
    """The verdict."""
    elapsed_s: float
    """Time that a worker spent on it."""
    cached: bool = False
    """True if it had been found before."""


class Pending:
    """A question whose answer is not known yet."""

    def __init__(self, job: Job | ProgramJob, pool: Pools) -> None:
        self.future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        """Gets the answer."""
        self._job = job
        self._pool = pool
        job.done.add_done_callback(self._take)

    @property
    def is_started(self) -> bool:
        """False while it waits for a worker."""
        return self._job.started_s is not None

    def cancel(self) -> None:
        """Gives the question up."""
        self.future.cancel()
        self._pool.cancel(self._job)

    def _take(self, done: asyncio.Future[Verdict]) -> None:
        if not done.cancelled() and not self.future.done():
            self.future.set_result(Answer(done.result(), self._job.elapsed_s))


class Asker:
    """Has questions answered."""

    def __init__(self, pool: Pools) -> None:
        self._pool = pool

    def ask(self, name: str, question: Question, *, timeout_s: float) -> Pending:
        """Puts a question to the verifier of that name."""
        return Pending(self._pool.submit(name, question, timeout_s=timeout_s), self._pool)
