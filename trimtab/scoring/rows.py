"""Reads responses and references row by row, in bounded memory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.errors import ConfigError

REFERENCES_FIELDS = (
    "references",
    "reference",
    "answer",
    "ground_truth",
    "reward_model.ground_truth",
)
"""Where references are looked for, in this order, unless a column is named."""
_READ_ROWS = 256


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be scored."""

    number: int
    """Where it stands in the file, from 0; empty lines do not count."""
    response: str
    """The text to judge."""
    references: Sequence[str]
    """Alternative right answers."""
    position: int
    """Where the reader stands, in the unit of `RowReader.size`."""


class RowReader:
    """The rows of a parquet or jsonl file."""

    def __init__(self, path: Path, *, response_field: str, references_field: str | None) -> None:
        """Looks at the file, not yet at its rows.

        Raises:
            ConfigError: there is no such file, its kind is not known, or it cannot be read.
        """
        if not path.is_file():
            raise ConfigError(f"there is no file {path} (looked in {Path.cwd()})")
        if path.suffix not in (".parquet", ".jsonl"):
            raise ConfigError(f"{path} is neither a .parquet nor a .jsonl file")
        self.path = path
        self._response_field = response_field
        self._references_field = references_field
        self._is_parquet = path.suffix == ".parquet"
        self.size = _row_count(path) if self._is_parquet else path.stat().st_size
        """Rows of a parquet file, bytes of a jsonl file."""

    def rows(self) -> Iterator[Row]:
        """Every row in order.

        Raises:
            ConfigError: the file cannot be read, lacks a column, or a row does not hold; the
                message names the row.
        """
        raw = _parquet_rows(self.path) if self._is_parquet else self._json_rows()
        number = -1
        for number, (values, position) in enumerate(raw):
            if number == 0:
                self._check_columns(values)
            yield self._row(number, values, position)
        if number < 0:
            raise ConfigError(f"{self.path} has no rows")

    def _check_columns(self, values: Mapping[str, Any]) -> None:
        """The first row decides where references stand, and shows what is not there."""
        listed = ", ".join(values) or "none"
        if not _has(values, self._response_field):
            raise ConfigError(
                f"{self.path} has no column {self._response_field!r} (columns: {listed}): "
                "name it with --response-field"
            )
        if self._references_field is None:
            found = [name for name in REFERENCES_FIELDS if _has(values, name)]
            if not found:
                raise ConfigError(
                    f"{self.path} has none of the columns {', '.join(REFERENCES_FIELDS)} "
                    f"(columns: {listed}): name it with --references-field"
                )
            self._references_field = found[0]
        elif not _has(values, self._references_field):
            raise ConfigError(
                f"{self.path} has no column {self._references_field!r} (columns: {listed}): "
                "name another with --references-field"
            )

    def _row(self, number: int, values: Mapping[str, Any], position: int) -> Row:
        assert self._references_field is not None
        response = _column(values, self._response_field)
        if not isinstance(response, str):
            raise self._bad(number, f"no text in column {self._response_field!r}", response)
        found = _column(values, self._references_field)
        references = found if isinstance(found, list) else [found]
        if not references or not all(_is_reference(reference) for reference in references):
            raise self._bad(number, f"no answer in column {self._references_field!r}", found)
        return Row(number, response, [str(reference) for reference in references], position)

    def _bad(self, number: int, problem: str, found: object) -> ConfigError:
        shown = "nothing" if found is None else f"a {type(found).__name__}"
        return ConfigError(f"row {number} of {self.path} has {problem} (there is {shown})")

    def _json_rows(self) -> Iterator[tuple[Mapping[str, Any], int]]:
        number = position = 0
        with self.path.open("rb") as lines:
            for line in lines:
                position += len(line)
                if not line.strip():
                    continue
                try:
                    values = json.loads(line)
                except ValueError as error:
                    raise ConfigError(
                        f"row {number} of {self.path} is not JSON: {error}"
                    ) from error
                if not isinstance(values, dict):
                    raise ConfigError(f"row {number} of {self.path} is not a JSON object")
                number += 1
                yield values, position


def _is_reference(value: object) -> bool:
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, str | int | float | Decimal) and not isinstance(value, bool)


def _has(values: Mapping[str, Any], field: str) -> bool:
    """True if the column is there, whatever it holds."""
    if field in values:
        return True
    *parents, last = field.split(".")
    value: Any = values
    for key in parents:
        value = value.get(key) if isinstance(value, Mapping) else None
    return isinstance(value, Mapping) and last in value


def _column(values: Mapping[str, Any], field: str) -> Any:
    """The column's value; dots go into structures unless a column has the very name."""
    if field in values:
        return values[field]
    value: Any = values
    for key in field.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _row_count(path: Path) -> int:
    try:
        count: int = pq.read_metadata(path).num_rows
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error
    return count


def _parquet_rows(path: Path) -> Iterator[tuple[Mapping[str, Any], int]]:
    number = 0
    try:
        with pq.ParquetFile(path, pre_buffer=False) as file:
            for batch in file.iter_batches(batch_size=_READ_ROWS):
                for values in batch.to_pylist():
                    number += 1
                    yield values, number
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}")
