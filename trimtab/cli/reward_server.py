"""The reward server that a command calls: one that is named, found, or started for the while."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from trimtab.cli.configs import find_config
from trimtab.cli.console import say, show_note
from trimtab.cli.running import Signals
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.config.run import RunConfig
    from trimtab.supervisor import Launch, LocalServices

T = TypeVar("T")

RewardOption = Annotated[
    str | None,
    typer.Option(
        "--reward",
        metavar="TARGET",
        help="Reward server; default: 127.0.0.1:50052, started if nobody answers.",
    ),
]
ConfigOption = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Starts a reward server of its own with this config: a reward server's, or a run's.",
    ),
]
VerifierOption = Annotated[
    str, typer.Option("--verifier", help="Name of the verifier; default: the server's first.")
]
BatchOption = Annotated[int, typer.Option("--batch", min=1, max=10_000, help="Rows in one call.")]
InFlightOption = Annotated[int, typer.Option("--in-flight", min=1, help="Calls at once.")]
BATCH = 256
IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class RewardServer:
    """Where rewards come from."""

    target: str
    """Its gRPC target."""
    _services: LocalServices | None = None

    async def while_serving(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work gives.

        Raises:
            ServiceFailed: the server was started here, and died too often.
        """
        if self._services is None:
            return await work
        working = asyncio.ensure_future(work)
        failing = asyncio.ensure_future(self._services.wait_failed())
        try:
            await asyncio.wait({working, failing}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                failing.result()
            return await working
        finally:
            for task in (working, failing):
                task.cancel()
            await asyncio.gather(working, failing, return_exceptions=True)


@asynccontextmanager
async def reward_server(
    target: str | None,
    config: str | None,
    signals: Signals,
    *,
    run_config: RunConfig | None = None,
) -> AsyncIterator[RewardServer]:
    """The server at `target`; or one with the config, on a free port; or that of the run.

    Without a `run_config` the last is the one on the default port. It is started if it is to be
    on loopback and nobody answers. What is started here is started again when it dies, and ends
    with the block.

    Raises:
        ConfigError: `target` and `config` contradict each other, or the config does not hold.
        ServiceFailed: the port is taken by another program, the run's server is elsewhere and
            does not answer, or the server did not start.
    """
    if target is not None and config is not None:
        raise ConfigError("--config is for a server that is started here: leave out --reward")
    if target is not None:
        yield RewardServer(target)
        return
    from trimtab.config.run import RunConfig
    from trimtab.supervisor import LocalServices, ServiceName, plan_services

    if config is None:
        wanted: tuple[ServiceName, ...] = ("reward",)
        plan = await plan_services(run_config or RunConfig(), wanted=wanted)
        launches, found = plan.launches, plan.reward
    else:
        launches, found = [_own_launch(config)], ""
    if not launches:
        yield RewardServer(found)
        return
    services = LocalServices(launches, on_note=show_note)
    signals.on_second = services.kill
    async with services:
        started = services.target(launches[0].label)
        say(f"started a reward server on {started}")
        yield RewardServer(started, services)


def _own_launch(name: str) -> Launch:
    from trimtab.config.load import load_server_config
    from trimtab.config.reward import RewardServerConfig
    from trimtab.supervisor import Launch

    config = load_server_config(RewardServerConfig, "reward", find_config(name), [])
    private = {"listen": "127.0.0.1:0", "tls": None, "insecure": False}
    return Launch(service="reward", config=config.model_copy(update=private), label="reward")
