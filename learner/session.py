"""A policy and its trainer in a thread of their own, so that the event loop stays free."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import torch

from learner import objectives
from learner.checkpoints import Checkpoint, save_checkpoint
from learner.policy import Policy
from learner.samples import TrainingSample
from learner.trainer import Trainer
from trimtab.client.rollout_pool import WeightsSnapshot
from trimtab.config.run import RunConfig
from trimtab.weights.transfer import full_manifest

P = ParamSpec("P")
T = TypeVar("T")


class Session:
    """Everything that touches torch; calls run one after the other."""

    def __init__(self, config: RunConfig, *, threads: int | None) -> None:
        """Holds no model yet."""
        self._config = config
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="torch")
        self._threads = threads
        self._policy: Policy | None = None
        self._trainer: Trainer | None = None
        self.serving_dtype: str = config.model.dtype
        """Element type in which weights are exported."""

    @property
    def policy(self) -> Policy:
        """The policy; only after `load`."""
        assert self._policy is not None
        return self._policy

    async def load(self, folder: str, *, allow_hub: bool, checkpoint: Checkpoint | None) -> None:
        """Loads the model, or the checkpoint's.

        Raises:
            ServiceError: the model cannot be loaded, or the checkpoint cannot be read.
        """
        await self._run(self._load, folder, allow_hub, checkpoint)

    def _load(self, folder: str, allow_hub: bool, checkpoint: Checkpoint | None) -> None:
        if self._threads is not None:
            torch.set_num_threads(self._threads)
        torch.manual_seed(self._config.seed)
        source = str(checkpoint.path) if checkpoint is not None else folder
        policy = Policy.load(source, self._config.model, allow_hub=allow_hub)
        trainer = Trainer(
            policy,
            objectives.build(self._config.objective),
            self._config.train,
            temperature=self._config.rollout.sampling.temperature,
            seed=self._config.seed,
        )
        if checkpoint is not None:
            trainer.restore(checkpoint.trainer_state())
        self._policy, self._trainer = policy, trainer

    def set_serving_dtype(self, serving_dtype: str) -> None:
        """Exports in this type, and takes the servers' log-probs where they compute alike."""
        self.serving_dtype = serving_dtype
        assert self._trainer is not None
        dtypes = {serving_dtype, self._config.model.dtype}
        if self._config.train.old_logprobs == "auto":
            self._trainer.trust_rollout = dtypes == {"float32"}

    async def train(self, samples: Sequence[TrainingSample], step: int) -> dict[str, float]:
        """One training step; gives its metrics."""
        assert self._trainer is not None
        return await self._run(self._trainer.step, samples, step)

    async def snapshot(self, *, lineage: str, version: int) -> WeightsSnapshot:
        """A copy of the current weights in the serving dtype."""

        def copy() -> WeightsSnapshot:
            tensors = self.policy.weights(self.serving_dtype)
            return WeightsSnapshot(
                full_manifest(tensors, lineage=lineage, version=version), tensors
            )

        return await self._run(copy)

    async def save(self, root: Path, step: int, state: Mapping[str, Any], *, keep: int) -> Path:
        """Writes a checkpoint.

        Raises:
            OSError: the disk is full, or the folder cannot be written.
        """
        assert self._trainer is not None
        trainer = self._trainer

        def write() -> Path:
            return save_checkpoint(
                root,
                step,
                save_model=self.policy.save,
                trainer_state=trainer.state(),
                state=state,
                keep=keep,
            )

        return await self._run(write)

    async def _run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, functools.partial(call, *args, **kwargs))

    def close(self) -> None:
        """Lets go of the model; a step in progress still ends."""
        self._executor.shutdown(wait=False)
        self._policy = self._trainer = None
