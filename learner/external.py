"""An EXTERNAL run: the caller brings trajectories, the learner trains on them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from learner.control import RunControl
from learner.recorder import Recorder
from learner.run import Run, State
from learner.samples import TrainingSample
from learner.session import Session
from learner.wire import finish_name, trajectory_sample
from trimtab.client.rollout_pool import WeightsSnapshot
from trimtab.common.v1 import trajectory_pb2, weights_pb2
from trimtab.config.run import RunConfig
from trimtab.errors import Reason, ServiceError
from trimtab.outcomes import outcome_name
from trimtab.records import SampleRecord


@dataclass(frozen=True, slots=True)
class StepAnswer:
    """What a training step did."""

    step: int
    """Which step."""
    metrics: Mapping[str, float]
    """By name."""
    weights: weights_pb2.WeightsId
    """The weights after it."""
    recorded: bool
    """True if it had been trained before."""


class ExternalDriver:
    """One run whose steps come from outside."""

    def __init__(
        self, run: Run, config: RunConfig, *, session: Session, control: RunControl
    ) -> None:
        """Takes over a session whose model is loaded; the run's lineage and step are set."""
        self._run = run
        self._config = config
        self.session = session
        """Holds the model."""
        self._control = control
        self._recorder = Recorder(run)
        self._turn = asyncio.Lock()
        self._ended = asyncio.Event()

    async def drive(self) -> None:
        """Waits until the run is stopped, then writes a last checkpoint."""
        await self._snapshot(self._run.step)
        await self._run.change(State.RUNNING)
        await self._ended.wait()
        async with self._turn:
            if self._run.durable_step < self._run.step:
                await self._save()
            await self._run.change(State.STOPPED)

    def stop(self) -> None:
        """Ends the run after the step in progress."""
        self._control.stop()
        self._ended.set()

    async def train(
        self, step: int, trajectories: Sequence[trajectory_pb2.Trajectory]
    ) -> StepAnswer:
        """Trains a step, or answers it from the record if it was trained before.

        Raises:
            ServiceError: the step is neither recorded nor next, a trajectory does not hold, or
                too few samples are valid.
        """
        async with self._turn:
            if step <= self._run.step:
                return self._recorded_answer(step)
            if step != self._run.step + 1:
                raise ServiceError(
                    Reason.STEP_OUT_OF_ORDER,
                    f"step {step} is neither recorded nor next: next is {self._run.step + 1}",
                    field="header.step_id",
                    metadata={"next_step_id": str(self._run.step + 1)},
                )
            return await self._train(step, trajectories)

    async def _train(
        self, step: int, trajectories: Sequence[trajectory_pb2.Trajectory]
    ) -> StepAnswer:
        started_s = time.monotonic()
        samples = [trajectory_sample(i, trajectory) for i, trajectory in enumerate(trajectories)]
        self._check(samples)
        usable = self._usable(samples)
        trained_s = time.monotonic()
        metrics = await self.session.train(usable, step - 1)
        train_s = time.monotonic() - trained_s
        snapshot = await self._snapshot(step)
        rewards = [sample.reward for sample in samples if sample.reward is not None]
        elapsed_s = time.monotonic() - started_s
        metrics |= {
            "reward/mean": float(np.mean(rewards)) if rewards else 0.0,
            "samples/total": float(len(samples)),
            "samples/trained": float(len(usable)),
            "samples/invalid_share": sum(not s.valid for s in samples) / len(samples),
            "time/train_s": train_s,
            "time/step_s": elapsed_s,
            "perf/samples_per_s": len(samples) / elapsed_s,
        }
        used = {sample.id for sample in usable}
        records = [
            self._record(step, trajectory, sample, trained=sample.id in used)
            for trajectory, sample in zip(trajectories, samples, strict=True)
        ]
        await self._recorder.step(step, metrics, records, snapshot.manifest.weights)
        if step % self._config.checkpoint.every == 0:
            await self._save()
        return StepAnswer(step, metrics, snapshot.manifest.weights, recorded=False)

    def _check(self, samples: Sequence[TrainingSample]) -> None:
        policy = self.session.policy
        names = Counter(sample.id for sample in samples)
        for index, sample in enumerate(samples):
            where = f"trajectories[{index}]"
            if names[sample.id] > 1:
                raise ServiceError(
                    Reason.DUPLICATE_ID, f"{sample.id!r} appears twice", field=f"{where}.id"
                )
            if len(sample.token_ids) > policy.context_length:
                raise ServiceError(
                    Reason.PROMPT_TOO_LONG,
                    f"{len(sample.token_ids)} tokens, the model takes {policy.context_length}",
                    field=f"{where}.token_ids",
                )
            if max(sample.token_ids) >= policy.vocabulary_size:
                raise ServiceError(
                    Reason.TOKEN_OUT_OF_RANGE,
                    f"token {max(sample.token_ids)} is outside the vocabulary of "
                    f"{policy.vocabulary_size}",
                    field=f"{where}.token_ids",
                )

    def _usable(self, samples: Sequence[TrainingSample]) -> list[TrainingSample]:
        valid = Counter(sample.group_id for sample in samples if sample.valid)
        minimum = self._config.train.min_valid
        usable = [
            sample
            for sample in samples
            if sample.valid and (valid[sample.group_id] >= minimum or sample.given_advantages)
        ]
        if not usable:
            raise ServiceError(
                Reason.NOT_ENOUGH_VALID_SAMPLES,
                f"no group has {minimum} samples with a reward; nothing was trained",
            )
        return usable

    def _recorded_answer(self, step: int) -> StepAnswer:
        metrics = next(
            (e.metrics for e in self._run.events if (e.kind, e.step) == ("step", step)), None
        )
        row = next((row for row in self._run.folder.weights() if row["step"] == step), None)
        if metrics is None or row is None:
            raise ServiceError(
                Reason.STEP_OUT_OF_ORDER,
                f"step {step} has no record: next is {self._run.step + 1}",
                field="header.step_id",
            )
        weights = weights_pb2.WeightsId(lineage=row["lineage"], version=step, digest=row["digest"])
        return StepAnswer(step, metrics, weights, recorded=True)

    def _record(
        self,
        step: int,
        trajectory: trajectory_pb2.Trajectory,
        sample: TrainingSample,
        *,
        trained: bool,
    ) -> SampleRecord:
        first = sample.first_loss_index
        tokens = list(trajectory.token_ids)
        reason = "too_few_valid" if sample.valid else outcome_name(trajectory.outcome)
        return SampleRecord(
            step=step,
            prompt_id=trajectory.group_id,
            sample_index=0,
            state="trained" if trained else "dropped",
            drop_reason="" if trained else reason,
            prompt=self.session.policy.tokenizer.decode(tokens[:first]),
            response=self.session.policy.tokenizer.decode(tokens[first:]),
            prompt_token_ids=tokens[:first],
            token_ids=tokens[first:],
            finish_reason=finish_name(trajectory.finish_reason),
            logprobs=list(trajectory.logprobs)[first:],
            entropies=list(trajectory.entropies)[first:],
            token_weights=sample.token_weights,
            advantage=sample.advantage,
            outcome=outcome_name(trajectory.outcome),
            reward=sample.reward,
            components=dict(trajectory.components),
        )

    async def save_checkpoint(self) -> str:
        """Writes a checkpoint now; gives its folder."""
        async with self._turn:
            return await self._save()

    async def _save(self) -> str:
        assert self._run.weights is not None
        path = await self.session.save(
            self._run.folder.checkpoints_path,
            self._run.step,
            {"digest": self._run.weights.digest},
            keep=self._config.checkpoint.keep,
        )
        self._run.durable_step = self._run.step
        return str(path)

    async def _snapshot(self, version: int) -> WeightsSnapshot:
        snapshot = await self.session.snapshot(lineage=self._run.lineage, version=version)
        self._run.weights = snapshot.manifest.weights
        return snapshot

    async def close(self) -> None:
        """Lets go of the model."""
        self._recorder.close()
        self.session.close()
