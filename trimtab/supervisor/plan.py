"""Which services of a run already serve, and which have to be started."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.addresses import is_loopback
from trimtab.client.channel import Tls
from trimtab.config.run import RunConfig, ServeConfig
from trimtab.config.server import ServerConfig
from trimtab.model_path import within_roots
from trimtab.supervisor.errors import ServiceFailed
from trimtab.supervisor.probe import Presence, wait_presence
from trimtab.supervisor.services import SERVICE_NAMES, ServiceName
from trimtab.supervisor.supervised import Launch

_NOT_READY_PATIENCE_S = 60.0


@dataclass(slots=True, kw_only=True)
class Plan:
    """Where a run's services are, or will be once `launches` are started."""

    rollout: tuple[str, ...] = ()
    """Targets of the rollout servers."""
    reward: str = ""
    """Target of the reward server."""
    learner: str = ""
    """Target of the learner."""
    launches: list[Launch] = field(default_factory=list)
    """What has to be started."""


def serve_config(config: RunConfig) -> ServeConfig:
    """The servers' configs, made to fit the run.

    The rollout server serves the run's model unless it names its own, and the learner may read
    the files that the run names: whoever wrote the config starts the server.
    """
    serve = config.serve or ServeConfig()
    rollout, learner = serve.rollout, serve.learner
    if "path" not in rollout.model.model_fields_set:
        chosen = {"path": config.model.path, "allow_hub": config.model.allow_hub}
        rollout = rollout.model_copy(update={"model": rollout.model.model_copy(update=chosen)})
    datasets = [config.data.train, *config.data.eval.values()]
    files = [dataset.path.expanduser() for dataset in datasets if dataset and dataset.path]
    learner = learner.model_copy(
        update={
            "model_roots": _with(learner.model_roots, [Path(config.model.path).expanduser()]),
            "data_roots": _with(learner.data_roots, files),
            "allow_hub": learner.allow_hub or config.model.allow_hub,
        }
    )
    return serve.model_copy(update={"rollout": rollout, "learner": learner})


def _with(roots: Sequence[Path], paths: Sequence[Path]) -> tuple[Path, ...]:
    """The roots, and those paths that exist outside of them."""
    outside = [path for path in paths if path.exists() and not within_roots(path, roots)]
    return (*roots, *outside)


async def plan_services(
    config: RunConfig,
    *,
    rollout: Sequence[str] = (),
    reward: str | None = None,
    learner: str | None = None,
    wanted: Collection[ServiceName] = SERVICE_NAMES,
    restart: Collection[ServiceName] = SERVICE_NAMES,
) -> Plan:
    """Asks at each target who is there; what is missing on loopback is to be started.

    Targets that are not given come from the config: `rollout.targets`, `reward.target` and
    `serve.learner.listen`. `restart` are the services that are started again when they die.

    Raises:
        ServiceFailed: a target that is not on loopback does not answer, or a port is taken by
            another program.
    """
    serve = serve_config(config)
    plan = Plan(
        rollout=tuple(rollout) or config.rollout.targets,
        reward=reward or config.reward.target,
        learner=learner or serve.learner.listen,
    )
    sought: list[tuple[ServiceName, str, Tls | None, ServerConfig]] = [
        *(("rollout", target, config.rollout.tls, serve.rollout) for target in plan.rollout),
        ("reward", plan.reward, config.reward.tls, serve.reward),
        ("learner", plan.learner, None, serve.learner),
    ]
    for service, target, tls, server in sought:
        if service not in wanted or not await _is_missing(service, target, tls):
            continue
        count = sum(launch.service == service for launch in plan.launches)
        plan.launches.append(
            Launch(
                service=service,
                config=server.model_copy(update={"listen": target.removeprefix("dns:///")}),
                label=service if count == 0 else f"{service}-{count + 1}",
                restart=service in restart,
            )
        )
    return plan


async def _is_missing(service: ServiceName, target: str, tls: Tls | None) -> bool:
    """True if the service has to be started at the target; raises where it cannot be."""
    presence = await wait_presence(service, target, tls=tls, timeout_s=_NOT_READY_PATIENCE_S)
    if presence is Presence.SERVING:
        return False
    local = is_loopback(target)
    if presence is Presence.NOTHING and local:
        return True
    if presence is Presence.OTHER and local:
        raise ServiceFailed(
            service,
            f"another program listens on {target}: stop it, or name another target "
            f"with --{service} HOST:PORT",
        )
    problem = {
        Presence.NOTHING: "does not answer",
        Presence.NOT_READY: "is not ready",
        Presence.OTHER: "is no such server",
    }[presence]
    raise ServiceFailed(service, f"{target} {problem}: start it, or name another with --{service}")
