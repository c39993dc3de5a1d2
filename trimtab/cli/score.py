"""`trimtab score`: verdicts on a file of responses."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from trimtab.cli.console import errors, output, say
from trimtab.cli.running import Signals, run
from trimtab.cli.score_output import VerdictWriter
from trimtab.cli.score_rows import Row, RowReader
from trimtab.client.reward import Item
from trimtab.common.v1 import outcome_pb2
from trimtab.config.reward import DEFAULT_REWARD_LISTEN, RewardServerConfig
from trimtab.config.routes import RouteConfig
from trimtab.config.run import RewardPeerConfig, RunConfig, ServeConfig
from trimtab.errors import ConfigError
from trimtab.reward.v1 import reward_pb2
from trimtab.router.outcomes import outcome_name
from trimtab.router.route import Route
from trimtab.supervisor import LocalServices, ServiceName, plan_services

BAD_ROW = "bad_row"
"""Stands in the column `outcome` for rows that could not be read."""
_SHOWN_BAD_ROWS = 10
_CALL_TIMEOUT_S = 300.0


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("score")
    def score(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A .parquet or .jsonl file.")],
        reward: Annotated[
            str, typer.Option(metavar="TARGET", help="Reward server; started if none answers.")
        ] = DEFAULT_REWARD_LISTEN,
        out: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Verdicts, as .parquet or .jsonl.")
        ] = None,
        response_field: Annotated[str, typer.Option(help="Column of the responses.")] = "response",
        references_field: Annotated[
            str | None,
            typer.Option(help="Column of the references; dots go into structures."),
        ] = None,
        verifier: Annotated[
            str | None, typer.Option(help="Name of the verifier; default: the server's first.")
        ] = None,
        batch: Annotated[int, typer.Option(min=1, max=10_000, help="Items in one call.")] = 64,
        in_flight: Annotated[int, typer.Option(min=1, help="Calls at once.")] = 4,
    ) -> None:
        """Judges the responses in a file against their references.

        Example: `trimtab score answers.jsonl --verifier math --out verdicts.parquet`
        """
        reader = RowReader(file, response_field=response_field, references_field=references_field)
        if out is not None and out.resolve() == file.resolve():
            raise ConfigError(f"--out {out} is the file that is read")
        route = RouteConfig(
            target=reward, timeout_s=_CALL_TIMEOUT_S, batch_size=batch, max_in_flight=in_flight
        )
        job = _Scoring(reader, verifier or "", route, out)
        raise typer.Exit(run(job.run))


class _Scoring:
    """One pass over the file."""

    def __init__(
        self, reader: RowReader, verifier: str, config: RouteConfig, out: Path | None
    ) -> None:
        self._reader = reader
        self._verifier = verifier
        self._config = config
        self._out = out
        self._counts: Counter[str] = Counter()
        self._rewarded_count = 0
        self._reward_sum = 0.0
        self._bad_count = 0
        self._first_bad: list[Row] = []

    async def run(self, signals: Signals) -> int:
        """Scores everything; 1 if a row could not be read."""
        target = self._config.target or DEFAULT_REWARD_LISTEN
        wanted: tuple[ServiceName, ...] = ("reward",)
        serve = ServeConfig(reward=RewardServerConfig(listen=target))
        config = RunConfig(reward=RewardPeerConfig(target=target), serve=serve)
        plan = await plan_services(config, wanted=wanted)
        services = LocalServices(plan.launches)
        signals.on_second = services.kill
        if plan.launches:
            say(f"starting a reward server on {target}")
        async with services:
            route = Route(self._verifier, self._config, own_target=target)
            try:
                await self._check_verifier(route)
                await self._score_all(route)
            finally:
                await route.close()
        self._conclude()
        return 1 if self._bad_count else 0

    async def _check_verifier(self, route: Route) -> None:
        offered = [v.name for v in (await route.get_info(timeout_s=10.0)).verifiers]
        if self._verifier and self._verifier not in offered:
            raise ConfigError(
                f"{route.target} offers no verifier {self._verifier!r}, only {', '.join(offered)}"
            )

    async def _score_all(self, route: Route) -> None:
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=errors, disable=not errors.is_terminal) as progress:
            task = progress.add_task("scoring", total=self._reader.count)
            writer = VerdictWriter(self._out) if self._out is not None else None
            try:
                async for rows in self._batches(route):
                    self._count(rows)
                    if writer is not None:
                        writer.write(rows)
                    progress.advance(task, len(rows))
            finally:
                if writer is not None:
                    writer.__exit__()

    async def _batches(self, route: Route) -> AsyncIterator[list[dict[str, Any]]]:
        """Verdicts in the file's order; as many batches are read as calls may be under way."""
        waiting: deque[asyncio.Task[list[dict[str, Any]]]] = deque()
        try:
            for rows in _chunks(self._reader.rows(), self._config.batch_size):
                waiting.append(asyncio.create_task(self._batch(route, rows)))
                if len(waiting) >= self._config.max_in_flight:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()

    async def _batch(self, route: Route, rows: Sequence[Row]) -> list[dict[str, Any]]:
        good = [row for row in rows if not row.problem]
        for row in rows:
            if row.problem:
                self._bad_count += 1
                if len(self._first_bad) < _SHOWN_BAD_ROWS:
                    self._first_bad.append(row)
        items = [
            Item(
                id=str(row.number),
                response=row.response,
                references=row.references,
                verifier=self._verifier,
            )
            for row in good
        ]
        results = {result.id: result for result in await route.score(items)}
        return [_verdict(row, results.get(str(row.number))) for row in rows]

    def _count(self, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            self._counts[row["outcome"]] += 1
            if row["reward"] is not None:
                self._rewarded_count += 1
                self._reward_sum += row["reward"]

    def _conclude(self) -> None:
        total = sum(self._counts.values())
        table = Table(title=f"{total} rows")
        table.add_column("outcome")
        table.add_column("rows", justify="right")
        table.add_column("share", justify="right")
        for outcome, count in self._counts.most_common():
            table.add_row(outcome, str(count), f"{count / total:.1%}")
        output.print(table)
        if self._rewarded_count:
            mean = self._reward_sum / self._rewarded_count
            output.print(f"mean reward {mean:.4f} over {self._rewarded_count} rows with a reward")
        if self._out is not None:
            output.print(f"verdicts in {self._out}", markup=False, soft_wrap=True)
        for row in self._first_bad:
            say(f"row {row.number}: {row.problem}")
        if self._bad_count > len(self._first_bad):
            more = self._bad_count - len(self._first_bad)
            say(f"... and {more} more rows that could not be read")


def _chunks(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    while chunk := list(islice(rows, size)):
        yield chunk


def _verdict(row: Row, result: reward_pb2.ScoreResult | None) -> dict[str, Any]:
    if result is None:
        verdict: dict[str, Any] = {"outcome": BAD_ROW, "detail": row.problem}
    else:
        cause = outcome_pb2.Cause.Name(result.cause).removeprefix("CAUSE_").lower()
        verdict = {
            "outcome": outcome_name(result.outcome),
            "reward": result.reward if result.HasField("reward") else None,
            "extracted_answer": result.extracted_answer,
            "detail": result.detail,
            "cause": "" if cause == "unspecified" else cause,
            "verifier_version": result.verifier_version,
            "elapsed_s": result.elapsed.ToNanoseconds() / 1e9,
        }
    empty = dict.fromkeys(("extracted_answer", "detail", "cause", "verifier_version"), "")
    base = {"id": row.id, "row": row.number, "reward": None, "elapsed_s": None}
    return {**base, **empty, **verdict}
