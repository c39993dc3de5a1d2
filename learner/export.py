"""A run's weights for export: from its driver, or from its last checkpoint."""

from __future__ import annotations

import asyncio

from learner.checkpoints import latest_checkpoint
from learner.manager import RunManager
from learner.policy import Policy
from learner.preparation import parse_run_config
from trimtab.client.rollout_pool import WeightsSnapshot
from trimtab.errors import Reason, ServiceError
from trimtab.weights.transfer import full_manifest


async def exported_weights(manager: RunManager, run_id: str) -> WeightsSnapshot:
    """The weights between two steps; of a run that has ended, those of its last checkpoint.

    Raises:
        ServiceError: RUN_NOT_FOUND, or NO_CHECKPOINT.
    """
    run = manager.get(run_id)
    session = manager.session_of(run)
    if session is not None:
        return await session.snapshot(lineage=run.lineage, version=run.step)
    checkpoint = latest_checkpoint(run.folder.checkpoints_path)
    if checkpoint is None:
        raise ServiceError(
            Reason.NO_CHECKPOINT, f"run {run_id!r} is {run.state} and has no checkpoint"
        )
    config = parse_run_config(run.folder.config_path.read_text(encoding="utf-8"))

    def load() -> WeightsSnapshot:
        policy = Policy.load(str(checkpoint.path), config.model, allow_hub=False)
        tensors = policy.weights(config.model.dtype)
        manifest = full_manifest(tensors, lineage=run.lineage, version=checkpoint.step)
        return WeightsSnapshot(manifest, tensors)

    return await asyncio.to_thread(load)
