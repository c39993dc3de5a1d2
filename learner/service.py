"""Maps the LearnerService's messages to runs and back."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from grpc import aio

from learner.export import exported_weights
from learner.manager import RunManager
from learner.run import Event, Run, State
from trimtab.common.v1 import trajectory_pb2, weights_pb2
from trimtab.errors import Reason, ServiceError
from trimtab.learner.v1 import learner_pb2
from trimtab.learner.v1.learner_pb2_grpc import LearnerServiceServicer
from trimtab.weights.transfer import chunks, kind_name

Context = aio.ServicerContext[Any, Any]
_DEFAULT_PAGE, _MAX_PAGE = 100, 1000
_REMEMBERED_CHECKPOINTS = 1024
_STATES = {
    State.STARTING: learner_pb2.RUN_STATE_STARTING,
    State.RUNNING: learner_pb2.RUN_STATE_RUNNING,
    State.FINISHED: learner_pb2.RUN_STATE_FINISHED,
    State.STOPPED: learner_pb2.RUN_STATE_STOPPED,
    State.FAILED: learner_pb2.RUN_STATE_FAILED,
    State.INTERRUPTED: learner_pb2.RUN_STATE_INTERRUPTED,
}


class LearnerServicer(LearnerServiceServicer):
    """The wire side of a `RunManager`."""

    def __init__(self, manager: RunManager) -> None:
        """Serves the manager's runs."""
        self._manager = manager
        self._saved: dict[tuple[str, str], learner_pb2.SaveCheckpointResponse] = {}

    async def CreateRun(
        self, request: learner_pb2.CreateRunRequest, context: Context
    ) -> learner_pb2.CreateRunResponse:
        """Opens or resumes a run."""
        if not request.config_yaml and not request.resume:
            raise ServiceError(Reason.INVALID_FIELD, "the config is required", field="config_yaml")
        run = await self._manager.create(
            name=request.name,
            config_yaml=request.config_yaml,
            external=request.driver == learner_pb2.DRIVER_EXTERNAL,
            resume=request.resume,
            request_id=request.request_id,
        )
        return learner_pb2.CreateRunResponse(run_id=run.name, run=_run_proto(run))

    async def GetRun(
        self, request: learner_pb2.GetRunRequest, context: Context
    ) -> learner_pb2.GetRunResponse:
        """How a run stands."""
        return learner_pb2.GetRunResponse(run=_run_proto(self._manager.get(request.run_id)))

    async def ListRuns(
        self, request: learner_pb2.ListRunsRequest, context: Context
    ) -> learner_pb2.ListRunsResponse:
        """A page of runs, newest first."""
        runs = self._manager.newest_first()
        start = 0
        if request.page_token:
            names = [run.name for run in runs]
            if request.page_token not in names:
                raise ServiceError(
                    Reason.INVALID_FIELD,
                    f"{request.page_token!r} is no token of a page: begin again without one",
                    field="page_token",
                )
            start = names.index(request.page_token)
        end = start + min(request.page_size or _DEFAULT_PAGE, _MAX_PAGE)
        return learner_pb2.ListRunsResponse(
            runs=[_run_proto(run) for run in runs[start:end]],
            next_page_token=runs[end].name if end < len(runs) else "",
        )

    async def StopRun(
        self, request: learner_pb2.StopRunRequest, context: Context
    ) -> learner_pb2.StopRunResponse:
        """Ends a run after the step in progress."""
        return learner_pb2.StopRunResponse(run=_run_proto(await self._manager.stop(request.run_id)))

    async def WatchRun(
        self, request: learner_pb2.WatchRunRequest, context: Context
    ) -> AsyncIterator[learner_pb2.WatchRunResponse]:
        """Past and coming events, then how the run ended."""
        run = self._manager.get(request.run_id)
        async for event in run.watch(request.from_step):
            yield _event_proto(event, run)
        if not run.events or run.events[-1].kind != "state":
            yield learner_pb2.WatchRunResponse(run=_run_proto(run))

    async def TrainStep(
        self, request_iterator: AsyncIterator[learner_pb2.TrainStepRequest], context: Context
    ) -> learner_pb2.TrainStepResponse:
        """Trains one step of an EXTERNAL run."""
        header, trajectories = await _received_step(request_iterator)
        driver = self._manager.external_driver(header.run_id)
        answer = await driver.train(header.step_id, trajectories)
        run = self._manager.get(header.run_id)
        return learner_pb2.TrainStepResponse(
            step_id=answer.step,
            metrics=answer.metrics,
            weights=answer.weights,
            next_step_id=run.step + 1,
            durable_step=run.durable_step,
            recorded=answer.recorded,
        )

    async def AnalyzeTokens(
        self, request: learner_pb2.AnalyzeTokensRequest, context: Context
    ) -> learner_pb2.AnalyzeTokensResponse:
        """Not offered by this server."""
        raise ServiceError(Reason.NOT_IMPLEMENTED, "this server does not offer AnalyzeTokens")

    async def ExportWeights(
        self, request: learner_pb2.ExportWeightsRequest, context: Context
    ) -> AsyncIterator[learner_pb2.ExportWeightsResponse]:
        """The current weights: manifest, then chunks."""
        kind = request.kind or weights_pb2.WEIGHTS_KIND_FULL
        if kind != weights_pb2.WEIGHTS_KIND_FULL:
            raise ServiceError(
                Reason.NOT_IMPLEMENTED,
                f"this server does not export {kind_name(kind)}: ask for FULL",
                field="kind",
            )
        snapshot = await exported_weights(self._manager, request.run_id)
        yield learner_pb2.ExportWeightsResponse(manifest=snapshot.manifest)
        for chunk in chunks(snapshot.tensors):
            yield learner_pb2.ExportWeightsResponse(chunk=chunk)

    async def SaveCheckpoint(
        self, request: learner_pb2.SaveCheckpointRequest, context: Context
    ) -> learner_pb2.SaveCheckpointResponse:
        """Writes a checkpoint between two steps."""
        key = (request.run_id, request.request_id)
        if key in self._saved:
            return self._saved[key]
        run, path = await self._manager.save_checkpoint(request.run_id)
        response = learner_pb2.SaveCheckpointResponse(
            step=run.durable_step, path=path, weights=run.weights
        )
        if request.request_id:
            self._saved[key] = response
            while len(self._saved) > _REMEMBERED_CHECKPOINTS:
                del self._saved[next(iter(self._saved))]
        return response


async def _received_step(
    requests: AsyncIterator[learner_pb2.TrainStepRequest],
) -> tuple[learner_pb2.TrainStepHeader, list[trajectory_pb2.Trajectory]]:
    """The header and all trajectories that it announced.

    Raises:
        ServiceError: STREAM_INCOMPLETE or STREAM_OUT_OF_ORDER; nothing is trained.
    """
    header: learner_pb2.TrainStepHeader | None = None
    trajectories: list[trajectory_pb2.Trajectory] = []
    async for request in requests:
        if request.HasField("header") == (header is not None):
            problem = "a second header came" if header else "the first message must be the header"
            raise ServiceError(Reason.STREAM_OUT_OF_ORDER, problem)
        if header is None:
            header = request.header
        else:
            trajectories.append(request.trajectory)
    if header is None:
        raise ServiceError(Reason.STREAM_INCOMPLETE, "the stream ended before its header")
    if len(trajectories) != header.trajectory_count or not trajectories:
        raise ServiceError(
            Reason.STREAM_INCOMPLETE,
            f"{len(trajectories)} trajectories came, {header.trajectory_count} were announced; "
            "nothing was trained",
            field="header.trajectory_count",
        )
    return header, trajectories


def _run_proto(run: Run) -> learner_pb2.Run:
    created = Timestamp()
    created.FromNanoseconds(int(run.created_s * 1e9))
    return learner_pb2.Run(
        run_id=run.name,
        name=run.name,
        driver=learner_pb2.DRIVER_EXTERNAL if run.external else learner_pb2.DRIVER_MANAGED,
        state=_STATES[run.state],
        step=run.step,
        step_count=run.step_count,
        durable_step=run.durable_step,
        weights=run.weights if run.active else None,
        error=run.error,
        create_time=created,
        folder=str(run.folder.path),
    )


def _event_proto(event: Event, run: Run) -> learner_pb2.WatchRunResponse:
    if event.kind == "step":
        step = learner_pb2.StepEvent(step=event.step, metrics=event.metrics)
        if event.time:
            step.time.FromDatetime(dt.datetime.fromisoformat(event.time))
        return learner_pb2.WatchRunResponse(step=step)
    if event.kind == "evaluation":
        return learner_pb2.WatchRunResponse(
            evaluation=learner_pb2.EvaluationEvent(
                step=event.step, dataset=event.dataset, metrics=event.metrics
            )
        )
    if event.kind == "rollback":
        return learner_pb2.WatchRunResponse(
            rollback=learner_pb2.RollbackEvent(
                step=event.step, rolled_back_step=event.rolled_back_step, lineage=run.lineage
            )
        )
    return learner_pb2.WatchRunResponse(run=_run_proto(run))
