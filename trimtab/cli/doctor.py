"""`trimtab doctor`: what would keep trimtab from working here."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from trimtab.cli import checks
from trimtab.cli.checks import EXTRAS, Check
from trimtab.cli.configs import find_config, load_run_config
from trimtab.cli.console import output
from trimtab.cli.local_files import check_local_files
from trimtab.cli.running import run
from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError
from trimtab.supervisor import SERVICE_NAMES

_MARKS = {"ok": "[green]ok[/]", "missing": "[yellow]-[/]", "broken": "[red]broken[/]"}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("doctor")
    def doctor(
        config: Annotated[
            str | None, typer.Option(metavar="FILE", help="A run's config to check as well.")
        ] = None,
    ) -> None:
        """Checks the installation, the ports and the disk; says how to mend what is broken.

        Example: `trimtab doctor --config configs/demo.yaml`
        """
        found = run(lambda _: _doctor(config))
        raise typer.Exit(found)


async def _doctor(name: str | None) -> int:
    found = [checks.check_python()]
    found += [checks.check_extra(extra) for extra in EXTRAS]
    found += [checks.check_torch(), checks.check_model()]
    config = RunConfig()
    if name is not None:
        problem = None
        try:
            config = load_run_config(find_config(name))
            check_local_files(config, frozenset(SERVICE_NAMES))
        except ConfigError as error:
            problem = error
        found.append(checks.config_check(name, problem))
    found += [await checks.check_service(service, config) for service in SERVICE_NAMES]
    found.append(checks.check_disk(config))
    _show(found)
    return 1 if any(check.state == "broken" for check in found) else 0


def _show(found: list[Check]) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for check in found:
        table.add_row(_MARKS[check.state], check.name, check.found)
        if check.mend:
            table.add_row("", "", f"[bold]-> {check.mend.replace('[', chr(92) + '[')}[/]")
    output.print(table)
