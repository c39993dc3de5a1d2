"""Small runs for the tests of the learner."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.services import Service, service
from trimtab.client import LearnerClient
from trimtab.learner.v1 import learner_pb2

TIMEOUT_S = 120.0


@dataclass(slots=True)
class Trio:
    """The three servers."""

    rollout: Service
    reward: Service
    learner: Service
    runs: Path

    def config(self, **changes: Any) -> str:
        """A run of few small steps, with changed parts, as YAML."""
        values: dict[str, Any] = {
            "data": {"train": {"generator": "arithmetic", "count": 100}},
            "rollout": {
                "targets": [self.rollout.target],
                "samples_per_prompt": 4,
                "sampling": {"max_tokens": 12},
                "patience_s": 30,
            },
            "reward": {"target": self.reward.target},
            "rewards": {"numeric": {"patience_s": 30}},
            "objective": {"preset": "steer_paper"},
            "train": {
                "steps": 2,
                "prompts_per_step": 4,
                "epochs": 2,
                "mini_batches": 2,
                "optimizer": {"lr": 5e-5},
            },
            "evaluation": {"samples_per_prompt": 2, "sampling": {"max_tokens": 12}},
        }
        return yaml.safe_dump(merged(values, changes), sort_keys=False)


def merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `top`, mappings merged."""
    result = dict(base)
    for key, value in top.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = merged(result[key], value) if both else value
    return result


@contextmanager
def trio(runs: Path) -> Iterator[Trio]:
    """All three servers, the runs below a folder."""
    with (
        service("rollout_server", "transformers.threads=1") as rollout,
        service("reward_server", "workers=1") as reward,
        service("learner", f"runs_dir={runs}", "threads=1") as learner,
    ):
        yield Trio(rollout, reward, learner, runs)


@asynccontextmanager
async def client_of(learner: Service) -> AsyncIterator[LearnerClient]:
    """A client for the length of a block."""
    async with LearnerClient(learner.target) as client:
        yield client


async def run_to_end(client: LearnerClient, name: str, config: str) -> list[Any]:
    """Opens the run and gives all its events."""
    await client.create_run(learner_pb2.CreateRunRequest(name=name, config_yaml=config))
    return [event async for event in client.watch_run(name, timeout_s=TIMEOUT_S)]


def kinds(events: list[Any]) -> list[str]:
    """What the events are."""
    return [event.WhichOneof("event") for event in events]
