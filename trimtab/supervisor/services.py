"""The three services as programs: how each is started, and what must be installed for it."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from trimtab.errors import ConfigError

ServiceName = Literal["rollout", "reward", "learner"]
SERVICE_NAMES: tuple[ServiceName, ...] = get_args(ServiceName)
"""In the order in which they are started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What runs as one service."""

    module: str
    """Runs as `python -m <module>`."""
    packages: tuple[str, ...]
    """Importable names that its extra brings."""
    full_name: str
    """The proto service, as health checks name it."""


PROGRAMS: Mapping[ServiceName, Program] = {
    "rollout": Program(
        module="rollout_server",
        packages=("torch", "transformers", "safetensors", "jinja2"),
        full_name="trimtab.rollout.v1.RolloutService",
    ),
    "reward": Program(
        module="reward_server",
        packages=("math_verify",),
        full_name="trimtab.reward.v1.RewardService",
    ),
    "learner": Program(
        module="learner",
        packages=("torch", "transformers", "safetensors", "tensorboard"),
        full_name="trimtab.learner.v1.LearnerService",
    ),
}
"""By service."""


def missing_packages(service: ServiceName) -> list[str]:
    """What of the service's extra is not installed; nothing is imported to find out."""
    program = PROGRAMS[service]
    names = (program.module, *program.packages)
    return [name for name in names if importlib.util.find_spec(name) is None]


def check_installed(service: ServiceName) -> None:
    """Returns if the service can be started.

    Raises:
        ConfigError: a package of its extra is missing; says what to install.
    """
    missing = missing_packages(service)
    if missing:
        raise ConfigError(
            f"the {service} server needs {', '.join(missing)}: install trimtab[{service}]"
        )
