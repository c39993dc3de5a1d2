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
_MAX_MESSAGE_CHARS = 2000  # trailers travel in HTTP/2 headers, whose total size peers cap at 8 KiB


def status_code(error: ServiceError) -> grpc.StatusCode:
    """The code that the table gives the error's reason."""
    return grpc.StatusCode[STATUS_BY_REASON[error.reason]]


def trailing_metadata(error: ServiceError) -> tuple[tuple[str, str | bytes], ...]:
    """The trailers that carry ErrorInfo, and what else the error has to say."""
    message = error.message[:_MAX_MESSAGE_CHARS]
    info_metadata = {**error.metadata, **({"field": error.field} if error.field else {})}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=info_metadata)
    ]
    if error.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.field, description=message
        )
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
