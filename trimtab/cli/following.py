"""Opens a run on a learner and follows it to its end, through broken streams."""

from __future__ import annotations

import asyncio
import time
import uuid
from typing import NoReturn

from trimtab.cli.progress import RunView
from trimtab.cli.running import Signals
from trimtab.cli.train_arguments import Job
from trimtab.client.learner import LearnerClient
from trimtab.config.base import dump_yaml
from trimtab.errors import RemoteError, TrimtabError
from trimtab.learner.v1 import learner_pb2
from trimtab.supervisor import LocalServices

_CREATE_TIMEOUT_S = 600.0
_STOP_TIMEOUT_S = 3600.0
_WATCH_TIMEOUT_S = 24 * 3600.0
_PATIENCE_S = 30.0
_POLL_S = 0.5
_BROKEN = frozenset({"UNAVAILABLE", "CANCELLED", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED"})
_ENDED = frozenset(
    {
        learner_pb2.RUN_STATE_FINISHED,
        learner_pb2.RUN_STATE_STOPPED,
        learner_pb2.RUN_STATE_FAILED,
        learner_pb2.RUN_STATE_INTERRUPTED,
    }
)


class LearnerLost(TrimtabError):
    """The learner is gone, and with it the run."""


async def open_run(client: LearnerClient, job: Job) -> learner_pb2.Run:
    """Opens or resumes the run.

    Raises:
        RemoteError: the learner refuses it, or cannot be reached.
    """
    request = learner_pb2.CreateRunRequest(
        request_id=uuid.uuid4().hex,
        name=job.name,
        config_yaml=dump_yaml(job.config),
        driver=learner_pb2.DRIVER_MANAGED,
        resume=job.resume,
    )
    return await client.create_run(request, timeout_s=_CREATE_TIMEOUT_S)


async def follow_run(
    client: LearnerClient,
    run: learner_pb2.Run,
    view: RunView,
    *,
    services: LocalServices,
    signals: Signals,
) -> learner_pb2.Run:
    """Shows the run until it ends; gives how it ended. The first signal stops it in order.

    Raises:
        LearnerLost: the learner does not answer any more.
        ServiceFailed: a service that was started here is given up.
    """
    stops: list[asyncio.Task[None]] = []

    def stop() -> None:
        view.say("stopping after the step in progress; Ctrl-C again ends everything at once")
        stops.append(asyncio.create_task(_stop(client, run, view)))

    watching = asyncio.create_task(_watch(client, run, view))
    failing = asyncio.create_task(services.wait_failed())
    signals.on_first = stop
    try:
        done, _ = await asyncio.wait({watching, failing}, return_when=asyncio.FIRST_COMPLETED)
        return watching.result() if watching in done else _failure(failing)
    finally:
        signals.on_first = None
        for task in (watching, failing, *stops):
            task.cancel()
        await asyncio.gather(watching, failing, *stops, return_exceptions=True)


async def _stop(client: LearnerClient, run: learner_pb2.Run, view: RunView) -> None:
    try:
        await client.stop_run(run.run_id, timeout_s=_STOP_TIMEOUT_S)
    except RemoteError as error:
        view.say(f"the run cannot be stopped: {error}")


def _failure(failing: asyncio.Task[NoReturn]) -> NoReturn:
    failing.result()


async def _watch(client: LearnerClient, run: learner_pb2.Run, view: RunView) -> learner_pb2.Run:
    """Watches again, from the last step that was seen, whenever the stream breaks."""
    earlier, seen = run.step, 0
    from_step: int | None = None
    while True:
        try:
            events = client.watch_run(run.run_id, from_step=from_step, timeout_s=_WATCH_TIMEOUT_S)
            async for event in events:
                match event.WhichOneof("event"):
                    case "step" if event.step.step > seen:
                        seen = event.step.step
                        view.step(event.step, show=seen > earlier)
                    case "evaluation":
                        key = (event.evaluation.dataset, event.evaluation.step)
                        new = key not in view.evaluations
                        late = event.evaluation.step > earlier or not earlier
                        view.evaluation(event.evaluation, show=new and late)
                    case "rollback":
                        seen = min(seen, event.rollback.step)
                        view.say(_rollback_line(event.rollback))
                    case "run" if event.run.state in _ENDED:
                        return event.run
                    case _:
                        pass
        except RemoteError as error:
            if error.code not in _BROKEN:
                raise
        standing = await _standing(client, run.run_id)
        if standing.state in _ENDED:
            return standing
        from_step = seen


def _rollback_line(event: learner_pb2.RollbackEvent) -> str:
    return f"steps {event.step + 1} to {event.rolled_back_step} are taken back and done again"


async def _standing(client: LearnerClient, run_id: str) -> learner_pb2.Run:
    """How the run stands; waits a while for a learner that does not answer."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return await client.get_run(run_id)
        except RemoteError as error:
            if time.monotonic() > give_up_s:
                raise LearnerLost(f"the learner does not answer any more: {error}") from error
        await asyncio.sleep(_POLL_S)
