"""Asks a service who it is."""

from __future__ import annotations

from trimtab.client.channel import Tls
from trimtab.client.learner import LearnerClient
from trimtab.client.reward import RewardClient
from trimtab.client.rollout import RolloutClient
from trimtab.supervisor.services import ServiceName


async def greet(
    service: ServiceName, target: str, *, tls: Tls | None = None, timeout_s: float = 5.0
) -> str:
    """One line about the service at the target.

    Raises:
        RemoteError: it does not answer as that service.
    """
    if service == "rollout":
        async with RolloutClient(target, tls=tls) as rollout:
            served = await rollout.get_info(timeout_s=timeout_s)
        return f"{served.server}, {served.model} on {served.engine} ({served.device})"
    if service == "reward":
        async with RewardClient(target, tls=tls) as reward:
            offered = await reward.get_info(timeout_s=timeout_s)
        return f"{offered.server}, verifiers {', '.join(v.name for v in offered.verifiers)}"
    async with LearnerClient(target, tls=tls) as learner:
        runs = await learner.list_runs(timeout_s=timeout_s)
    return f"{len(runs)} runs"
