"""Puts the commands together, those of installed services included."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated

import typer

from trimtab import __version__
from trimtab.cli import (
    check_data,
    check_reward,
    demo,
    doctor,
    report,
    rescore,
    score,
    serve,
    train,
    up,
)
from trimtab.cli.console import output

PLUGIN_GROUP = "trimtab.commands"
"""Entry points of this group are functions that get the app and add commands."""

_HELP = """Reinforcement learning with verifiable rewards, as three gRPC services.

Begin with `trimtab doctor`, then `trimtab demo`."""


def create_app() -> typer.Typer:
    """The app with every command that can run here."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for module in (
        demo,
        train,
        up,
        serve,
        score,
        check_data,
        check_reward,
        rescore,
        report,
        doctor,
    ):
        module.register(app)
    for point in entry_points(group=PLUGIN_GROUP):
        try:
            add = point.load()
        except ImportError:
            continue  # the service's extra is not installed: its commands are not there
        add(app)
    return app


def _version(value: bool) -> None:
    if value:
        output.print(f"trimtab {__version__}")
        raise typer.Exit


def _options(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Shows the version."),
    ] = False,
) -> None:
    """Options of the program itself."""
