"""Keeps the verdicts of an unfinished job beside its output, so that it can go on later.

The folder holds numbered parquet parts and a journal. A part counts once its line stands in the
journal, so a crash at any moment loses at most the part in progress, and nothing comes twice.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.errors import ConfigError
from trimtab.records.files import append_json_line, read_json_lines, write_atomically
from trimtab.scoring.job import Job
from trimtab.scoring.pipeline import Judged
from trimtab.scoring.verdicts import AUDITED_SCHEMA, SCHEMA, Audit, Verdict, table_of

PART_ROWS = 8192
"""Rows after which a part is written."""
PART_S = 3.0
"""Seconds after which one is written though it has fewer."""
_GROUP_ROWS = 16_384


class PartialVerdicts:
    """The verdicts so far, from the first row on without a gap."""

    def __init__(self, out: Path) -> None:
        """Those of the output file `out`; nothing is read or created yet."""
        self.out = out
        self.folder = out.with_name(f"{out.name}.partial")
        self.row_count = 0
        """Rows of the whole input."""
        self.references: str | None = None
        """The column that holds the references."""
        self.done_count = 0
        """Rows that are safely kept."""
        self.position = 0
        """Where the reader stood behind them."""
        self.outcomes: Counter[str] = Counter()
        """Outcomes of all rows so far, those included that are not yet kept."""
        self._schema = SCHEMA
        self._parts: list[Mapping[str, Any]] = []
        self._verdicts: list[Verdict] = []
        self._audits: list[Audit] = []
        self._waiting_position = 0
        self._written_s = 0.0
        self._lock: BinaryIO | None = None
        self._is_open = False

    @property
    def _journal(self) -> Path:
        return self.folder / "journal.jsonl"

    def resume(self, job: Job, *, restart: bool) -> bool:
        """Takes up what an earlier command left; False if there is nothing.

        Raises:
            ConfigError: it belongs to another job, or another command is at work on it.
        """
        if not self.folder.is_dir():
            return False
        self._take_lock()
        head, *lines = [*read_json_lines(self._journal)] or [{}]
        if restart or "job" not in head:
            self._clear()
            return False
        job.check_same(Job.from_json(head["job"]), str(self.folder))
        self._open(job)
        self.row_count, self.references = head["rows"], head["references"]
        for line in lines:
            if line["part"] != len(self._parts) or not self._is_whole(line):
                break
            self._keep(line)
            self.outcomes.update(line["outcomes"])
        # Without the lines that were cut and the parts that never came to count.
        write_atomically(self._journal, _json_lines([head, *self._parts]))
        kept = {self._part_path(number) for number in range(len(self._parts))}
        for path in self.folder.glob("*.parquet*"):
            if path not in kept:
                path.unlink()
        return True

    def begin(self, job: Job, *, row_count: int, references: str | None) -> None:
        """Begins anew.

        Raises:
            ConfigError: the folder cannot be created, or another command is at work on it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            head = {"job": job.to_json(), "rows": row_count, "references": references}
            write_atomically(self._journal, _json_lines([head]))
        except OSError as error:
            raise ConfigError(f"{self.out} cannot be written: {error.strerror}") from error
        self._open(job)
        self.row_count, self.references = row_count, references

    def add(self, judged: Judged) -> None:
        """Takes the next rows' verdicts; they are kept with the part in progress."""
        self._verdicts += judged.verdicts
        self._audits += judged.audits or ()
        self._waiting_position = judged.rows[-1].position
        self.outcomes.update(verdict.outcome for verdict in judged.verdicts)
        late = time.monotonic() - self._written_s > PART_S
        if late or len(self._verdicts) >= PART_ROWS:
            self.commit()

    def commit(self) -> None:
        """Keeps what was added."""
        self._written_s = time.monotonic()
        if not self._verdicts:
            return
        audits = self._audits if self._schema is AUDITED_SCHEMA else None
        path = self._part_path(len(self._parts))
        _write_durably(table_of(self._verdicts, audits), path)
        line = {
            "part": len(self._parts),
            "rows": len(self._verdicts),
            "position": self._waiting_position,
            "outcomes": Counter(verdict.outcome for verdict in self._verdicts),
        }
        append_json_line(self._journal, line)
        self._keep(line)
        self._verdicts, self._audits = [], []

    def finish(self) -> None:
        """Merges the parts into the output in one step and removes them.

        Raises:
            ConfigError: rows are missing.
        """
        self.commit()
        if self.done_count != self.row_count:
            raise ConfigError(
                f"{self.done_count} of {self.row_count} rows have a verdict: "
                "the file has not the rows that it had; begin anew with --restart"
            )
        merged = self.folder / "merged.parquet.tmp"
        with pq.ParquetWriter(merged, self._schema, compression="zstd") as writer:
            rest = self._schema.empty_table()
            for number in range(len(self._parts)):
                rest = pa.concat_tables([rest, pq.read_table(self._part_path(number))])
                while rest.num_rows >= _GROUP_ROWS:
                    writer.write_table(rest.slice(0, _GROUP_ROWS).combine_chunks())
                    rest = rest.slice(_GROUP_ROWS)
            if rest.num_rows:
                writer.write_table(rest.combine_chunks())
        _sync(merged)
        merged.replace(self.out)
        self._is_open = False
        shutil.rmtree(self.folder)
        self._release_lock()

    def close(self) -> None:
        """Keeps what was added, and leaves no folder that holds nothing."""
        if self._is_open:
            self.commit()
            if not self._parts:
                shutil.rmtree(self.folder)
        self._is_open = False
        self._release_lock()

    def _open(self, job: Job) -> None:
        self._schema = SCHEMA if job.audit is None else AUDITED_SCHEMA
        self._is_open = True
        self._written_s = time.monotonic()

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        lock = (self.folder / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise ConfigError(
                f"another command is at work on {self.out}: wait for it, or name another --out"
            ) from None
        self._lock = lock

    def _release_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _clear(self) -> None:
        self._journal.unlink(missing_ok=True)
        for path in self.folder.glob("*.parquet*"):
            path.unlink()

    def _part_path(self, number: int) -> Path:
        return self.folder / f"part-{number:06d}.parquet"

    def _is_whole(self, line: Mapping[str, Any]) -> bool:
        try:
            rows: int = pq.read_metadata(self._part_path(line["part"])).num_rows
        except (pa.ArrowException, OSError):
            return False
        expected: int = line["rows"]
        return rows == expected

    def _keep(self, line: Mapping[str, Any]) -> None:
        self._parts.append(line)
        self.done_count += line["rows"]
        self.position = line["position"]


def _json_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _write_durably(table: pa.Table, path: Path) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    pq.write_table(table, temporary, compression="zstd")
    _sync(temporary)
    temporary.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
