"""Drives a MANAGED run: draw, generate, score, train, push, record."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from learner.collecting import Batch, Collection, ScoredSample, collect
from learner.control import RunControl
from learner.cursor import DataCursor
from learner.evaluation import evaluate
from learner.grouping import keep_usable_groups
from learner.recorder import Recorder
from learner.run import Run, State
from learner.session import Session
from learner.step_metrics import sample_metrics
from learner.wire import derived_seed, sampling_proto
from trimtab.client.rollout_pool import RolloutPool
from trimtab.config.run import RunConfig
from trimtab.data.problems import Problem
from trimtab.errors import Reason, RemoteError, ServiceError
from trimtab.records import SampleRecord
from trimtab.router import RewardRouter


@dataclass(slots=True, kw_only=True)
class Drawn:
    """A step's samples."""

    usable: list[ScoredSample]
    """Samples of groups with enough valid ones, without the invalid ones."""
    records: list[SampleRecord]
    """Rows of all samples."""
    counts: Counter[str]
    """Prompts and samples by what became of them."""
    timings: dict[str, float]
    """Seconds by phase."""


class ManagedDriver:
    """One run from its first step to its end."""

    def __init__(
        self,
        run: Run,
        config: RunConfig,
        *,
        session: Session,
        pool: RolloutPool,
        router: RewardRouter,
        cursor: DataCursor,
        eval_sets: Mapping[str, Sequence[Problem]],
        control: RunControl,
    ) -> None:
        """Takes over parts that are ready; the run's lineage and step are set."""
        self._run = run
        self._config = config
        self.session = session
        """Holds the model."""
        self._pool = pool
        self._router = router
        self._cursor = cursor
        self._eval_sets = eval_sets
        self._control = control
        self._recorder = Recorder(run)

    async def drive(self) -> None:
        """Trains until the last step or until asked to stop.

        Raises:
            ServiceError: servers stayed away, or no step could be filled with valid samples.
            RemoteError: a server refused a call.
        """
        await self._publish(self._run.step)
        await self._run.change(State.RUNNING)
        evaluation = self._config.evaluation
        if self._run.step == 0 and evaluation.at_start:
            await self._evaluate()
        while self._run.step < self._config.train.steps and not self._control.stopping:
            await self._step(self._run.step + 1)
            step = self._run.step
            last = step == self._config.train.steps
            if last or step % self._config.checkpoint.every == 0:
                await self._save()
            if evaluation.every and step % evaluation.every == 0 and not last:
                await self._evaluate()
            await self._control.answer_checkpoint_requests(self._save)
        stopped = self._run.step < self._config.train.steps
        if self._run.durable_step < self._run.step:
            await self._save()
        if not stopped and evaluation.at_end:
            await self._evaluate()
        await self._run.change(State.STOPPED if stopped else State.FINISHED)

    async def _step(self, step: int) -> None:
        started_s = time.monotonic()
        position = self._cursor.position
        try:
            drawn = await self._draw(step)
        except (ServiceError, RemoteError):
            # Nothing was trained: what was drawn for this step is drawn again after a resume.
            self._cursor.position = position
            if self._run.durable_step < self._run.step:
                await self._save()
            raise
        trained_s = time.monotonic()
        metrics = await self.session.train([s.training for s in drawn.usable], step - 1)
        drawn.timings["time/train_s"] = time.monotonic() - trained_s
        for sample in drawn.usable:
            sample.record.advantage = sample.training.advantage
            sample.record.token_weights = sample.training.token_weights
        published_s = time.monotonic()
        await self._publish(step)
        drawn.timings["time/publish_s"] = time.monotonic() - published_s
        elapsed_s = time.monotonic() - started_s
        metrics |= sample_metrics(drawn.records, drawn.usable, drawn.counts)
        metrics |= drawn.timings | {
            "time/step_s": elapsed_s,
            "perf/samples_per_s": len(drawn.records) / elapsed_s,
        }
        assert self._run.weights is not None
        await self._recorder.step(step, metrics, drawn.records, self._run.weights)

    async def _draw(self, step: int) -> Drawn:
        """Samples until there is a group to train on.

        Raises:
            ServiceError: NOT_ENOUGH_VALID_SAMPLES after `max_invalid_steps` rounds without one.
        """
        drawn = Drawn(usable=[], records=[], counts=Counter(), timings={})
        train = self._config.train
        rollout = self._config.rollout
        for _ in range(train.max_invalid_steps):
            batch = Batch(
                step=step,
                problems=self._cursor.take(train.prompts_per_step),
                samples_per_prompt=rollout.samples_per_prompt,
                sampling=sampling_proto(
                    rollout.sampling, seed=derived_seed(self._config.seed, "step", step)
                ),
            )
            collection = await collect(
                batch, self._pool, self._router, prompt_text=self._prompt_text
            )
            self._account(drawn, batch, collection)
            if drawn.usable:
                return drawn
        outcomes = Counter(record.outcome or record.drop_reason for record in drawn.records)
        told = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
        detail = next((r.detail for r in drawn.records if r.detail), "")
        raise ServiceError(
            Reason.NOT_ENOUGH_VALID_SAMPLES,
            f"no group had {train.min_valid} valid samples in {train.max_invalid_steps} rounds: "
            f"{told}. {detail}",
        )

    def _account(self, drawn: Drawn, batch: Batch, collection: Collection) -> None:
        drawn.usable = keep_usable_groups(collection.samples, self._config.train.min_valid)
        drawn.records += [sample.record for sample in collection.samples]
        drawn.records += [
            SampleRecord(
                step=batch.step,
                prompt_id=error.prompt_id,
                sample_index=error.sample_index if error.HasField("sample_index") else 0,
                state="dropped",
                drop_reason=error.reason.lower(),
                detail=error.detail,
            )
            for error in collection.prompt_errors
        ]
        trained = {sample.record.prompt_id for sample in drawn.usable}
        drawn.counts["prompts/drawn"] += len(batch.problems)
        drawn.counts["prompts/trained"] += len(trained)
        drawn.counts["prompts/refused"] += len({e.prompt_id for e in collection.prompt_errors})
        drawn.counts["prompts/too_few_valid"] += len(
            {sample.record.prompt_id for sample in collection.samples} - trained
        )
        for name, value in (
            ("time/generate_s", collection.generate_s),
            ("time/collect_s", collection.total_s),
        ):
            drawn.timings[name] = drawn.timings.get(name, 0.0) + value

    async def _publish(self, version: int) -> None:
        snapshot = await self.session.snapshot(lineage=self._run.lineage, version=version)
        await self._pool.publish(snapshot)
        self._run.weights = snapshot.manifest.weights

    async def _save(self) -> str:
        """Writes a checkpoint of the current step; gives its folder."""
        assert self._run.weights is not None
        path = await self.session.save(
            self._run.folder.checkpoints_path,
            self._run.step,
            {"position": self._cursor.position, "digest": self._run.weights.digest},
            keep=self._config.checkpoint.keep,
        )
        self._run.durable_step = self._run.step
        return str(path)

    async def _evaluate(self) -> None:
        for name, problems in self._eval_sets.items():
            metrics, records = await evaluate(
                problems,
                step=self._run.step,
                seed=self._config.seed,
                config=self._config.evaluation,
                pool=self._pool,
                router=self._router,
                prompt_text=self._prompt_text,
            )
            await self._recorder.evaluation(self._run.step, name, metrics, records)

    def _prompt_text(self, token_ids: Sequence[int]) -> str:
        text: str = self.session.policy.tokenizer.decode(list(token_ids))
        return text

    async def close(self) -> None:
        """Lets go of servers and model."""
        self._recorder.close()
        await asyncio.gather(self._pool.close(), self._router.close())
        self.session.close()
