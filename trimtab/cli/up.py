"""`trimtab up`: the three services on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab.cli.configs import find_config, load_run_config
from trimtab.cli.console import output, say, show_line, show_note
from trimtab.cli.running import Signals, run
from trimtab.config.run import RunConfig, ServeConfig
from trimtab.supervisor import (
    SERVICE_NAMES,
    Launch,
    LocalServices,
    Presence,
    ServiceFailed,
    ServiceName,
    probe,
    serve_config,
)


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("up")
    def up(
        config: Annotated[
            str | None,
            typer.Option(metavar="FILE", help="A run's config; its part `serve` counts."),
        ] = None,
        set_: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="KEY=VALUE", help="Overrides the file; repeatable."),
        ] = None,
    ) -> None:
        """Starts rollout, reward and learner here, and keeps them running until Ctrl-C.

        Example: `trimtab up --config demo`, and `trimtab train demo` in another terminal
        """
        path = find_config(config) if config is not None else None
        run_config = load_run_config(path, set_ or [])
        raise typer.Exit(run(lambda signals: _up(run_config, signals)))


async def _up(config: RunConfig, signals: Signals) -> int:
    serve = serve_config(config)
    launches = [
        Launch(service=name, config=getattr(serve, name), label=name) for name in SERVICE_NAMES
    ]
    await _check_none_serves(serve)
    services = LocalServices(launches, on_line=show_line, on_note=show_note)
    signals.on_second = services.kill
    try:
        async with services:
            for label, target in services.targets.items():
                output.print(f"{label} ready on {target}", markup=False)
            say("all three serve; Ctrl-C drains and ends them")
            await services.wait_failed()
    finally:
        say("all services have ended")


async def _check_none_serves(serve: ServeConfig) -> None:
    """Says more than "port in use" where the port's owner is a service of ours."""
    for name in SERVICE_NAMES:
        listen = _listen(serve, name)
        if await probe(name, listen) is Presence.SERVING:
            raise ServiceFailed(
                name,
                f"a {name} server already serves on {listen} (another `trimtab up`?): end it, "
                f"or choose another port with --set serve.{name}.listen=127.0.0.1:PORT",
            )


def _listen(serve: ServeConfig, name: ServiceName) -> str:
    listen: str = getattr(serve, name).listen
    return listen
