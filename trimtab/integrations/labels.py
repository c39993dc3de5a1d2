"""What trainers call a label, a ground truth or a solution, as references of our contract."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab.errors import TrimtabError

REFERENCE_KEYS = (
    "references",
    "reference",
    "ground_truth",
    "answer",
    "solution",
    "label",
    "target",
)
"""Where a mapping keeps its right answer: the first of these that it has."""
_TESTS = {"inputs", "outputs"}
_DEEPEST = 24  # protobuf reads a hundred levels, of which a level of JSON takes three


class LabelError(TrimtabError):
    """A label that holds no right answer."""


def references_of(label: Any) -> list[str]:
    """The alternative right answers that a label stands for; None stands for none.

    Texts and numbers are one answer, a list is several, a mapping holds them under one of
    `REFERENCE_KEYS`, or is a program's tests: `inputs` and `outputs`. Arrays and their scalars
    count as lists and numbers.

    Raises:
        LabelError: it is of another kind.
    """
    plain = _plain(label)
    if plain is None:
        return []
    if isinstance(plain, str):
        return [plain]
    if isinstance(plain, bool | int | float):
        return [_number(plain)]
    if isinstance(plain, Mapping):
        for key in REFERENCE_KEYS:
            if key in plain:
                return references_of(plain[key])
        if plain.keys() >= _TESTS:
            return [json.dumps(_json(plain))]
        raise LabelError(f"a mapping needs one of {', '.join(REFERENCE_KEYS)}")
    if isinstance(plain, Sequence) and not isinstance(plain, bytes):
        return [_one(part, index) for index, part in enumerate(plain)]
    raise LabelError(f"a {type(plain).__name__} is no text, number, list or mapping")


def _one(part: Any, index: int) -> str:
    plain = _plain(part)
    if isinstance(plain, str):
        return plain
    if isinstance(plain, bool | int | float):
        return _number(plain)
    raise LabelError(f"entry {index} is a {type(plain).__name__}, not a text or a number")


def _plain(value: Any) -> Any:
    """The value itself, or what an array or a scalar of one holds."""
    return value.tolist() if hasattr(value, "tolist") else value


def _number(value: bool | int | float) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        raise LabelError(f"{value} is no right answer, but what tables hold where there is none")
    return json.dumps(value)


def metadata_of(label: Any) -> Mapping[str, Any]:
    """What a mapping says besides its right answer, as JSON values.

    Raises:
        LabelError: a value is not one.
    """
    if not isinstance(label, Mapping) or not any(key in label for key in REFERENCE_KEYS):
        return {}
    answer = next(key for key in REFERENCE_KEYS if key in label)
    return {str(key): _json(value) for key, value in label.items() if key != answer}


def _json(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise LabelError(f"it is nested more than {_DEEPEST} levels deep")
    plain = _plain(value)
    if plain is None or isinstance(plain, str | bool | int | float):
        return plain
    if isinstance(plain, Mapping):
        return {str(key): _json(part, depth + 1) for key, part in plain.items()}
    if isinstance(plain, Sequence) and not isinstance(plain, bytes):
        return [_json(part, depth + 1) for part in plain]
    raise LabelError(f"a {type(plain).__name__} is no JSON value")
