"""`trimtab report`: one page about runs."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from trimtab.cli.console import output
from trimtab.errors import ConfigError

_PACKAGES = ("jinja2", "matplotlib")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("report")
    def report(
        folders: Annotated[
            list[Path],
            typer.Argument(
                metavar="RUN_FOLDER...", help="Folders of runs, or folders that hold some."
            ),
        ],
        out: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Default: report.html in the first folder."),
        ] = None,
        title: Annotated[str, typer.Option(help="Heading; default: the runs' names.")] = "",
    ) -> None:
        """Writes one self-contained HTML page about one or more runs.

        Example: `trimtab report runs/demo/grpo runs/demo/steer_paper --out report.html`
        """
        path = out or folders[0] / "report.html"
        make_report(folders, path, title=title)
        output.print(f"report in {path}", markup=False, soft_wrap=True)


def make_report(folders: Sequence[Path], path: Path, *, title: str = "") -> None:
    """Writes the page about the runs in `folders`.

    Raises:
        ConfigError: the extra `ui` is missing, a folder holds no run, or `path` cannot be written.
    """
    if not report_is_installed():
        raise ConfigError("the report needs jinja2 and matplotlib: install trimtab[ui]")
    from trimtab.report import find_runs, read_runs
    from trimtab.report.page import write_report

    runs = read_runs([run for folder in folders for run in find_runs(folder)])
    try:
        write_report(runs, path, title=title)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


def report_is_installed() -> bool:
    """True if the extra `ui` is there."""
    return all(importlib.util.find_spec(name) is not None for name in _PACKAGES)
