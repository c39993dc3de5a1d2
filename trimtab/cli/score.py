"""`trimtab score`: verdicts on a file of responses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trimtab.cli.console import errors, output, say
from trimtab.cli.running import Signals, run
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.scoring import RowReader, Scoring


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("score")
    def score(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A .parquet or .jsonl file.")],
        reward: Annotated[
            str | None,
            typer.Option(
                metavar="TARGET",
                help="Reward server; default: 127.0.0.1:50052, started if nobody answers.",
            ),
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(metavar="FILE.parquet", help="Default: FILE with .scored.parquet."),
        ] = None,
        verifier: Annotated[
            str, typer.Option(help="Name of the verifier; default: the server's first.")
        ] = "",
        response_field: Annotated[
            str, typer.Option(help="Column of the responses; dots go into structures.")
        ] = "response",
        references_field: Annotated[
            str | None,
            typer.Option(
                help="Column of the references; default: the first that exists of references, "
                "reference, answer, ground_truth, reward_model.ground_truth."
            ),
        ] = None,
        batch: Annotated[int, typer.Option(min=1, max=10_000, help="Rows in one call.")] = 64,
        in_flight: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 4,
    ) -> None:
        """Judges the responses in a file against their references.

        Example: `trimtab score answers.jsonl --verifier math`
        """
        from trimtab.scoring import RowReader

        reader = RowReader(file, response_field=response_field, references_field=references_field)
        target_file = out or file.with_suffix(".scored.parquet")
        if target_file.suffix != ".parquet":
            raise ConfigError(f"--out {target_file} is not a .parquet file")
        if target_file.resolve() == file.resolve():
            raise ConfigError(f"--out {target_file} is the file that is read")
        job = _Job(reader, target_file, reward, verifier, batch=batch, in_flight=in_flight)
        raise typer.Exit(run(job.run))


@dataclass(slots=True)
class _Job:
    """One pass over the file."""

    reader: RowReader
    out: Path
    reward: str | None
    verifier: str
    batch: int
    in_flight: int
    outcomes: Counter[str] = field(default_factory=Counter)
    reward_count: int = 0
    reward_sum: float = 0.0

    async def run(self, signals: Signals) -> int:
        """Scores everything and shows what came out; gives the exit status."""
        from trimtab.client.reward import RewardClient
        from trimtab.scoring import Scoring

        async with AsyncExitStack() as stack:
            target = self.reward or await _own_server(stack, signals)
            client = await stack.enter_async_context(RewardClient(target))
            scoring = Scoring(
                client, verifier=self.verifier, batch=self.batch, in_flight=self.in_flight
            )
            await scoring.check_verifier()
            await self._score(scoring)
        self._conclude()
        return 0

    async def _score(self, scoring: Scoring) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TimeRemainingColumn

        from trimtab.scoring import VerdictWriter

        columns = (
            "{task.description}",
            BarColumn(),
            TaskProgressColumn(),
            "{task.fields[rows]} rows",
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=errors, disable=not errors.is_terminal)
        with bar, VerdictWriter(self.out) as writer:
            task = bar.add_task("scoring", total=self.reader.size, rows=0)
            async with aclosing(scoring.verdicts(self.reader.rows())) as batches:
                async for verdicts in batches:
                    writer.write(verdicts.rows)
                    for row in verdicts.rows:
                        self._count(row)
                    bar.update(task, completed=verdicts.position, rows=self.outcomes.total())

    def _count(self, row: Mapping[str, Any]) -> None:
        self.outcomes[row["outcome"]] += 1
        if row["reward"] is not None:
            self.reward_count += 1
            self.reward_sum += row["reward"]

    def _conclude(self) -> None:
        from rich.table import Table

        total = self.outcomes.total()
        table = Table(title=f"{total} rows")
        table.add_column("outcome")
        table.add_column("rows", justify="right")
        table.add_column("share", justify="right")
        for outcome, count in self.outcomes.most_common():
            table.add_row(outcome, str(count), f"{count / total:.1%}")
        output.print(table)
        if self.reward_count:
            mean = self.reward_sum / self.reward_count
            output.print(f"mean reward {mean:.4f} over {self.reward_count} rows with a reward")
        output.print(f"verdicts in {self.out}", markup=False, soft_wrap=True)


async def _own_server(stack: AsyncExitStack, signals: Signals) -> str:
    """The reward server of the default port, started here if nobody answers there."""
    from trimtab.config.run import RunConfig
    from trimtab.supervisor import LocalServices, ServiceName, plan_services

    wanted: tuple[ServiceName, ...] = ("reward",)
    plan = await plan_services(RunConfig(), wanted=wanted)
    if plan.launches:
        say(f"starting a reward server on {plan.reward}")
        services = LocalServices(plan.launches)
        signals.on_second = services.kill
        await stack.enter_async_context(services)
    return plan.reward
