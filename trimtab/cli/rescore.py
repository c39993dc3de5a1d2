"""`trimtab rescore`: what another verifier makes of a run's samples."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.console import say
from trimtab.cli.rescore_view import show_changes
from trimtab.cli.reward_server import (
    BATCH,
    IN_FLIGHT,
    BatchOption,
    ConfigOption,
    InFlightOption,
    RewardOption,
    RewardServer,
    reward_server,
)
from trimtab.cli.row_options import NoReferences
from trimtab.cli.rows_progress import RowsProgress
from trimtab.cli.running import Signals, run
from trimtab.errors import ConfigError, ServiceError

if TYPE_CHECKING:
    from trimtab.config.run import RunConfig
    from trimtab.records import RunFolder
    from trimtab.scoring.pipeline import Judge
    from trimtab.scoring.recorded import SampleFile
    from trimtab.scoring.rescoring import Changes, Replaced

_STEPS = re.compile(r"(\d{1,9})(?:-(\d{1,9})?)?")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("rescore")
    def rescore(
        folder: Annotated[
            Path,
            typer.Argument(metavar="RUN", help="A run's folder, or its name below runs/."),
        ],
        reward: RewardOption = None,
        config: ConfigOption = None,
        verifier: Annotated[
            str, typer.Option("--verifier", help="Name of the verifier; default: all of the run's.")
        ] = "",
        steps: Annotated[
            str, typer.Option(metavar="A-B", help="Only these steps: 7, 3-7 or 3-.")
        ] = "",
        no_references: NoReferences = False,
        name: Annotated[
            str, typer.Option(help="Name of the file below rescored/; default: what judged.")
        ] = "",
        examples: Annotated[int, typer.Option(min=0, help="Changed samples that are listed.")] = 20,
        batch: BatchOption = BATCH,
        in_flight: InFlightOption = IN_FLIGHT,
    ) -> None:
        """Judges the recorded samples of a run again and lists what changes.

        The samples themselves stay as they are; what is new goes to rescored/ in the run's folder.

        Example: `trimtab rescore runs/first --config reward.yaml --verifier math_strict`
        """
        from trimtab.scoring.recorded import check_references, sample_files

        if name and not _NAME.fullmatch(name):
            raise ConfigError(
                f"--name {name!r} is no file's name: use letters, digits, '.', '_', '+' and '-'"
            )
        run_folder = _find_run(folder)
        first, last = _step_range(steps)
        files = sample_files(run_folder, first=first, last=last)
        if not no_references:
            check_references(files)
        command = _Rescoring(
            folder=run_folder,
            files=files,
            reward=reward,
            config=config,
            verifier=verifier,
            name=name,
            steps=steps,
            examples=examples,
            batch=batch,
            in_flight=in_flight,
        )
        raise typer.Exit(run(command.run))


def _find_run(path: Path) -> RunFolder:
    from trimtab.records import RunFolder

    candidates = [path] if path.is_absolute() else [path, Path("runs") / path]
    for candidate in candidates:
        folder = RunFolder(candidate)
        known = (
            folder.state_path,
            folder.metrics_path,
            folder.path / "samples",
            folder.path / "eval",
        )
        if any(part.exists() for part in known):
            return folder
    where = " nor ".join(str(candidate) for candidate in candidates)
    raise ConfigError(f"there is no run in {where} (looked from {Path.cwd()})")


def _step_range(steps: str) -> tuple[int, int | None]:
    if not steps:
        return 0, None
    match = _STEPS.fullmatch(steps)
    if match is None:
        raise ConfigError(f"{steps!r} is no range: write 7, 3-7 or 3-", field="--steps")
    first = int(match[1])
    last = int(match[2]) if match[2] else None if "-" in steps else first
    if last is not None and last < first:
        raise ConfigError(f"{steps!r} ends before it begins", field="--steps")
    return first, last


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rescoring:
    """One pass over the samples."""

    folder: RunFolder
    files: Sequence[SampleFile]
    reward: str | None
    config: str | None
    verifier: str
    name: str
    steps: str
    examples: int
    batch: int
    in_flight: int

    async def run(self, signals: Signals) -> int:
        """Judges everything and shows what changes; gives the exit status."""
        from trimtab.scoring.rescoring import Changes

        run_config = self._run_config()
        changes = Changes(example_count=self.examples)
        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                reward_server(self.reward, self.config, signals, run_config=run_config)
            )
            judge, replaced, judged_by = await stack.enter_async_context(
                self._judge(server, run_config)
            )
            out = self.folder.rescored_path(self.name or self._default_name(judged_by))
            await server.while_serving(self._rescore(judge, replaced, changes, out))
        show_changes(changes, out)
        return 0

    def _run_config(self) -> RunConfig | None:
        """The run's config; None if only the verifier that is named counts and there is none."""
        from trimtab.config.base import read_yaml, validate
        from trimtab.config.run import RunConfig

        path = self.folder.config_path
        try:
            return validate(RunConfig, read_yaml(path), source=str(path))
        except ConfigError as error:
            if self.verifier:
                return None
            raise ConfigError(f"{error}; name the verifier with --verifier") from error

    @asynccontextmanager
    async def _judge(
        self, server: RewardServer, run_config: RunConfig | None
    ) -> AsyncIterator[tuple[Judge, Replaced, str]]:
        """Who judges, what of the recorded reward that replaces, and the judge's name."""
        from trimtab.client.reward import RewardClient
        from trimtab.router import RewardRouter
        from trimtab.scoring.rescoring import Replaced
        from trimtab.scoring.run_rewards import RunRewards
        from trimtab.scoring.verifier import Verifier

        names = list(run_config.rewards.verifiers) if run_config is not None else []
        if self.verifier or run_config is None:
            async with RewardClient(server.target) as client:
                verifier = await Verifier.find(client, self.verifier)
                replaced = Replaced([verifier.name, *names[:1]])
                yield verifier, replaced, verifier.version or verifier.name
            return
        own = run_config.reward.model_copy(update={"target": server.target})
        if server.target != run_config.reward.target:
            own = own.model_copy(update={"tls": None})
        router = RewardRouter(run_config.rewards, own)
        try:
            try:
                await router.check(timeout_s=10.0)
            except ServiceError as error:
                raise ConfigError(f"{error}; --verifier names another one") from error
            yield RunRewards(router), Replaced(), "rewards"
        finally:
            await router.close()

    def _default_name(self, judged_by: str) -> str:
        safe = re.sub(r"[^A-Za-z0-9._+-]", "_", judged_by).lstrip(".") or "verdicts"
        return f"{safe}-steps-{self.steps}" if self.steps else safe

    async def _rescore(self, judge: Judge, replaced: Replaced, changes: Changes, out: Path) -> None:
        from trimtab.scoring.recorded import count_samples, samples
        from trimtab.scoring.rescoring import RescoredWriter, rescored

        total = count_samples(self.files)
        say(f"judging {total:,} samples of {len(self.files)} files again")
        steps = rescored(
            samples(self.files), judge, replaced, batch=self.batch, in_flight=self.in_flight
        )
        with RowsProgress(total) as progress, RescoredWriter(out) as writer:
            async with aclosing(steps):
                async for rows in steps:
                    writer.write(rows)
                    for row in rows:
                        changes.add(row)
                    progress.update(changes.count, changes.outcomes)
