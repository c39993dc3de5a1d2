"""JSON that strangers send, as values that can travel in messages."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from trimtab.errors import Reason, ServiceError

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object in a body, with U+FFFD for lone surrogates.

    Raises:
        ServiceError: INVALID_FIELD; it holds none.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
        if _ESCAPED_SURROGATE.search(body):
            value = _mended(value)
    except UnicodeDecodeError as error:
        raise _refused(f"it is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error
    except ValueError as error:
        raise _refused(str(error)) from error
    if not isinstance(value, dict):
        raise _refused(f"it is a {type(value).__name__}, not an object")
    return value


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_mended(part) for part in value]
    if isinstance(value, dict):
        return {_mended(key): _mended(part) for key, part in value.items()}
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


def _refused(problem: str) -> ServiceError:
    return ServiceError(Reason.INVALID_FIELD, f"the body is no JSON object: {problem}")


def serialized(value: Any) -> bytes:
    """The value as compact JSON."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()
