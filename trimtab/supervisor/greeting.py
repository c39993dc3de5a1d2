"""Asks a service who it is."""

from __future__ import annotations

from trimtab.client.channel import Tls
from trimtab.client.learner import LearnerClient
from trimtab.client.reward import RewardClient
from trimtab.client.rollout import RolloutClient
from trimtab.reward.v1 import reward_pb2
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
        names = ", ".join(verifier.name for verifier in offered.verifiers)
        return f"{offered.server}, verifiers {names}{_sandbox(offered)}"
    async with LearnerClient(target, tls=tls) as learner:
        runs = await learner.list_runs(timeout_s=timeout_s)
    return f"{len(runs)} runs"


def _sandbox(offered: reward_pb2.GetInfoResponse) -> str:
    """How well the server locks model text in, if it says so."""
    if not offered.sandbox_level:
        return ""
    level = reward_pb2.SandboxLevel.Name(offered.sandbox_level)
    return f", sandbox {level.removeprefix('SANDBOX_LEVEL_').lower()}"
