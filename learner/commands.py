"""`trimtab eval`: accuracy of a model on problems, through rollout and reward servers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from trimtab.cli.configs import find_config, load_run_config
from trimtab.cli.console import output, say
from trimtab.cli.local_files import check_local_files
from trimtab.cli.running import run
from trimtab.client import RolloutClient
from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError
from trimtab.records import RunFolder
from trimtab.supervisor import LocalServices, plan_services

_SHOWN = ("mean_at_k", "pass_at_k", "greedy", "entropy", "length_mean", "invalid_share")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("eval")
    def evaluate(
        config: Annotated[str, typer.Argument(help="A YAML file or a bundled config.")],
        assignments: Annotated[
            list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Overrides.")
        ] = None,
        rollout: Annotated[
            str | None,
            typer.Option(
                metavar="TARGET[,TARGET]", help="Rollout servers.", envvar="TRIMTAB_ROLLOUT"
            ),
        ] = None,
        reward: Annotated[
            str | None,
            typer.Option(metavar="TARGET", help="Reward server.", envvar="TRIMTAB_REWARD"),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(metavar="FOLDER", help="Where samples and metrics are recorded."),
        ] = None,
    ) -> None:
        """Evaluates a model on the config's `data.eval`: mean@k, pass@k, greedy accuracy.

        Example: `trimtab eval demo model.path=runs/demo/grpo/checkpoints/step-000060`
        """
        path = find_config(config)
        loaded = load_run_config(path, assignments or [])
        if not loaded.data.eval:
            raise ConfigError(
                "name at least one data set to evaluate on", field="data.eval", source=str(path)
            )
        folder = out or Path("runs") / f"eval-{path.stem}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        rollouts = rollout.split(",") if rollout else []
        raise typer.Exit(run(lambda _: _evaluate(loaded, rollouts, reward, folder)))


async def _evaluate(
    config: RunConfig, rollout: Sequence[str], reward: str | None, folder: Path
) -> int:
    plan = await plan_services(config, rollout=rollout, reward=reward, wanted=("rollout", "reward"))
    started = {launch.service for launch in plan.launches}
    check_local_files(config, started)
    logs = folder / "logs"
    if plan.launches:
        labels = ", ".join(launch.label for launch in plan.launches)
        say(f"starting {labels} (logs in {logs})")
    async with LocalServices(plan.launches, log_folder=logs):
        config = config.model_copy(
            update={
                "rollout": config.rollout.model_copy(update={"targets": plan.rollout}),
                "reward": config.reward.model_copy(update={"target": plan.reward}),
            }
        )
        if not rollout and "rollout" not in started:
            await _check_serves(config)
        rows = await _evaluate_all(config, RunFolder(folder))
    output.print(_table(rows))
    output.print(f"samples and metrics: {folder}", markup=False, soft_wrap=True)
    return 0


async def _check_serves(config: RunConfig) -> None:
    """A server that happened to run must serve the config's model, or the result would lie.

    Raises:
        ConfigError: it serves another model, or weights that were pushed to it.
    """
    for target in config.rollout.targets:
        async with RolloutClient(target, tls=config.rollout.tls) as client:
            info = await client.get_info()
        if info.model != config.model.path or info.weights.lineage:
            served = f"{info.model}, version {info.weights.version}"
            raise ConfigError(
                f"the server at {target} serves {served}, not {config.model.path}: stop it, "
                f"or evaluate what it serves with --rollout {target}",
                field="model.path",
            )


async def _evaluate_all(config: RunConfig, folder: RunFolder) -> dict[str, dict[str, float]]:
    from transformers import AutoTokenizer

    from learner.evaluation import evaluate
    from trimtab.client.rollout_pool import RolloutPool
    from trimtab.data.problems import load_problems
    from trimtab.model_path import resolve_model
    from trimtab.router import RewardRouter

    rollout = config.rollout
    source = resolve_model(config.model.path, allow_hub=config.model.allow_hub)
    tokenizer: Any = await asyncio.to_thread(AutoTokenizer.from_pretrained, source)
    pool = RolloutPool(
        rollout.targets,
        tls=rollout.tls,
        call_timeout_s=rollout.timeout_s,
        patience_s=rollout.patience_s,
    )
    router = RewardRouter(config.rewards, config.reward)
    rows = {}
    try:
        await router.check(timeout_s=10.0)
        for name, dataset in config.data.eval.items():
            problems = await asyncio.to_thread(load_problems, dataset, field=f"data.eval.{name}")
            say(f"{name}: {len(problems)} problems")
            metrics, records = await evaluate(
                problems,
                step=0,
                seed=config.seed,
                config=config.evaluation,
                pool=pool,
                router=router,
                prompt_text=lambda ids: str(tokenizer.decode(list(ids))),
            )
            folder.write_eval_samples(0, name, records)
            folder.append_evaluation(0, name, metrics)
            rows[name] = metrics
    finally:
        await pool.close()
        await router.close()
    (folder.path / "summary.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return rows


def _table(rows: dict[str, dict[str, float]]) -> Table:
    table = Table(title="evaluation")
    table.add_column("data set")
    k = next(iter(rows.values()))["k"]
    for name in _SHOWN:
        table.add_column(name.replace("_at_k", f"@{k:g}").replace("_", " "), justify="right")
    for dataset, metrics in rows.items():
        table.add_row(dataset, *(f"{metrics[name]:.3f}" for name in _SHOWN))
    return table
