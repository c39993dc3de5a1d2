"""Reads responses and references row by row, and writes verdicts, in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.errors import ConfigError

REFERENCE_FIELDS = (
    "references",
    "reference",
    "answer",
    "ground_truth",
    "reward_model.ground_truth",
)
"""Where references are looked for, in this order, unless a field is named."""
_READ_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file."""

    number: int
    """Where it stands, from 1; in a jsonl file the line's number."""
    id: str
    """Its column `id`, else its number."""
    response: str = ""
    """The text to judge."""
    references: Sequence[str] = field(default_factory=tuple)
    """Alternative right answers."""
    problem: str = ""
    """Why it cannot be scored; empty if it can."""


class RowReader:
    """The rows of a parquet or jsonl file."""

    def __init__(self, path: Path, *, response_field: str, references_field: str | None) -> None:
        """Looks at the file's kind and size only.

        Raises:
            ConfigError: there is no such file, or its kind is not known.
        """
        if not path.is_file():
            raise ConfigError(f"there is no file {path} (looked in {Path.cwd()})")
        if path.suffix not in (".parquet", ".jsonl"):
            raise ConfigError(f"{path} is neither a .parquet nor a .jsonl file")
        self._path = path
        self._response_field = response_field
        self._references_field = references_field
        self.count = _parquet_count(path) if path.suffix == ".parquet" else None
        """Rows of the file; None where only reading tells."""

    def rows(self) -> Iterator[Row]:
        """Every row in order, the bad ones with what is wrong with them.

        Raises:
            ConfigError: the file cannot be read, or has none of the columns.
        """
        raw = _parquet_rows if self._path.suffix == ".parquet" else _json_rows
        seen = False
        for number, values in raw(self._path):
            if isinstance(values, str):
                yield Row(number, str(number), problem=values)
                continue
            if not seen:
                self._check_columns(values)
                seen = True
            yield self._row(number, values)

    def _check_columns(self, values: Mapping[str, Any]) -> None:
        """The first readable row decides where references stand, and names what is not there."""
        listed = ", ".join(values) or "none"
        if self._references_field is None:
            found = [name for name in REFERENCE_FIELDS if _column(values, name) is not None]
            if not found:
                raise ConfigError(
                    f"{self._path} has no references in any of {', '.join(REFERENCE_FIELDS)} "
                    f"(columns: {listed}): say --references-field"
                )
            self._references_field = found[0]
        if self._response_field.partition(".")[0] not in values:
            raise ConfigError(
                f"{self._path} has no column {self._response_field} (columns: {listed}): "
                "say --response-field"
            )

    def _row(self, number: int, values: Mapping[str, Any]) -> Row:
        row_id = str(values.get("id", number))
        response = _column(values, self._response_field)
        if not isinstance(response, str):
            return Row(number, row_id, problem=f"no text in column {self._response_field}")
        assert self._references_field is not None
        found = _column(values, self._references_field)
        references = found if isinstance(found, list) else [found]
        if not references or not all(_is_reference(reference) for reference in references):
            return Row(number, row_id, problem=f"no reference in column {self._references_field}")
        return Row(number, row_id, response, [str(reference) for reference in references])


def _is_reference(value: object) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _column(values: Mapping[str, Any], dotted: str) -> Any:
    value: Any = values
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _json_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    """Line numbers with the line's object, or with what is wrong with the line."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                values = json.loads(line)
            except ValueError as error:
                yield number, f"not JSON: {error}"
                continue
            yield number, values if isinstance(values, dict) else "not a JSON object"


def _parquet_count(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        count: int = pq.ParquetFile(path).metadata.num_rows
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    return count


def _parquet_rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=_READ_ROWS):
            for values in batch.to_pylist():
                number += 1
                yield number, values
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
