"""Makes items to judge from the rows of a file, and says what is wrong with a row."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from typing import Any

from trimtab.errors import ConfigError
from trimtab.scoring.files import RawRow, RowFile

REFERENCES_FIELDS = (
    "references",
    "reference",
    "answer",
    "ground_truth",
    "reward_model.ground_truth",
)
"""Where references are looked for, in this order, unless a column is named."""
PROMPT_FIELD = "prompt"
"""Where the prompt is looked for, unless a column is named."""
METADATA_FIELD = "metadata"
"""Where metadata is looked for, unless columns are named."""
_MOST_DEPTH = 32  # protobuf refuses what is nested in 100 messages; a value takes up to three
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Which columns hold what. Dots go into structures unless a column has the very name."""

    response: str | None = "response"
    """The text to judge; None: it is not read."""
    references: str | None = None
    """A right answer, or a list of them; None: the first of REFERENCES_FIELDS that exists."""
    needs_references: bool = True
    """False: rows may be without."""
    prompt: str | None = None
    """A text, or messages; None: PROMPT_FIELD where it exists."""
    metadata: tuple[str, ...] = ()
    """Metadata: the parts of an object, or a value under its column's name; none:
    METADATA_FIELD where it exists."""

    @property
    def columns(self) -> tuple[str, ...]:
        """All that may have to be read."""
        references = (self.references,) if self.references else REFERENCES_FIELDS
        named = (self.response, self.prompt or PROMPT_FIELD)
        return (
            *(name for name in named if name is not None),
            *references,
            *(self.metadata or (METADATA_FIELD,)),
        )


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be judged."""

    number: int
    """Where it stands in the file, from 0; empty lines do not count."""
    response: str
    """The text to judge."""
    references: Sequence[str]
    """Alternative right answers."""
    position: int = 0
    """Where the reader stands behind it."""
    prompt: str = ""
    """The prompt as text."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Whatever else the verifier wants to know, as JSON values."""

    @property
    def size(self) -> int:
        """Characters of all of it."""
        size = len(self.response) + len(self.prompt)
        for reference in self.references:
            size += len(reference)
        return size + len(json.dumps(self.metadata)) if self.metadata else size


class Fault(StrEnum):
    """What is wrong with a row."""

    UNREADABLE = "unreadable"
    NO_RESPONSE = "no response"
    NO_REFERENCE = "no reference"
    NO_PROMPT = "no prompt"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that does not hold."""

    number: int
    """Where it stands, as in `Row`."""
    fault: Fault
    """What is wrong."""
    problem: str
    """The same in words, behind "row N ..."."""


class RowReader:
    """The rows of a file, as they can be judged."""

    def __init__(self, file: RowFile, fields: Fields) -> None:
        """Reads nothing yet."""
        self.file = file
        self.fields = fields
        """Those given; `references` is filled in with the first row that has some."""
        self._sought = {
            name for name in (fields.response, fields.references, fields.prompt) if name
        }
        self._sought |= set(fields.metadata)

    def read(self, *, number: int = 0, position: int = 0) -> Iterator[Row | BadRow]:
        """Every row from `number` on, in order; `position` is that of the row before.

        Raises:
            ConfigError: the file cannot be read.
        """
        for raw in self.file.rows(self.fields.columns, number=number, position=position):
            yield self._row(raw)

    def rows(self, *, number: int = 0, position: int = 0) -> Iterator[Row]:
        """As `read`, for a file that was surveyed.

        Raises:
            ConfigError: the file cannot be read, or a row does not hold.
        """
        for row in self.read(number=number, position=position):
            if isinstance(row, BadRow):
                raise ConfigError(f"row {row.number} of {self.file.path} {row.problem}")
            yield row

    def use_references(self, name: str | None) -> None:
        """Takes the references from the column that an earlier survey found."""
        self.fields = replace(self.fields, references=name)

    def survey(self) -> int:
        """Reads the whole file; gives the number of its rows.

        Raises:
            ConfigError: the file cannot be read, lacks a column, or a row does not hold; the
                message names the first ones.
        """
        count = bad_count = 0
        bad: list[BadRow] = []
        for row in self.read():
            count += 1
            if isinstance(row, BadRow):
                bad_count += 1
                if len(bad) < _SHOWN_PROBLEMS:
                    bad.append(row)
        self.check_columns()
        if bad_count == 1:
            raise ConfigError(f"row {bad[0].number} of {self.file.path} {bad[0].problem}")
        if bad:
            shown = "; ".join(f"row {row.number} of the file {row.problem}" for row in bad)
            more = f"; and {bad_count - len(bad)} more" if bad_count > len(bad) else ""
            raise ConfigError(f"{self.file.path} has {bad_count} bad rows: {shown}{more}")
        if not count:
            raise ConfigError(f"{self.file.path} has no rows")
        return count

    def check_columns(self) -> None:
        """Returns if every column was met that was asked for.

        Raises:
            ConfigError: one was in no row.
        """
        listed = ", ".join(self.file.column_names)
        if not listed:
            return
        fields, path = self.fields, self.file.path
        missing = [name for name in fields.columns if name in self._sought]
        if missing:
            options = {
                fields.response: "--response-field",
                fields.references: "--references-field",
                fields.prompt: "--prompt-field",
            }
            option = options.get(missing[0], "--metadata-field")
            raise ConfigError(
                f"{path} has no column {missing[0]!r} (columns: {listed}): name it with {option}"
            )
        if fields.references is None and fields.needs_references:
            raise ConfigError(
                f"{path} has none of the columns {', '.join(REFERENCES_FIELDS)} "
                f"(columns: {listed}): name it with --references-field"
            )

    def _row(self, raw: RawRow) -> Row | BadRow:
        values = raw.values
        if values is None:
            return BadRow(raw.number, Fault.UNREADABLE, raw.problem)
        if self._sought:
            self._sought = {name for name in self._sought if not has(values, name)}
        fields = self.fields
        response: Any = ""
        if fields.response is not None:
            response = column(values, fields.response)
            if not isinstance(response, str):
                problem = f"has no text in column {fields.response!r} {_there_is(response)}"
                return BadRow(raw.number, Fault.NO_RESPONSE, problem)
        references = self._references(raw.number, values)
        if isinstance(references, BadRow):
            return references
        prompt = _prompt_text(column(values, fields.prompt or PROMPT_FIELD))
        if prompt is None:
            if fields.prompt is not None:
                problem = f"has neither a text nor messages in column {fields.prompt!r}"
                return BadRow(raw.number, Fault.NO_PROMPT, problem)
            prompt = ""
        metadata: Mapping[str, Any] = {}
        try:
            metadata = _metadata(values, fields.metadata or (METADATA_FIELD,))
        except ValueError as error:
            if fields.metadata:
                return BadRow(raw.number, Fault.METADATA, str(error))
        return Row(raw.number, response, references, raw.position, prompt, metadata)

    def _references(self, number: int, values: Mapping[str, Any]) -> Sequence[str] | BadRow:
        fields = self.fields
        if fields.references is None:
            found_names = [name for name in REFERENCES_FIELDS if has(values, name)]
            if found_names:
                self.fields = fields = replace(fields, references=found_names[0])
        if fields.references is None:
            if not fields.needs_references:
                return ()
            return BadRow(number, Fault.NO_REFERENCE, "has no column with an answer")
        found = column(values, fields.references)
        if found is None and not fields.needs_references:
            return ()
        references = found if isinstance(found, list) else [found]
        if not references or not all(map(_is_reference, references)):
            problem = f"has no answer in column {fields.references!r} {_there_is(found)}"
            return BadRow(number, Fault.NO_REFERENCE, problem)
        return [str(reference) for reference in references]


def has(values: Mapping[str, Any], name: str) -> bool:
    """True if the column is there, whatever it holds."""
    if name in values:
        return True
    *parents, last = name.split(".")
    value: Any = values
    for key in parents:
        value = value.get(key) if isinstance(value, dict) else None
    return isinstance(value, dict) and last in value


def column(values: Mapping[str, Any], name: str) -> Any:
    """The column's value; dots go into structures unless a column has the very name."""
    if name in values:
        return values[name]
    value: Any = values
    for key in name.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_reference(value: object) -> bool:
    if isinstance(value, str):
        return True
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _there_is(found: object) -> str:
    return f"(there is {'nothing' if found is None else f'a {type(found).__name__}'})"


def _prompt_text(value: Any) -> str | None:
    """The prompt; empty if there is none, None if it is something else."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not all(isinstance(part, dict) for part in value):
        return None
    contents = [part.get("content") for part in value]
    return "\n\n".join(text for text in contents if isinstance(text, str))


def _metadata(values: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for name in names:
        value = column(values, name)
        if isinstance(value, dict):
            metadata.update({key: _json(part, name) for key, part in value.items()})
        elif value is not None:
            metadata[name.rpartition(".")[2]] = _json(value, name)
    return metadata


def _json(value: Any, name: str, depth: int = 0) -> Any:
    """The value as JSON has it.

    Raises:
        ValueError: JSON has no such value.
    """
    if depth > _MOST_DEPTH:
        raise ValueError(f"is nested too deeply in column {name!r}")
    if value is None or isinstance(value, str | bool | float):
        return value
    if isinstance(value, int | Decimal):
        try:
            return float(value)
        except OverflowError as error:
            raise ValueError(f"has a number in column {name!r} that JSON cannot hold") from error
    if isinstance(value, dict):
        return {str(key): _json(part, name, depth + 1) for key, part in value.items()}
    if isinstance(value, list):
        return [_json(part, name, depth + 1) for part in value]
    raise ValueError(f"has a {type(value).__name__} in column {name!r}: metadata holds JSON values")
