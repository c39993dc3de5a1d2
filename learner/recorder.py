"""Writes what a step did into the run's folder."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from torch.utils.tensorboard import SummaryWriter

from learner.run import Event, Run
from trimtab.common.v1 import weights_pb2
from trimtab.records import SampleRecord


class Recorder:
    """Records of one run; files first, then watchers."""

    def __init__(self, run: Run) -> None:
        """Opens the run's TensorBoard log."""
        self._run = run
        self._board = SummaryWriter(str(run.folder.tensorboard_path))

    async def step(
        self,
        step: int,
        metrics: Mapping[str, float],
        records: Sequence[SampleRecord],
        weights: weights_pb2.WeightsId,
    ) -> None:
        """Records a training step: samples and weights first, so that a row stands for all."""
        folder = self._run.folder
        await asyncio.to_thread(folder.write_samples, step, records)
        folder.append_weights(step, weights.lineage, weights.digest)
        time = folder.append_metrics(step, metrics)
        for name, value in metrics.items():
            self._board.add_scalar(name, value, step)
        self._run.step, self._run.weights = step, weights
        await self._run.add(Event("step", step, time, metrics))

    async def evaluation(
        self, step: int, dataset: str, metrics: Mapping[str, float], records: Sequence[SampleRecord]
    ) -> None:
        """Records an evaluation of a data set."""
        folder = self._run.folder
        await asyncio.to_thread(folder.write_eval_samples, step, dataset, records)
        time = folder.append_evaluation(step, dataset, metrics)
        for name, value in metrics.items():
            self._board.add_scalar(f"eval/{dataset}/{name}", value, step)
        await self._run.add(Event("evaluation", step, time, metrics, dataset=dataset))

    def close(self) -> None:
        """Flushes the TensorBoard log."""
        self._board.close()
