"""Turns a service's errors into gRPC statuses with google.rpc details."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from trimtab.errors import DOMAIN, STATUS_BY_REASON, Overloaded, ServiceError

DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
# Trailers travel in HTTP/2 headers, whose total size peers cap at 8 KiB; the message is in them
# three times, once percent-encoded.
_MAX_MESSAGE_BYTES = 1500
_MAX_FIELD_BYTES = 200


def status_code(error: ServiceError) -> grpc.StatusCode:
    """The code that the table gives the error's reason."""
    return grpc.StatusCode[STATUS_BY_REASON[error.reason]]


def status_message(error: ServiceError) -> str:
    """The error's message, cut and mended so that it can travel."""
    return _fitting(error.message, _MAX_MESSAGE_BYTES)


def _fitting(text: str, most_bytes: int) -> str:
    """The text in valid Unicode, cut where its percent-encoding would get too long."""
    valid = text.encode("utf-8", "replace").decode()
    used_bytes = 0
    for index, character in enumerate(valid):
        plain = " " <= character <= "~" and character != "%"
        used_bytes += 1 if plain else 3 * len(character.encode())
        if used_bytes > most_bytes:
            return f"{valid[:index]}..."
    return valid


def trailing_metadata(error: ServiceError) -> tuple[tuple[str, str | bytes], ...]:
    """The trailers that carry ErrorInfo, and what else the error has to say."""
    message = status_message(error)
    field = _fitting(error.field, _MAX_FIELD_BYTES)
    info_metadata = {**error.metadata, **({"field": field} if field else {})}
    info_metadata = {key: _fitting(value, _MAX_FIELD_BYTES) for key, value in info_metadata.items()}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=info_metadata)
    ]
    if field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    trailers: list[tuple[str, str | bytes]] = []
    if isinstance(error, Overloaded):
        delay = Duration()
        delay.FromMilliseconds(int(error.retry_after_s * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        trailers.append((PUSHBACK_KEY, str(int(error.retry_after_s * 1000))))
    status = status_pb2.Status(code=status_code(error).value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    trailers.append((DETAILS_KEY, status.SerializeToString()))
    return tuple(trailers)
