"""The engine as the event loop sees it; the work is done in one thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import transformers

from rollout_server.engine import (
    EngineInfo,
    Exchanged,
    GenerateTask,
    InFlight,
    Load,
    TensorSpec,
    WeightsRef,
)
from rollout_server.transformers_engine.batch import Events
from rollout_server.transformers_engine.job import Job
from rollout_server.transformers_engine.loading import LoadedModel
from rollout_server.transformers_engine.worker import Cancelled, Exchange, Stop, Submit, Worker
from trimtab.errors import Overloaded, Reason, ServiceError
from trimtab.server.logs import get_logger
from trimtab.weights.torch_bytes import dtype_name
from trimtab.weights.transfer import TensorBytes

_log = get_logger("rollout.engine")
_RETRY_AFTER_S = 1.0


class TransformersEngine:
    """Generates with a loaded model. Made and used in a running event loop."""

    def __init__(
        self, loaded: LoadedModel, *, max_batch_size: int, max_waiting_samples: int
    ) -> None:
        """Computes the digest of the weights."""
        self._loop = asyncio.get_running_loop()
        self.failed: asyncio.Future[str] = self._loop.create_future()
        self._max_waiting_samples = max_waiting_samples
        self._jobs: set[Job] = set()
        self._exchange: Exchange | None = None
        self.info = EngineInfo(
            engine="transformers",
            engine_version=transformers.__version__,
            model=loaded.name,
            device=str(loaded.device),
            serving_dtype=dtype_name(loaded.dtype),
            vocabulary_size=loaded.vocabulary_size,
            context_length=loaded.context_length,
            end_token_ids=loaded.end_token_ids,
        )
        self.tensors: Mapping[str, TensorSpec] = {
            name: TensorSpec(dtype_name(tensor.dtype), tuple(tensor.shape))
            for name, tensor in loaded.parameters.items()
        }
        self.tied_names = loaded.tied_names
        self._worker = Worker(
            loaded,
            WeightsRef(lineage="", version=0, digest=loaded.digest()),
            max_batch_size=max_batch_size,
            post=self._post,
        )
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="generate")
        self._ended: Future[None] | None = None

    def start(self) -> None:
        """Starts the thread; `close` ends it."""
        self._ended = self._executor.submit(self._worker.run)
        self._ended.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._on_end))

    @property
    def weights(self) -> WeightsRef:
        """The live weights."""
        return self._worker.weights

    @property
    def load(self) -> Load:
        """How busy it is."""
        return Load(
            running_count=self._worker.batch.count,
            waiting_count=sum(job.waiting_count for job in self._jobs),
            updating=self._exchange is not None,
        )

    def generate(self, task: GenerateTask) -> Job:
        """Queues the task.

        Raises:
            ServiceError: OVERLOADED or ENGINE_DEAD.
        """
        self._check_alive()
        waiting_count = self.load.waiting_count
        if waiting_count + task.sample_count > self._max_waiting_samples:
            raise Overloaded(
                f"{waiting_count} samples wait already, {task.sample_count} more would exceed "
                f"max_waiting_samples = {self._max_waiting_samples}: come again later",
                retry_after_s=_RETRY_AFTER_S,
            )
        job = Job(task, self._forget)
        self._jobs.add(job)
        self._worker.inbox.put(Submit(job))
        return job

    def exchange(
        self, tensors: Sequence[TensorBytes], weights: WeightsRef, in_flight: InFlight
    ) -> Future[Exchanged]:
        """Replaces all weights at once, when no sample is running.

        Raises:
            ServiceError: ENGINE_DEAD.
        """
        self._check_alive()
        exchange = Exchange(tensors, weights, in_flight, Future())
        self._exchange = exchange
        exchange.done.add_done_callback(
            lambda _: self._loop.call_soon_threadsafe(self._exchange_ended, exchange)
        )
        self._worker.inbox.put(exchange)
        return exchange.done

    async def close(self) -> None:
        """Ends the thread after its current step."""
        self._worker.inbox.put(Stop())
        await asyncio.to_thread(self._executor.shutdown)

    def _post(self, events: Events) -> None:
        self._loop.call_soon_threadsafe(_deliver, events)

    def _on_end(self) -> None:
        """After the thread: a crash ends everything that waits for it."""
        error = self._ended.exception() if self._ended is not None else None
        if error is None:
            return
        _log.error("the engine died", exc_info=error)
        reason = f"the engine died: {type(error).__name__}: {error}"
        for job in tuple(self._jobs):
            job.deliver(ServiceError(Reason.ENGINE_DEAD, reason))
        if self._exchange is not None and not self._exchange.done.done():
            self._exchange.done.set_exception(ServiceError(Reason.ENGINE_DEAD, reason))
        if not self.failed.done():
            self.failed.set_result(reason)

    def _check_alive(self) -> None:
        if self._ended is None or self._ended.done():
            raise ServiceError(
                Reason.ENGINE_DEAD, "the engine does not run: ask another server, or this one later"
            )

    def _forget(self, job: Job) -> None:
        self._jobs.discard(job)
        if job.finished_count < job.total_count:
            self._worker.inbox.put(Cancelled())

    def _exchange_ended(self, exchange: Exchange) -> None:
        if self._exchange is exchange:
            self._exchange = None


def _deliver(events: Events) -> None:
    for job, event in events:
        job.deliver(event)
