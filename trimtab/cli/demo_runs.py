"""The runs of `trimtab demo`: their configs, their servers, and their way to the last step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trimtab.cli.console import output
from trimtab.cli.following import follow_run, open_run
from trimtab.cli.progress import RunView
from trimtab.cli.running import Signals
from trimtab.cli.train_arguments import Job
from trimtab.client.learner import LearnerClient
from trimtab.config.base import override, read_yaml, validate
from trimtab.config.run import RunConfig
from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError, TrimtabError
from trimtab.learner.v1 import learner_pb2
from trimtab.supervisor import Launch, LocalServices, ServiceName, serve_config

_SECOND = "steer_paper"


class RunFailed(TrimtabError):
    """A run of the demo did not finish."""


def demo_configs(path: Path, steps: int | None) -> dict[str, RunConfig]:
    """The config as it is written, then with STEER, by the names of their runs.

    Raises:
        ConfigError: the config does not hold, or evaluates nothing that could be compared.
    """
    values = read_yaml(path)
    overrides = [f"train.steps={steps}"] if steps is not None else []
    first = _config(values, overrides, path)
    second = _config(values, [*overrides, f"objective.preset={_SECOND}"], path)
    evaluation = first.evaluation
    if not (first.data.eval and evaluation.at_start and evaluation.at_end):
        raise ConfigError(
            "the demo compares before and after: name a data set under data.eval, and leave "
            "evaluation.at_start and at_end on",
            source=str(path),
        )
    name = first.objective.preset or "configured"
    if name == _SECOND:
        raise ConfigError(
            f"the demo compares it with {_SECOND}: name another one",
            field="objective.preset",
            source=str(path),
        )
    return {name: first, _SECOND: second}


def _config(values: Mapping[str, Any], overrides: list[str], path: Path) -> RunConfig:
    config = validate(RunConfig, override(values, overrides), source=str(path))
    # A short run, too, has something to go on from if its learner dies.
    every = min(config.checkpoint.every, max(1, config.train.steps // 3))
    checkpoint = config.checkpoint.model_copy(update={"every": every})
    return config.model_copy(update={"checkpoint": checkpoint})


def launches(config: RunConfig, runs_dir: Path) -> list[Launch]:
    """All three services on free ports of this machine; the learner records in `runs_dir`."""
    serve = serve_config(config)
    servers: dict[ServiceName, ServerConfig] = {
        "rollout": serve.rollout,
        "reward": serve.reward,
        "learner": serve.learner.model_copy(update={"runs_dir": runs_dir}),
    }
    return [
        Launch(service=name, config=server.model_copy(update={"listen": "127.0.0.1:0"}), label=name)
        for name, server in servers.items()
    ]


async def train(
    config: RunConfig, name: str, services: LocalServices, signals: Signals
) -> learner_pb2.Run:
    """Trains a run to its end, across deaths of its learner; gives how it ended.

    Raises:
        RunFailed: it failed, or cannot go on.
    """
    target = services.target("rollout")
    rollout = config.rollout.model_copy(update={"targets": (target,)})
    reward = config.reward.model_copy(update={"target": services.target("reward")})
    connected = config.model_copy(update={"name": name, "rollout": rollout, "reward": reward})
    resume = False
    with RunView(output, name) as view:
        while True:
            job = Job(name=name, config=connected, resume=resume, again="")
            async with LearnerClient(services.target("learner")) as client:
                opened = await open_run(client, job)
                view.begin(opened)
                ended = await follow_run(client, opened, view, services=services, signals=signals)
            if ended.state in (learner_pb2.RUN_STATE_FINISHED, learner_pb2.RUN_STATE_STOPPED):
                return ended
            if ended.state != learner_pb2.RUN_STATE_INTERRUPTED:
                raise RunFailed(f"the run {name} failed after step {ended.step}: {ended.error}")
            if not ended.durable_step:
                raise RunFailed(f"the learner died before the first checkpoint of {name}")
            view.say(f"goes on from the checkpoint of step {ended.durable_step}")
            resume = True
