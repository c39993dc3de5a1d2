"""What the thread that generates does: takes messages, fills the batch, steps, swaps weights."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import torch

from rollout_server.engine import Exchanged, InFlight, ProgressCount, WeightsRef
from rollout_server.transformers_engine.batch import Batch, Events
from rollout_server.transformers_engine.job import Job, PromptGroup
from rollout_server.transformers_engine.loading import LoadedModel
from rollout_server.transformers_engine.memory import MemoryPlan, cache_budget_bytes
from rollout_server.transformers_engine.model import ModelRunner
from rollout_server.transformers_engine.scheduler import Scheduler
from trimtab.weights.torch_bytes import from_bytes
from trimtab.weights.transfer import TensorBytes

_MOST_PREFILL_TOKENS = 8192
"""Of one forward pass over prompts, padding included."""
_PROGRESS_STEPS = 16
"""Steps between two Progress events while nothing finishes."""
_PROBE_LENGTH = 8

Taken = list[tuple[PromptGroup, int]]


@dataclass(frozen=True, slots=True)
class Submit:
    """Asks to generate a job."""

    job: Job


class Cancelled:
    """Says that a job was cancelled."""


class Stop:
    """Asks the thread to end."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Asks to replace the weights."""

    tensors: Sequence[TensorBytes]
    weights: WeightsRef
    in_flight: InFlight
    done: Future[Exchanged]
    asked_s: float = field(default_factory=time.monotonic)


Message = Submit | Cancelled | Stop | Exchange


class Worker:
    """Everything that touches torch after the start. `run` fills one thread."""

    def __init__(
        self,
        loaded: LoadedModel,
        weights: WeightsRef,
        *,
        max_batch_size: int,
        post: Callable[[Events], None],
    ) -> None:
        """`post` hands events to the event loop; it is called once a step at most."""
        self.inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self.weights = weights
        self.scheduler = Scheduler()
        self._loaded = loaded
        self._max_batch_size = max_batch_size
        self._post = post
        self._runner = ModelRunner(loaded.model, device=loaded.device)
        self.batch = Batch(
            self._runner,
            decode=loaded.decode,
            end_token_ids=loaded.end_token_ids,
            capacity=max_batch_size,
            device=loaded.device,
        )
        self._progress_jobs: set[Job] = set()
        self._steps = 0
        self.pending: Exchange | None = None
        self._stopping = False
        self._any_cancelled = False
        self._budget_bytes = cache_budget_bytes(loaded.device)
        self._token_bytes = 1

    def run(self) -> None:
        """Works until a `Stop` comes."""
        torch.set_num_threads(self._loaded.threads)
        with torch.inference_mode():
            self._token_bytes = self._measured_token_bytes()
            while not self._stopping:
                self._receive()
                events = self._turn()
                events += self._progress(events)
                if events:
                    self._post(events)

    def _turn(self) -> Events:
        """One round: changes to the batch, then one token for every row."""
        if self._any_cancelled:
            self._any_cancelled = False
            self.scheduler.drop_cancelled()
            self.batch.drop_cancelled()
            self._progress_jobs = {job for job in self._progress_jobs if not job.cancelled}
        events: Events = []
        if self.pending is not None:
            events += self._exchange_when_due(self.pending)
        if self.pending is None:
            events += self._admit()
        if self.batch.count:
            self._steps += 1
            events += self.batch.step()
        return events

    def _receive(self) -> None:
        """Takes all messages; waits for one if there is nothing else to do."""
        idle = not (self.batch.count or self.scheduler or self.pending)
        for message in _messages(self.inbox, wait=idle):
            match message:
                case Submit(job):
                    self.scheduler.add(job)
                    if job.task.want.progress:
                        self._progress_jobs.add(job)
                case Cancelled():
                    self._any_cancelled = True
                case Exchange():
                    self.pending = message
                case Stop():
                    self._stopping = True

    def _admit(self) -> Events:
        """Fills free rows with waiting samples."""
        free = self._max_batch_size - self.batch.count
        # A forward pass over prompts for one free row at a time would slow all the others down.
        worthwhile = min(self.scheduler.waiting_count, max(1, self._max_batch_size // 8))
        if not self.scheduler or (self.batch.count and free < worthwhile):
            return []
        plan = MemoryPlan(
            self.batch.table, budget_bytes=self._budget_bytes, token_bytes=self._token_bytes
        )
        events: Events = []
        for part in _parts(self.scheduler.take(free, plan.fits)):
            events += self._begin(part)
        return events

    def _begin(self, part: Taken) -> Events:
        kept = part[0][0].prefilled
        prefilled = kept or self._runner.prefill(
            [group.prompt.token_ids for group, _ in part],
            hidden=any(group.job.task.want.prompt_hidden_state for group, _ in part),
        )
        for index, (group, begins) in enumerate(part):
            left = group.waiting_count - begins
            group.prefilled = (group.prefilled or prefilled.only(index)) if left else None
        return self.batch.begin(part, prefilled, self.weights)

    def _exchange_when_due(self, exchange: Exchange) -> Events:
        """Swaps the weights if nothing runs, or makes that nothing runs."""
        if exchange.done.cancelled():
            self.pending = None
            return []
        events: Events = []
        if exchange.in_flight is InFlight.ABORT:
            events = self.batch.abort()
        if self.batch.count:
            return events
        if exchange.done.set_running_or_notify_cancel():
            began_s = time.monotonic()
            self._swap(exchange.tensors)
            self.weights = exchange.weights
            probe = self._loaded.probe_token_ids(_PROBE_LENGTH)
            exchange.done.set_result(
                Exchanged(
                    live_digest=self._loaded.digest(),
                    probe_token_ids=probe,
                    probe_logprob=float(self._runner.logprobs(probe).double().sum()),
                    waiting_s=began_s - exchange.asked_s,
                    applying_s=time.monotonic() - began_s,
                )
            )
        self.pending = None
        return events

    def _swap(self, tensors: Sequence[TensorBytes]) -> None:
        live = self._loaded.parameters
        for tensor in tensors:
            live[tensor.name].copy_(from_bytes(tensor))
        self.scheduler.forget_prefilled()
        self.batch.forget()

    def _progress(self, events: Events) -> Events:
        """A Progress event for each job that wants them and has some."""
        if not self._progress_jobs:
            return []
        regular = self.batch.count and self._steps % _PROGRESS_STEPS == 0
        due = self._progress_jobs if regular else {job for job, _ in events} & self._progress_jobs
        counts: Events = []
        for job in due:
            finished = job.finished_count == job.total_count
            if finished:
                self._progress_jobs = self._progress_jobs - {job}
                continue
            generated = job.generated_token_count + self.batch.generated_by_job(job)
            counts.append(
                (
                    job,
                    ProgressCount(
                        finished_count=job.finished_count,
                        total_count=job.total_count,
                        generated_token_count=generated,
                    ),
                )
            )
        return counts

    def _measured_token_bytes(self) -> int:
        layers = self._runner.prefill([(0,)], hidden=False).layers
        return sum(state.nbytes for keys_values in layers for state in keys_values)


def _messages(inbox: queue.SimpleQueue[Message], *, wait: bool) -> Iterator[Message]:
    if wait:
        yield inbox.get()
    while not inbox.empty():
        yield inbox.get()


def _parts(taken: Taken) -> Iterator[Taken]:
    """Cuts what begins into forward passes of similarly long prompts."""
    part: Taken = []
    for group, begins in sorted(taken, key=lambda entry: len(entry[0].prompt.token_ids)):
        length = len(group.prompt.token_ids)
        if group.prefilled is not None:
            yield [(group, begins)]
            continue
        if part:
            shortest = len(part[0][0].prompt.token_ids)
            too_long = length > 2 * shortest + 16
            if too_long or (len(part) + 1) * length > _MOST_PREFILL_TOKENS:
                yield part
                part = []
        part.append((group, begins))
    if part:
        yield part
