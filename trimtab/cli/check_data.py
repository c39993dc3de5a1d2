"""`trimtab check-data`: rows of a data set that could not be judged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.cli.console import output, say
from trimtab.cli.reward_server import (
    BATCH,
    IN_FLIGHT,
    BatchOption,
    ConfigOption,
    InFlightOption,
    RewardOption,
    VerifierOption,
    reward_server,
)
from trimtab.cli.row_options import FileArgument, MetadataField, PromptField, ReferencesField
from trimtab.cli.rows_progress import RowsProgress
from trimtab.cli.running import Signals, run
from trimtab.cli.score_view import short
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.scoring.references import DataCheck, Problem
    from trimtab.scoring.rows import RowReader
    from trimtab.scoring.verifier import Verifier

_LISTED = 1000


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("check-data")
    def check_data(
        file: FileArgument,
        reward: RewardOption = None,
        config: ConfigOption = None,
        verifier: VerifierOption = "",
        references_field: ReferencesField = None,
        prompt_field: PromptField = None,
        metadata_field: MetadataField = None,
        limit: Annotated[
            int | None, typer.Option(min=1, help="Looks at the first rows only.")
        ] = None,
        out: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="Writes the problems, as .parquet or .jsonl."),
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Prints one JSON object.")] = False,
        batch: BatchOption = BATCH,
        in_flight: InFlightOption = IN_FLIGHT,
    ) -> None:
        """Finds references that the verifier cannot read, and rows without reference or prompt.

        Ends with 0 if all is well, with 1 if something was found.

        Example: `trimtab check-data train.parquet --verifier math`
        """
        from trimtab.scoring.files import RowFile
        from trimtab.scoring.rows import Fields, RowReader

        if out is not None and out.suffix not in (".parquet", ".jsonl"):
            raise ConfigError(f"--out {out} is neither a .parquet nor a .jsonl file")
        if out is not None and out.resolve() == file.resolve():
            raise ConfigError(f"--out {out} is the file that is read")
        fields = Fields(
            response=None,
            references=references_field,
            prompt=prompt_field,
            metadata=tuple(metadata_field or ()),
        )
        command = _Checking(
            reader=RowReader(RowFile(file), fields),
            reward=reward,
            config=config,
            verifier=verifier,
            limit=limit,
            out=out,
            as_json=as_json,
            batch=batch,
            in_flight=in_flight,
        )
        raise typer.Exit(run(command.run))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checking:
    """One pass over the file."""

    reader: RowReader
    reward: str | None
    config: str | None
    verifier: str
    limit: int | None
    out: Path | None
    as_json: bool
    batch: int
    in_flight: int

    async def run(self, signals: Signals) -> int:
        """Looks at everything and shows what was found; gives the exit status."""
        from trimtab.client.reward import RewardClient
        from trimtab.scoring.references import DataCheck
        from trimtab.scoring.verifier import Verifier

        async with AsyncExitStack() as stack:
            server = await stack.enter_async_context(
                reward_server(self.reward, self.config, signals)
            )
            client = await stack.enter_async_context(RewardClient(server.target))
            verifier = await Verifier.find(client, self.verifier)
            check = DataCheck(self.reader, verifier, limit=self.limit)
            await server.while_serving(self._check(check))
        if not check.row_count:
            raise ConfigError(f"{self.reader.file.path} has no rows")
        problems = check.problems
        if self.out is not None:
            _write(problems, self.out)
        self._show(check, verifier, problems)
        return 1 if problems else 0

    async def _check(self, check: DataCheck) -> None:
        total = self.reader.file.count_rows()
        steps = check.run(batch=self.batch, in_flight=self.in_flight)
        with RowsProgress(min(total, self.limit or total)) as progress:
            async with aclosing(steps):
                async for found in steps:
                    progress.update(check.row_count, found)

    def _show(self, check: DataCheck, verifier: Verifier, problems: Sequence[Problem]) -> None:
        counts = Counter(str(problem.kind) for problem in problems)
        path = self.reader.file.path
        if self.as_json:
            found = {
                "file": str(path),
                "verifier": verifier.name,
                "verifier_version": verifier.version,
                "rows": check.row_count,
                "references": check.reference_count,
                "prompts_checked": check.checks_prompts,
                "counts": counts,
                "problems": [problem._asdict() for problem in problems],
            }
            typer.echo(json.dumps(found))
            return
        if problems:
            _show_table(problems[:_LISTED])
        if len(problems) > _LISTED:
            say(f"and {len(problems) - _LISTED:,} more: --out FILE has them all")
        if not check.checks_prompts:
            say("there is no column 'prompt': name it with --prompt-field to have it checked")
        summary = ", ".join(f"{count} x {kind}" for kind, count in counts.most_common())
        output.print(
            f"{check.row_count} rows, {check.reference_count} references checked by "
            f"{verifier.name} ({verifier.version}): {summary or 'all is well'}",
            markup=False,
            soft_wrap=True,
        )
        if self.out is not None:
            output.print(f"problems in {self.out}", markup=False, soft_wrap=True)


def _show_table(problems: Sequence[Problem]) -> None:
    from rich.table import Table

    table = Table(title="problems")
    table.add_column("row", justify="right")
    for heading in ("problem", "reference", "detail"):
        table.add_column(heading, overflow="fold")
    for problem in problems:
        detail = short(problem.detail)
        table.add_row(str(problem.row), problem.kind, short(problem.reference), detail)
    output.print(table)


def _write(problems: Sequence[Problem], out: Path) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from trimtab.records.files import write_atomically
    from trimtab.scoring.references import Problem

    rows = [problem._asdict() for problem in problems]
    buffer = io.BytesIO()
    if out.suffix == ".parquet":
        kinds = [pa.int64(), pa.string(), pa.string(), pa.string()]
        schema = pa.schema(list(zip(Problem._fields, kinds, strict=True)))
        for row in rows:
            # A lone surrogate, which JSON can spell, has no UTF-8.
            row["reference"] = row["reference"].encode("utf-8", "replace").decode()
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), buffer)
    else:
        buffer.write("".join(f"{json.dumps(row)}\n" for row in rows).encode())
    try:
        write_atomically(out, buffer.getvalue())
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
