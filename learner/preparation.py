"""Makes everything ready that a run needs, so that what is wrong is said before it begins."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Mapping, Sequence

from learner.checkpoints import Checkpoint
from learner.control import RunControl
from learner.cursor import DataCursor
from learner.external import ExternalDriver
from learner.managed import ManagedDriver
from learner.run import Run
from learner.session import Session
from trimtab.addresses import host_and_port, is_loopback_host
from trimtab.client.rollout_pool import RolloutPool
from trimtab.config.base import parse_yaml, validate
from trimtab.config.learner import LearnerServerConfig
from trimtab.config.run import RunConfig
from trimtab.data.problems import Problem, load_problems
from trimtab.errors import ConfigError, Reason, ServiceError
from trimtab.fingerprint import tokenizer_fingerprint
from trimtab.model_path import resolve_model
from trimtab.rollout.v1 import rollout_pb2
from trimtab.router import RewardRouter
from trimtab.weights.dtypes import NAME_BY_WIRE

_PEER_PATIENCE_S = 10.0


def parse_run_config(text: str) -> RunConfig:
    """The config of a CreateRun.

    Raises:
        ServiceError: CONFIG_INVALID naming the field.
    """
    try:
        return validate(RunConfig, parse_yaml(text, source="config_yaml"), source="config_yaml")
    except ConfigError as error:
        raise ServiceError(Reason.CONFIG_INVALID, str(error), field=error.field) from error


async def prepare(
    run: Run,
    config: RunConfig,
    server: LearnerServerConfig,
    *,
    control: RunControl,
    checkpoint: Checkpoint | None,
) -> ManagedDriver | ExternalDriver:
    """A driver with its model loaded, its data read and its servers checked.

    Raises:
        ServiceError: whatever does not hold, naming the field.
    """
    _check_targets(config, server.allowed_targets, external=run.external)
    folder = resolve_model(
        config.model.path,
        roots=server.model_roots,
        allow_hub=config.model.allow_hub and server.allow_hub,
    )
    session = Session(config, threads=server.threads)
    try:
        if run.external:
            await session.load(folder, allow_hub=server.allow_hub, checkpoint=checkpoint)
            return ExternalDriver(run, config, session=session, control=control)
        return await _managed(run, config, server, session, folder, control, checkpoint)
    except BaseException:
        session.close()
        raise


async def _managed(
    run: Run,
    config: RunConfig,
    server: LearnerServerConfig,
    session: Session,
    folder: str,
    control: RunControl,
    checkpoint: Checkpoint | None,
) -> ManagedDriver:
    cursor, eval_sets = await asyncio.to_thread(_load_data, config, server)
    if checkpoint is not None:
        cursor.position = int(checkpoint.state["position"])
    await session.load(folder, allow_hub=server.allow_hub, checkpoint=checkpoint)
    rollout = config.rollout
    router = RewardRouter(config.rewards, config.reward)
    probing = RolloutPool(
        rollout.targets,
        tls=rollout.tls,
        call_timeout_s=rollout.timeout_s,
        patience_s=min(_PEER_PATIENCE_S, rollout.patience_s),
    )
    try:
        infos = await probing.infos()
        _check_rollout(infos, config, session)
        await router.check(timeout_s=_PEER_PATIENCE_S)
    except BaseException:
        await router.close()
        raise
    finally:
        await probing.close()
    pool = RolloutPool(
        rollout.targets,
        tls=rollout.tls,
        call_timeout_s=rollout.timeout_s,
        patience_s=rollout.patience_s,
        min_replicas=rollout.min_replicas,
    )
    return ManagedDriver(
        run,
        config,
        session=session,
        pool=pool,
        router=router,
        cursor=cursor,
        eval_sets=eval_sets,
        control=control,
    )


def _load_data(
    config: RunConfig, server: LearnerServerConfig
) -> tuple[DataCursor, Mapping[str, Sequence[Problem]]]:
    train = config.data.train
    if train is None:
        raise ServiceError(
            Reason.CONFIG_INVALID,
            "a managed run needs problems: set data.train.path or data.train.generator",
            field="data.train",
        )
    problems = load_problems(train, field="data.train", roots=server.data_roots)
    cursor = DataCursor(problems, seed=config.seed, shuffle=train.shuffle)
    eval_sets = {
        name: load_problems(dataset, field=f"data.eval.{name}", roots=server.data_roots)
        for name, dataset in config.data.eval.items()
    }
    return cursor, eval_sets


def _check_rollout(
    infos: Mapping[str, rollout_pb2.GetInfoResponse], config: RunConfig, session: Session
) -> None:
    """The servers must encode as the learner does, and agree on the dtype that they serve."""
    if not infos:
        raise ServiceError(
            Reason.PEER_UNAVAILABLE,
            f"{', '.join(config.rollout.targets)} resolves to no address",
            field="rollout.targets",
        )
    own = tokenizer_fingerprint(session.policy.tokenizer)
    for address, info in infos.items():
        if info.tokenizer_fingerprint != own:
            raise ServiceError(
                Reason.TOKENIZER_MISMATCH,
                f"{address} serves {info.model} with another tokenizer than {config.model.path}: "
                "start it with the run's model",
                field="rollout.targets",
            )
    dtypes = {NAME_BY_WIRE[info.serving_dtype] for info in infos.values()}
    if len(dtypes) > 1:
        raise ServiceError(
            Reason.DTYPE_MISMATCH,
            f"rollout servers serve different types: {', '.join(sorted(dtypes))}",
            field="rollout.targets",
        )
    session.set_serving_dtype(dtypes.pop())


def _check_targets(config: RunConfig, allowed: Sequence[str], *, external: bool) -> None:
    """Only hosts that the server's own config allows are ever called."""
    if external:
        return
    targets = {f"rollout.targets[{i}]": target for i, target in enumerate(config.rollout.targets)}
    targets["reward.target"] = config.reward.target
    for name, reward in config.rewards.verifiers.items():
        if reward.target:
            targets[f"rewards.{name}.target"] = reward.target
    for field, target in targets.items():
        address = host_and_port(target)
        host = address[0] if address is not None else ""
        known = is_loopback_host(host) or any(fnmatch.fnmatchcase(host, rule) for rule in allowed)
        if not host or not known:
            raise ServiceError(
                Reason.TARGET_NOT_ALLOWED,
                f"{target!r} is not among the learner's allowed_targets "
                f"({', '.join(allowed) or 'loopback only'}): name its host there",
                field=field,
            )
