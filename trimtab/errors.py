"""Errors that cross the wire, and the one table that gives each reason its status code.

    TrimtabError
    ├── ServiceError    raised by a service; travels as google.rpc.ErrorInfo
    │   └── Overloaded  ... with a delay after which a retry may succeed
    ├── RemoteError     what a client raises when a call failed
    └── ConfigError     a config that does not hold; names the field

This module imports no gRPC, so that domain code may raise these errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

DOMAIN = "trimtab"
"""`ErrorInfo.domain` of every error of the services."""


class Reason(StrEnum):
    """`ErrorInfo.reason`: what went wrong, in one word that programs can compare."""

    INVALID_FIELD = "INVALID_FIELD"
    DUPLICATE_ID = "DUPLICATE_ID"
    TOO_MANY_ITEMS = "TOO_MANY_ITEMS"
    CONFIG_INVALID = "CONFIG_INVALID"
    PROMPT_TOO_LONG = "PROMPT_TOO_LONG"
    TOKEN_OUT_OF_RANGE = "TOKEN_OUT_OF_RANGE"  # noqa: S105
    NO_CHAT_TEMPLATE = "NO_CHAT_TEMPLATE"
    STREAM_INCOMPLETE = "STREAM_INCOMPLETE"
    STREAM_OUT_OF_ORDER = "STREAM_OUT_OF_ORDER"
    UNKNOWN_TENSOR = "UNKNOWN_TENSOR"
    MISSING_TENSOR = "MISSING_TENSOR"
    SHAPE_MISMATCH = "SHAPE_MISMATCH"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    FILE_NOT_FOUND = "FILE_NOT_FOUND"
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    RUN_EXISTS = "RUN_EXISTS"
    PATH_NOT_ALLOWED = "PATH_NOT_ALLOWED"
    TARGET_NOT_ALLOWED = "TARGET_NOT_ALLOWED"
    DTYPE_MISMATCH = "DTYPE_MISMATCH"
    WEIGHTS_MISMATCH = "WEIGHTS_MISMATCH"
    TOKENIZER_MISMATCH = "TOKENIZER_MISMATCH"
    RUN_ACTIVE = "RUN_ACTIVE"
    RUN_NOT_ACTIVE = "RUN_NOT_ACTIVE"
    WRONG_DRIVER = "WRONG_DRIVER"
    STEP_OUT_OF_ORDER = "STEP_OUT_OF_ORDER"
    NO_CHECKPOINT = "NO_CHECKPOINT"
    NOT_ENOUGH_VALID_SAMPLES = "NOT_ENOUGH_VALID_SAMPLES"
    UPDATE_IN_PROGRESS = "UPDATE_IN_PROGRESS"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    OVERLOADED = "OVERLOADED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_IMPLEMENTED = "NOT_IMPLEMENTED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    NO_VERDICT = "NO_VERDICT"
    ENGINE_DEAD = "ENGINE_DEAD"
    PEER_UNAVAILABLE = "PEER_UNAVAILABLE"
    INTERNAL = "INTERNAL"


STATUS_BY_REASON: Mapping[Reason, str] = {
    Reason.INVALID_FIELD: "INVALID_ARGUMENT",
    Reason.DUPLICATE_ID: "INVALID_ARGUMENT",
    Reason.TOO_MANY_ITEMS: "INVALID_ARGUMENT",
    Reason.CONFIG_INVALID: "INVALID_ARGUMENT",
    Reason.PROMPT_TOO_LONG: "INVALID_ARGUMENT",
    Reason.TOKEN_OUT_OF_RANGE: "INVALID_ARGUMENT",
    Reason.NO_CHAT_TEMPLATE: "INVALID_ARGUMENT",
    Reason.STREAM_INCOMPLETE: "INVALID_ARGUMENT",
    Reason.STREAM_OUT_OF_ORDER: "INVALID_ARGUMENT",
    Reason.UNKNOWN_TENSOR: "INVALID_ARGUMENT",
    Reason.MISSING_TENSOR: "INVALID_ARGUMENT",
    Reason.SHAPE_MISMATCH: "INVALID_ARGUMENT",
    Reason.MODEL_NOT_FOUND: "NOT_FOUND",
    Reason.FILE_NOT_FOUND: "NOT_FOUND",
    Reason.RUN_NOT_FOUND: "NOT_FOUND",
    Reason.RUN_EXISTS: "ALREADY_EXISTS",
    Reason.PATH_NOT_ALLOWED: "PERMISSION_DENIED",
    Reason.TARGET_NOT_ALLOWED: "PERMISSION_DENIED",
    Reason.DTYPE_MISMATCH: "FAILED_PRECONDITION",
    Reason.WEIGHTS_MISMATCH: "FAILED_PRECONDITION",
    Reason.TOKENIZER_MISMATCH: "FAILED_PRECONDITION",
    Reason.RUN_ACTIVE: "FAILED_PRECONDITION",
    Reason.RUN_NOT_ACTIVE: "FAILED_PRECONDITION",
    Reason.WRONG_DRIVER: "FAILED_PRECONDITION",
    Reason.STEP_OUT_OF_ORDER: "FAILED_PRECONDITION",
    Reason.NO_CHECKPOINT: "FAILED_PRECONDITION",
    Reason.NOT_ENOUGH_VALID_SAMPLES: "FAILED_PRECONDITION",
    Reason.UPDATE_IN_PROGRESS: "ABORTED",
    Reason.DIGEST_MISMATCH: "DATA_LOSS",
    Reason.MESSAGE_TOO_LARGE: "RESOURCE_EXHAUSTED",
    Reason.OVERLOADED: "RESOURCE_EXHAUSTED",
    Reason.DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
    Reason.NOT_IMPLEMENTED: "UNIMPLEMENTED",
    Reason.SHUTTING_DOWN: "UNAVAILABLE",
    Reason.NO_VERDICT: "UNAVAILABLE",
    Reason.ENGINE_DEAD: "UNAVAILABLE",
    Reason.PEER_UNAVAILABLE: "UNAVAILABLE",
    Reason.INTERNAL: "INTERNAL",
}
"""The gRPC status code, by name, under which each reason travels."""


class TrimtabError(Exception):
    """Base of every error that this package raises on purpose."""


class ServiceError(TrimtabError):
    """A call, or a part of it, that a service refuses."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """`message` says what is wrong and how to mend it; `field` is the path in the request."""
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata = dict(metadata or {})


class Overloaded(ServiceError):
    """A full queue: the caller may come again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(Reason.OVERLOADED, message)
        self.retry_after_s = retry_after_s


class RemoteError(TrimtabError):
    """A call that failed on the other side or on the way there."""

    def __init__(
        self, *, code: str, reason: str, message: str, target: str, metadata: Mapping[str, str]
    ) -> None:
        """`code` is the status by name; `reason` is empty where the peer gave no ErrorInfo."""
        super().__init__(f"{target}: {reason or code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.target = target
        self.metadata = dict(metadata)


class ConfigError(TrimtabError):
    """A config that does not hold; `str()` is one line that names the field."""

    def __init__(self, message: str, *, field: str = "", source: str = "") -> None:
        """`source` is the file or argument that the value came from."""
        super().__init__(": ".join(part for part in (source, field, message) if part))
        self.field = field
