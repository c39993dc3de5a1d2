"""Writes verdicts to a parquet or jsonl file, batch by batch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from trimtab.errors import ConfigError

_STRINGS = ("id", "outcome", "extracted_answer", "detail", "cause", "verifier_version")
COLUMNS = (
    "id", "row", "outcome", "reward", "extracted_answer", "detail", "cause", "verifier_version",
    "elapsed_s",
)  # fmt: skip
"""Columns of the file, in order."""


class VerdictWriter:
    """A file of verdicts; use as a context manager."""

    def __init__(self, path: Path) -> None:
        """Creates the file.

        Raises:
            ConfigError: its kind is not known, or it cannot be created.
        """
        if path.suffix not in (".parquet", ".jsonl"):
            raise ConfigError(f"--out {path} is neither a .parquet nor a .jsonl file")
        self._parquet: Any = None
        self._lines: IO[str] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".parquet":
                self._parquet = _open_parquet(path)
            else:
                self._lines = path.open("w", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--out {path} cannot be written: {error.strerror}") from error

    def write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds verdicts, each with all columns."""
        if self._lines is not None:
            self._lines.writelines(json.dumps(dict(row)) + "\n" for row in rows)
        elif rows:
            import pyarrow as pa

            self._parquet.write_table(pa.Table.from_pylist(list(rows), schema=_schema()))

    def __enter__(self) -> VerdictWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.close()
        if self._parquet is not None:
            self._parquet.close()


def _schema() -> Any:
    import pyarrow as pa

    types = {name: pa.string() for name in _STRINGS}
    types |= {"row": pa.int64(), "reward": pa.float64(), "elapsed_s": pa.float64()}
    return pa.schema([(name, types[name]) for name in COLUMNS])


def _open_parquet(path: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.ParquetWriter(path, _schema(), compression="zstd")
