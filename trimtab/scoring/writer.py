"""Writes verdicts to a parquet file that is either whole or not there."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.errors import ConfigError

SCHEMA = pa.schema(
    [
        ("row", pa.int64()),
        ("outcome", pa.string()),
        ("reward", pa.float64()),
        ("extracted_answer", pa.string()),
        ("detail", pa.string()),
        ("cause", pa.string()),
        ("verifier_version", pa.string()),
        ("elapsed_s", pa.float64()),
    ]
)
"""Columns of the file, in order."""
_GROUP_ROWS = 4096


class VerdictWriter:
    """A file of verdicts that appears when the `with` block ends without an error."""

    def __init__(self, path: Path) -> None:
        """Nothing is created yet."""
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._writer: Any = None
        self._rows: list[Mapping[str, Any]] = []

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds verdicts, each with all columns."""
        self._rows += rows
        if len(self._rows) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=SCHEMA))
        self._rows.clear()

    def __enter__(self) -> VerdictWriter:
        """Creates a file beside the one that is meant.

        Raises:
            ConfigError: it cannot be created.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._temporary, SCHEMA, compression="zstd")
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be written: {error.strerror}") from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._rows:
                self._flush()
            self._writer.close()
            if kind is None:
                self._temporary.replace(self._path)
        finally:
            self._temporary.unlink(missing_ok=True)
