"""`trimtab train`: one run, from missing services to the last evaluation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.console import output, say
from trimtab.cli.following import LearnerLost, follow_run, open_run
from trimtab.cli.local_files import check_local_files
from trimtab.cli.progress import RunView, evaluation_table
from trimtab.cli.running import Signals, run
from trimtab.cli.train_arguments import Job, read_job
from trimtab.client.learner import LearnerClient
from trimtab.config.base import dump_yaml
from trimtab.learner.v1 import learner_pb2
from trimtab.supervisor import LocalServices, Plan, ServiceFailed, plan_services, serve_config

_CHECKPOINT = re.compile(r"step-(\d+)")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("train")
    def train(
        words: Annotated[
            list[str] | None,
            typer.Argument(
                metavar="CONFIG [KEY=VALUE]...",
                help="A YAML file or a bundled config, then overrides.",
                show_default=False,
            ),
        ] = None,
        rollout: Annotated[
            str | None,
            typer.Option(
                metavar="TARGET[,TARGET]", envvar="TRIMTAB_ROLLOUT", help="Rollout servers."
            ),
        ] = None,
        reward: Annotated[
            str | None,
            typer.Option(metavar="TARGET", envvar="TRIMTAB_REWARD", help="Reward server."),
        ] = None,
        learner: Annotated[
            str | None,
            typer.Option(metavar="TARGET", envvar="TRIMTAB_LEARNER", help="Learner."),
        ] = None,
        name: Annotated[
            str | None, typer.Option(help="Folder below `runs`; default: config and time.")
        ] = None,
        resume: Annotated[
            bool,
            typer.Option(
                "--resume",
                help="Goes on from the last checkpoint of --name NAME; CONFIG may be left out.",
            ),
        ] = False,
        print_config: Annotated[
            bool, typer.Option("--print-config", help="Shows the whole config and ends.")
        ] = False,
    ) -> None:
        """Trains. Services that do not answer are started here for as long as the run lasts.

        Example: `trimtab train demo train.steps=20 --name first`, later
        `trimtab train --resume --name first`
        """
        targets = {"--rollout": rollout, "--reward": reward, "--learner": learner}
        options = [word for flag, value in targets.items() if value for word in (flag, value)]
        job = read_job(words or [], name=name, resume=resume, options=options)
        if print_config:
            typer.echo(dump_yaml(job.config), nl=False)
            return
        rollouts = rollout.split(",") if rollout else []
        raise typer.Exit(run(lambda signals: _train(job, rollouts, reward, learner, signals)))


async def _train(
    job: Job, rollout: Sequence[str], reward: str | None, learner: str | None, signals: Signals
) -> int:
    plan = await plan_services(
        job.config,
        rollout=rollout,
        reward=reward,
        learner=learner,
        restart=("rollout", "reward"),
    )
    job = replace(job, config=job.config.model_copy(update=_connected(job, plan)))
    started = {launch.service for launch in plan.launches}
    check_local_files(job.config, started)
    runs_dir = serve_config(job.config).learner.runs_dir
    logs = runs_dir / ".logs" / job.name
    view = RunView(output)
    services = LocalServices(
        plan.launches, log_folder=logs, on_note=lambda label, note: view.say(f"{label} {note}")
    )
    signals.on_second = services.kill
    if plan.launches:
        labels = ", ".join(launch.label for launch in plan.launches)
        say(f"starting {labels} (logs in {logs})")
    run_seen: learner_pb2.Run | None = None
    try:
        async with services, LearnerClient(plan.learner) as client:
            run_seen = await open_run(client, job)
            say(f"run {job.name} in {run_seen.folder}")
            with view:
                view.begin(run_seen)
                ended = await follow_run(client, run_seen, view, services=services, signals=signals)
    except (ServiceFailed, LearnerLost) as error:
        if run_seen is None:
            raise
        raise LearnerLost(f"{error}\n{_how_to_go_on(job, run_seen)}") from error
    return _conclude(job, ended, view)


def _connected(job: Job, plan: Plan) -> dict[str, object]:
    """What of the config becomes what is really used."""
    return {
        "name": job.name,
        "rollout": job.config.rollout.model_copy(update={"targets": plan.rollout}),
        "reward": job.config.reward.model_copy(update={"target": plan.reward}),
        "serve": serve_config(job.config),
    }


def _conclude(job: Job, ended: learner_pb2.Run, view: RunView) -> int:
    """Says how the run ended; gives the exit status."""
    table = evaluation_table(view.evaluations)
    if table is not None:
        output.print(table)
    state = learner_pb2.RunState.Name(ended.state).removeprefix("RUN_STATE_").lower()
    output.print(f"{state} after step {ended.step}: {ended.folder}", markup=False, soft_wrap=True)
    if ended.state == learner_pb2.RUN_STATE_FINISHED:
        return 0
    if ended.state == learner_pb2.RUN_STATE_STOPPED:
        say(_how_to_go_on(job, ended))
        return 0
    raise LearnerLost(f"the run {state}: {ended.error}\n{_how_to_go_on(job, ended)}")


def _how_to_go_on(job: Job, run: learner_pb2.Run) -> str:
    folder = Path(run.folder)
    matches = [_CHECKPOINT.fullmatch(path.name) for path in folder.glob("checkpoints/step-*")]
    steps = [int(match[1]) for match in matches if match] or [run.durable_step]
    if max(steps) == 0:
        return f"run folder: {folder}; it has no checkpoint yet: start the run again"
    return f"run folder: {folder}; last checkpoint: step {max(steps)}; go on with:\n  {job.again}"
