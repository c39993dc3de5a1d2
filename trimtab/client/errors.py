"""Turns a failed call into one error with its reason."""

from __future__ import annotations

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc import aio

from trimtab.errors import RemoteError

_DETAILS_KEY = "grpc-status-details-bin"


def from_rpc_error(error: aio.AioRpcError | grpc.Call, *, target: str) -> RemoteError:
    """The error with what the peer's ErrorInfo says, if it sent one."""
    reason, metadata = "", {}
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    reason, metadata = info.reason, dict(info.metadata)
    return RemoteError(
        code=error.code().name,
        reason=reason,
        message=error.details() or "",
        target=target,
        metadata=metadata,
    )


def remote_error(message: str, *, target: str) -> RemoteError:
    """The error of a peer that cannot be reached."""
    return RemoteError(code="UNAVAILABLE", reason="", message=message, target=target, metadata={})
