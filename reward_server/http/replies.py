"""Errors as HTTP: a status, and a JSON object that programs can read."""

from __future__ import annotations

import math
from collections.abc import Mapping

from starlette.responses import Response

from reward_server.http.texts import serialized
from trimtab.errors import STATUS_BY_REASON, Overloaded, Reason, ServiceError

_STATUS_BY_CODE: Mapping[str, int] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "DATA_LOSS": 500,
    "INTERNAL": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_CONTENT_TOO_LARGE = 413
_RETRY_AFTER_S = 1.0


def json_response(body: bytes, status: int = 200) -> Response:
    """A reply that holds JSON."""
    return Response(body, status, media_type="application/json")


def error_response(error: ServiceError) -> Response:
    """The reply of a call that is refused."""
    code = STATUS_BY_REASON[error.reason]
    too_large = error.reason is Reason.MESSAGE_TOO_LARGE
    status = _CONTENT_TOO_LARGE if too_large else _STATUS_BY_CODE[code]
    response = problem_response(status, code, str(error.reason), error.message, error.field)
    if too_large:
        # What is left of the body is of no use to anybody.
        response.headers["Connection"] = "close"
    if isinstance(error, Overloaded):
        response.headers["Retry-After"] = _whole_seconds(error.retry_after_s)
    elif code == "UNAVAILABLE":
        response.headers["Retry-After"] = _whole_seconds(_RETRY_AFTER_S)
    return response


def problem_response(
    status: int, code: str, reason: str, message: str, field: str = ""
) -> Response:
    """An error's JSON: its code as Connect writes it, reason, message and the field to mend."""
    problem = {"code": code.lower(), "message": message, "reason": reason, "field": field}
    return json_response(serialized(problem), status)


def _whole_seconds(seconds: float) -> str:
    return str(max(1, math.ceil(seconds)))
