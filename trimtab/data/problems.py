"""Problems of a data set: from a file in the verl layout, or made up by a generator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from trimtab.config.data import DatasetConfig
from trimtab.data.arithmetic import problems as arithmetic_problems
from trimtab.errors import Reason, ServiceError
from trimtab.model_path import within_roots

_DEFAULT_GENERATED = 4096


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt and its right answers."""

    row: int
    """Where it stands in the data set, from 0."""
    prompt: str | tuple[Mapping[str, str], ...]
    """A text, or messages with `role` and `content`."""
    references: tuple[str, ...]
    """Alternative right answers."""


def load_problems(
    config: DatasetConfig, *, field: str, roots: Sequence[Path] | None = None
) -> list[Problem]:
    """The problems of a data set in order.

    `field` is where the config stands in the run's, for errors. `roots` limits files that come
    from the wire; None trusts the path.

    Raises:
        ServiceError: the file does not exist, may not be read, or a row does not hold.
    """
    if config.generator == "arithmetic":
        count = config.count or _DEFAULT_GENERATED
        try:
            made = arithmetic_problems(count, seed=config.seed, split=config.split)
        except ValueError as error:
            raise ServiceError(Reason.CONFIG_INVALID, str(error), field=f"{field}.count") from error
        return [Problem(row, problem.prompt, (problem.answer,)) for row, problem in enumerate(made)]
    path = _checked_path(config, field, roots)
    problems = []
    for row, values in enumerate(_rows(path, field)):
        if config.count is not None and row >= config.count:
            break
        problems.append(_problem(row, values, config, field, path))
    if not problems:
        raise ServiceError(Reason.CONFIG_INVALID, f"{path} has no rows", field=f"{field}.path")
    return problems


def _checked_path(config: DatasetConfig, field: str, roots: Sequence[Path] | None) -> Path:
    assert config.path is not None
    path = config.path.expanduser()
    if roots is not None and not within_roots(path, roots):
        listed = ", ".join(str(root.resolve()) for root in roots)
        raise ServiceError(
            Reason.PATH_NOT_ALLOWED,
            f"{path} is outside the server's data_roots ({listed})",
            field=f"{field}.path",
        )
    if not path.is_file():
        raise ServiceError(
            Reason.FILE_NOT_FOUND,
            f"there is no file {path} (looked in {Path.cwd()})",
            field=f"{field}.path",
        )
    return path


def _rows(path: Path, field: str) -> Iterator[Mapping[str, Any]]:
    if path.suffix == ".parquet":
        try:
            yield from pq.read_table(path).to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise _unreadable(path, field, str(error).splitlines()[0]) from error
    elif path.suffix in (".jsonl", ".json"):
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _json_row(path, field, number, line)
    else:
        raise _unreadable(path, field, "use a .parquet or .jsonl file")


def _json_row(path: Path, field: str, number: int, line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise _unreadable(path, field, f"line {number} is not UTF-8") from error
    except ValueError as error:
        raise _unreadable(path, field, f"line {number} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise _unreadable(path, field, f"line {number} is not a JSON object")
    return row


def _unreadable(path: Path, field: str, why: str) -> ServiceError:
    return ServiceError(Reason.CONFIG_INVALID, f"cannot read {path}: {why}", field=f"{field}.path")


def _problem(
    row: int, values: Mapping[str, Any], config: DatasetConfig, field: str, path: Path
) -> Problem:
    prompt = _column(values, config.prompt_field)
    references = _column(values, config.references_field)
    if isinstance(references, str | int | float) and not isinstance(references, bool):
        references = [references]
    if isinstance(prompt, str) and prompt:
        parsed: str | tuple[Mapping[str, str], ...] = prompt
    elif isinstance(prompt, list) and prompt and all(_is_message(part) for part in prompt):
        parsed = tuple({"role": part["role"], "content": part["content"]} for part in prompt)
    else:
        raise _bad_row(
            path, row, f"{field}.prompt_field", config.prompt_field, "a text or messages", values
        )
    if not isinstance(references, list) or not references or None in references:
        raise _bad_row(
            path, row, f"{field}.references_field", config.references_field, "an answer", values
        )
    return Problem(row, parsed, tuple(str(reference) for reference in references))


def _column(values: Mapping[str, Any], dotted: str) -> Any:
    value: Any = values
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_message(part: Any) -> bool:
    return (
        isinstance(part, Mapping)
        and isinstance(part.get("role"), str)
        and isinstance(part.get("content"), str)
    )


def _bad_row(
    path: Path, row: int, field: str, column: str, wanted: str, values: Mapping[str, Any]
) -> ServiceError:
    return ServiceError(
        Reason.CONFIG_INVALID,
        f"row {row} of {path} has no {wanted} in column {column!r} (columns: {', '.join(values)})",
        field=field,
    )
