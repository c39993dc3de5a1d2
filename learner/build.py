"""Puts the learner service together."""

from __future__ import annotations

from learner.manager import RunManager
from learner.service import LearnerServicer
from trimtab.config.learner import LearnerServerConfig
from trimtab.learner.v1 import learner_pb2
from trimtab.learner.v1.learner_pb2_grpc import add_LearnerServiceServicer_to_server
from trimtab.server.runtime import ServiceSpec


def build(config: LearnerServerConfig) -> ServiceSpec:
    """The learner service over the config's folder of runs."""
    manager = RunManager(config)
    servicer = LearnerServicer(manager)

    async def start() -> None:
        manager.load()

    async def drain() -> None:
        await manager.shut_down(config.drain_grace_s)

    async def close() -> None:
        await manager.shut_down(0.0)

    return ServiceSpec(
        name="learner",
        full_name=learner_pb2.DESCRIPTOR.services_by_name["LearnerService"].full_name,
        add=lambda server: add_LearnerServiceServicer_to_server(servicer, server),
        start=start,
        drain=drain,
        close=close,
    )
