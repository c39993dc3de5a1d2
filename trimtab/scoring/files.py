"""Reads parquet and jsonl files row by row, in bounded memory, from any row on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.errors import ConfigError

_BATCH_BYTES = 8 << 20
_MOST_BATCH_ROWS = 4096
_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as it stands in the file."""

    number: int
    """Where it stands, from 0; empty lines do not count."""
    position: int
    """Where the reader stands behind it: bytes of a jsonl file, rows of a parquet file."""
    values: Mapping[str, Any] | None
    """By column; None if the row cannot be read."""
    problem: str = ""
    """Why it cannot be read."""


class RowFile:
    """A parquet or jsonl file."""

    def __init__(self, path: Path) -> None:
        """Looks at the file, not yet at its rows.

        Raises:
            ConfigError: there is no such file, its kind is not known, or it cannot be read.
        """
        if not path.is_file():
            raise ConfigError(f"there is no file {path} (looked in {Path.cwd()})")
        if path.suffix not in (".parquet", ".jsonl"):
            raise ConfigError(f"{path} is neither a .parquet nor a .jsonl file")
        self.path = path
        self._is_parquet = path.suffix == ".parquet"
        self._state = self._look()
        self.column_names: Sequence[str] = ()
        """Columns of a parquet file; those of the first row of a jsonl file, once it was read."""
        if self._is_parquet:
            self.column_names = _parquet_columns(path)

    def rows(
        self, columns: Collection[str], *, number: int = 0, position: int = 0
    ) -> Iterator[RawRow]:
        """The rows from `number` on, in order; `position` is that of the row before.

        A parquet file gives those of the columns that it has. Dots go into structures.

        Raises:
            ConfigError: the file cannot be read.
        """
        if self._is_parquet:
            return _parquet_rows(self.path, columns, number)
        return self._json_rows(number, position)

    def count_rows(self) -> int:
        """How many rows there are.

        Raises:
            ConfigError: the file cannot be read.
        """
        try:
            if self._is_parquet:
                count: int = pq.read_metadata(self.path).num_rows
                return count
            with self.path.open("rb") as lines:
                return sum(not line.isspace() for line in lines)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.path, error) from error

    def digest(self) -> str:
        """SHA-256 of the content, in hexadecimal digits."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def check_unchanged(self) -> None:
        """Returns if nobody wrote to the file since it was opened.

        Raises:
            ConfigError: somebody did.
        """
        if self._look() != self._state:
            raise ConfigError(
                f"{self.path} was changed while it was read: run the command again "
                "when it is complete, with --restart"
            )

    def _look(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except OSError as error:
            raise unreadable(self.path, error) from error
        return found.st_size, found.st_mtime_ns

    def _json_rows(self, number: int, position: int) -> Iterator[RawRow]:
        try:
            with self.path.open("rb") as lines:
                lines.seek(position)
                for line in lines:
                    position += len(line)
                    if line.isspace():
                        continue
                    values, problem = _json_values(line)
                    if values is not None and not self.column_names:
                        self.column_names = tuple(values)
                    yield RawRow(number, position, values, problem)
                    number += 1
        except OSError as error:
            raise unreadable(self.path, error) from error


def unreadable(path: Path, error: Exception) -> ConfigError:
    """The error of a file that the system or the format refuses."""
    return ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}")


def _json_values(line: bytes) -> tuple[Mapping[str, Any] | None, str]:
    try:
        values = json.loads(line)
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as error:
        return None, f"is not JSON: {error}"
    if not isinstance(values, dict):
        return None, "is not a JSON object"
    return values, ""


def _parquet_columns(path: Path) -> Sequence[str]:
    try:
        return tuple(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def _parquet_rows(path: Path, columns: Collection[str], start: int) -> Iterator[RawRow]:
    number = 0
    try:
        # Buffered, so that a large row group is not loaded whole.
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            groups: list[int] = []
            for index in range(file.num_row_groups):
                group_rows = file.metadata.row_group(index).num_rows
                if not groups and number + group_rows <= start:
                    number += group_rows
                else:
                    groups.append(index)
            size = _batch_rows(file.metadata)
            for batch in file.iter_batches(size, row_groups=groups, columns=list(columns)):
                if number + batch.num_rows <= start:
                    number += batch.num_rows
                    continue
                for values, problem in _batch_values(batch):
                    if number >= start:
                        yield RawRow(number, number + 1, values, problem)
                    number += 1
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def _batch_rows(metadata: Any) -> int:
    total_bytes = sum(
        metadata.row_group(index).total_byte_size for index in range(metadata.num_row_groups)
    )
    row_bytes = total_bytes / max(metadata.num_rows, 1)
    return max(1, min(_MOST_BATCH_ROWS, int(_BATCH_BYTES / max(row_bytes, 1))))


def _batch_values(batch: pa.RecordBatch) -> Iterator[tuple[Mapping[str, Any] | None, str]]:
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        for index in range(batch.num_rows):
            try:
                [values] = batch.slice(index, 1).to_pylist()
            except UnicodeDecodeError as error:
                yield None, f"is not UTF-8: {error}"
            else:
                yield values, ""
    else:
        for values in rows:
            yield values, ""
