"""`trimtab demo`: a tiny model trained twice, plain and with STEER, and the two compared."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.configs import find_config
from trimtab.cli.console import output, say
from trimtab.cli.demo_runs import RunFailed, demo_configs, launches, train
from trimtab.cli.report import make_report, report_is_installed
from trimtab.cli.running import Signals, run
from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError, ServiceError
from trimtab.learner.v1 import learner_pb2
from trimtab.supervisor import LocalServices, ServiceFailed


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("demo")
    def demo(
        steps: Annotated[
            int | None,
            typer.Option(min=1, help="Training steps of each run; default: the config's."),
        ] = None,
        out: Annotated[
            Path, typer.Option(metavar="FOLDER", help="Folder of both runs, their logs and report.")
        ] = Path("runs/demo"),
        config: Annotated[
            str, typer.Option(metavar="CONFIG", help="A YAML file or a bundled config.")
        ] = "demo",
    ) -> None:
        """Trains a tiny model to add, plain and with STEER, and compares: no GPU, no network.

        Example: `trimtab demo --steps 20`
        """
        started_s = time.monotonic()
        configs = demo_configs(find_config(config), steps)
        folder = out.expanduser().resolve()
        _check_out(folder)
        status = run(lambda signals: _train_all(configs, folder, signals))
        if status == 0:
            _conclude(configs, folder, time.monotonic() - started_s)
        raise typer.Exit(status)


def _check_out(out: Path) -> None:
    """Makes room for the demo's folder.

    Raises:
        ConfigError: the folder's name cannot name runs, or the command stands in it.
    """
    from trimtab.records import RunFolder  # brings pyarrow, which is slow to load

    try:
        RunFolder.below(out.parent, out.name)
    except ServiceError as error:
        raise ConfigError(error.message, source="--out") from error
    if Path.cwd().is_relative_to(out):
        raise ConfigError(f"{out} holds the working directory: name another folder with --out")
    if not out.exists():
        return
    made = datetime.fromtimestamp(out.stat().st_mtime).astimezone()
    target = base = out.with_name(f"{out.name}-{made:%Y%m%d-%H%M%S}")
    number = 1
    while target.exists():
        number += 1
        target = base.with_name(f"{base.name}-{number}")
    out.rename(target)
    say(f"moved the earlier {out} to {target}")


async def _train_all(configs: dict[str, RunConfig], out: Path, signals: Signals) -> int:
    """Trains one run after the other; gives the exit status.

    Raises:
        RunFailed: a run did not finish, or a service is given up.
    """
    logs = out / "logs"
    services = LocalServices(
        launches(next(iter(configs.values())), out.parent),
        log_folder=logs,
        on_note=lambda label, note: say(f"{label} {note}"),
    )
    signals.on_second = services.kill
    say(f"starting the services (logs in {logs})")
    try:
        async with services:
            for label, pid in services.pids.items():
                say(f"{label} runs as process {pid} on {services.target(label)}")
            for objective, config in configs.items():
                ended = await train(config, f"{out.name}/{objective}", services, signals)
                if ended.state == learner_pb2.RUN_STATE_STOPPED:
                    say(f"stopped after step {ended.step}; what there is lies in {out}")
                    return 128 + signals.received[0] if signals.received else 1
    except ServiceFailed as error:
        raise RunFailed(f"{error} (logs in {logs})") from error
    return 0


def _conclude(configs: dict[str, RunConfig], out: Path, wall_s: float) -> None:
    from trimtab.records import RunFolder
    from trimtab.records.files import write_atomically
    from trimtab.report import read_runs
    from trimtab.report.summary import summarize, summary_table

    folders = [out / objective for objective in configs]
    steps = next(iter(configs.values())).train.steps
    runs = read_runs([RunFolder(folder) for folder in folders])
    summary = summarize(runs, steps=steps, wall_s=wall_s)
    write_atomically(out / "summary.json", json.dumps(summary, indent=2).encode() + b"\n")
    output.print(summary_table(summary))
    if report_is_installed():
        make_report(folders, out / "report.html", title="Demo: GRPO and STEER, before and after")
        output.print(f"report in {out / 'report.html'}", markup=False, soft_wrap=True)
    else:
        say("no report: it needs jinja2 and matplotlib; install trimtab[ui]")
    output.print(f"runs in {out}", markup=False, soft_wrap=True)
