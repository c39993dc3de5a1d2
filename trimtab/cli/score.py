"""`trimtab score`: verdicts on a file of responses."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from trimtab.cli.console import say
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
from trimtab.cli.row_options import (
    Audit,
    AuditShare,
    FileArgument,
    MetadataField,
    NoReferences,
    PromptField,
    ReferencesField,
    ResponseField,
    Restart,
    ScoreOut,
    Show,
)
from trimtab.cli.rows_progress import RowsProgress
from trimtab.cli.running import Signals, run
from trimtab.cli.score_view import show_summary
from trimtab.errors import ConfigError

if TYPE_CHECKING:
    from trimtab.client.reward import RewardClient
    from trimtab.scoring.partial import PartialVerdicts
    from trimtab.scoring.rows import Fields, RowReader


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command("score")
    def score(
        file: FileArgument,
        reward: RewardOption = None,
        config: ConfigOption = None,
        out: ScoreOut = None,
        verifier: VerifierOption = "",
        response_field: ResponseField = "response",
        references_field: ReferencesField = None,
        no_references: NoReferences = False,
        prompt_field: PromptField = None,
        metadata_field: MetadataField = None,
        audit: Audit = None,
        audit_share: AuditShare = 0.05,
        restart: Restart = False,
        show: Show = 10,
        batch: BatchOption = BATCH,
        in_flight: InFlightOption = IN_FLIGHT,
    ) -> None:
        """Judges the responses in a file against their references.

        Run again after it was cut short, it goes on where it was.

        Example: `trimtab score answers.jsonl --verifier math --audit numeric`
        """
        from trimtab.scoring.files import RowFile
        from trimtab.scoring.rows import Fields, RowReader

        fields = Fields(
            response=response_field,
            references=references_field,
            needs_references=not no_references,
            prompt=prompt_field,
            metadata=tuple(metadata_field or ()),
        )
        command = _Scoring(
            reader=RowReader(RowFile(file), fields),
            fields=fields,
            out=_out_file(file, out),
            reward=reward,
            config=config,
            verifier=verifier,
            audit=audit,
            audit_share=audit_share,
            restart=restart,
            show=show,
            batch=batch,
            in_flight=in_flight,
        )
        raise typer.Exit(run(command.run))


def _out_file(file: Path, out: Path | None) -> Path:
    chosen = out or file.with_suffix(".scored.parquet")
    if chosen.suffix != ".parquet":
        raise ConfigError(f"--out {chosen} is not a .parquet file")
    if chosen.resolve() == file.resolve():
        raise ConfigError(f"--out {chosen} is the file that is read")
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scoring:
    """One pass over the file, or the rest of one."""

    reader: RowReader
    fields: Fields
    out: Path
    reward: str | None
    config: str | None
    verifier: str
    audit: str | None
    audit_share: float
    restart: bool
    show: int
    batch: int
    in_flight: int

    async def run(self, signals: Signals) -> int:
        """Scores everything and shows what came out; gives the exit status."""
        from trimtab.client.reward import RewardClient
        from trimtab.scoring.partial import PartialVerdicts
        from trimtab.scoring.summary import summarise

        partial = PartialVerdicts(self.out)
        try:
            async with AsyncExitStack() as stack:
                server = await stack.enter_async_context(
                    reward_server(self.reward, self.config, signals)
                )
                client = await stack.enter_async_context(RewardClient(server.target))
                await server.while_serving(self._score(client, partial))
        finally:
            self._end(partial)
        show_summary(summarise(self.out, shown=self.show), self.out)
        return 0

    def _end(self, partial: PartialVerdicts) -> None:
        """Says what is left for another time, if something is."""
        partial.close()
        if partial.folder.is_dir() and partial.done_count:
            say(
                f"{partial.done_count:,} of {partial.row_count:,} rows are kept in "
                f"{partial.folder}: the same command goes on from there, --restart begins anew"
            )

    async def _score(self, client: RewardClient, partial: PartialVerdicts) -> None:
        from trimtab.scoring.audit import AuditedVerifier
        from trimtab.scoring.job import Job
        from trimtab.scoring.pipeline import Judge, judged
        from trimtab.scoring.verifier import Verifier

        reader = self.reader
        verifier = await Verifier.find(client, self.verifier)
        audit = None if self.audit is None else await Verifier.find(client, self.audit)
        job = Job.of(reader, self.fields, verifier, audit, self.audit_share)
        if partial.resume(job, restart=self.restart):
            reader.use_references(partial.references)
            say(f"going on behind the first {partial.done_count:,} rows, which have verdicts")
        else:
            row_count = reader.survey()
            partial.begin(job, row_count=row_count, references=reader.fields.references)
        done = partial.done_count
        rows = reader.rows(number=done, position=partial.position)
        judge: Judge = verifier
        if audit is not None:
            judge = AuditedVerifier(verifier, audit, share=self.audit_share)
        batches = judged(rows, judge, batch=self.batch, in_flight=self.in_flight)
        with RowsProgress(partial.row_count, done=done) as progress:
            async with aclosing(batches):
                async for found in batches:
                    partial.add(found)
                    done += len(found.rows)
                    progress.update(done, partial.outcomes)
        reader.file.check_unchanged()
        partial.finish()
