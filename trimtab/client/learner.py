"""Client of a LearnerService."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TypeVar

from trimtab.client.base import ServiceClient
from trimtab.client.channel import Tls
from trimtab.common.v1 import trajectory_pb2
from trimtab.learner.v1 import learner_pb2
from trimtab.learner.v1.learner_pb2_grpc import LearnerServiceStub

R = TypeVar("R")


class LearnerClient(ServiceClient):
    """Calls one learner server."""

    def __init__(self, target: str, *, tls: Tls | None = None) -> None:
        """`target` names exactly one server: its runs are its own."""
        super().__init__(target, tls=tls)
        self._stub = LearnerServiceStub(self._channel)

    async def create_run(
        self, request: learner_pb2.CreateRunRequest, *, timeout_s: float = 300.0
    ) -> learner_pb2.Run:
        """Opens a run, or resumes one.

        Raises:
            RemoteError: the call failed.
        """
        return (await self._result(self._stub.CreateRun(request, timeout=timeout_s))).run

    async def get_run(self, run_id: str, *, timeout_s: float = 10.0) -> learner_pb2.Run:
        """How a run stands.

        Raises:
            RemoteError: the call failed.
        """
        request = learner_pb2.GetRunRequest(run_id=run_id)
        return (await self._result(self._stub.GetRun(request, timeout=timeout_s))).run

    async def list_runs(self, *, timeout_s: float = 10.0) -> list[learner_pb2.Run]:
        """All runs of the server, newest first.

        Raises:
            RemoteError: the call failed.
        """
        runs: list[learner_pb2.Run] = []
        request = learner_pb2.ListRunsRequest()
        while True:
            page = await self._result(self._stub.ListRuns(request, timeout=timeout_s))
            runs.extend(page.runs)
            if not page.next_page_token:
                return runs
            request.page_token = page.next_page_token

    async def stop_run(self, run_id: str, *, timeout_s: float = 300.0) -> learner_pb2.Run:
        """Ends a run after the step in progress.

        Raises:
            RemoteError: the call failed.
        """
        request = learner_pb2.StopRunRequest(run_id=run_id)
        return (await self._result(self._stub.StopRun(request, timeout=timeout_s))).run

    async def watch_run(
        self, run_id: str, *, from_step: int | None = None, timeout_s: float
    ) -> AsyncIterator[learner_pb2.WatchRunResponse]:
        """Recorded and coming events until the run ends.

        Raises:
            RemoteError: the call failed, or broke off.
        """
        request = learner_pb2.WatchRunRequest(run_id=run_id, from_step=from_step)
        call = self._stub.WatchRun(request, timeout=timeout_s)
        async for event in self._events(call):
            yield event

    async def train_step(
        self,
        run_id: str,
        step_id: int,
        trajectories: Sequence[trajectory_pb2.Trajectory],
        *,
        timeout_s: float,
    ) -> learner_pb2.TrainStepResponse:
        """Trains one step of an EXTERNAL run. Safe to repeat with the same `step_id`.

        Raises:
            RemoteError: the call failed.
        """

        async def requests() -> AsyncIterator[learner_pb2.TrainStepRequest]:
            header = learner_pb2.TrainStepHeader(
                run_id=run_id, step_id=step_id, trajectory_count=len(trajectories)
            )
            yield learner_pb2.TrainStepRequest(header=header)
            for trajectory in trajectories:
                yield learner_pb2.TrainStepRequest(trajectory=trajectory)

        return await self._result(self._stub.TrainStep(requests(), timeout=timeout_s))

    async def export_weights(
        self, run_id: str, *, timeout_s: float = 300.0
    ) -> AsyncIterator[learner_pb2.ExportWeightsResponse]:
        """The current weights: a manifest, then chunks.

        Raises:
            RemoteError: the call failed, or broke off.
        """
        call = self._stub.ExportWeights(
            learner_pb2.ExportWeightsRequest(run_id=run_id), timeout=timeout_s
        )
        async for message in self._events(call):
            yield message

    async def save_checkpoint(
        self, run_id: str, *, request_id: str = "", timeout_s: float = 300.0
    ) -> learner_pb2.SaveCheckpointResponse:
        """Writes a checkpoint now; repeats of one `request_id` are answered from the first.

        Raises:
            RemoteError: the call failed.
        """
        request = learner_pb2.SaveCheckpointRequest(request_id=request_id, run_id=run_id)
        return await self._result(self._stub.SaveCheckpoint(request, timeout=timeout_s))
