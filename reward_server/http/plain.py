"""The contract itself as JSON, by protobuf's own mapping; Connect's unary calls look the same."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.message import Message

from reward_server.http.boundary import Call
from reward_server.http.texts import parsed, serialized
from trimtab.errors import Reason, ServiceError
from trimtab.reward.v1 import reward_pb2

M = TypeVar("M", bound=Message)
R = TypeVar("R")

Score = Callable[[reward_pb2.ScoreRequest, float], Awaitable[reward_pb2.ScoreResponse]]
"""Scores a request within so many seconds."""
Info = Callable[[], reward_pb2.GetInfoResponse]

_LONG_BYTES = 1 << 16
"""Longer texts are read and written in a thread, so that the event loop goes on."""
_MANY_RESULTS = 256
_UNKNOWN = re.compile(r'has no field named "(?P<name>[^"]*)" at "(?P<path>[^"]*)"')
_AT = re.compile(r" at (?P<path>\w+Request[\w.\[\]]*?)\.*$")
_FIELD = re.compile(r"Failed to parse (?P<name>\w+) field: ")


class PlainJson:
    """Handlers of Score and GetInfo."""

    def __init__(self, score: Score, info: Info) -> None:
        self._score = score
        self._info = info

    async def score(self, call: Call) -> bytes:
        """Scores a ScoreRequest in JSON."""
        request = await aside(len(call.body) > _LONG_BYTES, _score_request, call.body)
        response = await self._score(request, call.remaining_s)
        return await aside(len(response.results) > _MANY_RESULTS, _json_of, response)

    async def info(self, call: Call) -> bytes:
        """Tells what the server offers."""
        _message(call.body or b"{}", reward_pb2.GetInfoRequest())
        return _json_of(self._info())


async def aside(is_long: bool, work: Callable[[Any], R], argument: Any) -> R:
    """What `work` gives; in a thread if it takes long."""
    return await asyncio.to_thread(work, argument) if is_long else work(argument)


def _score_request(body: bytes) -> reward_pb2.ScoreRequest:
    return _message(body, reward_pb2.ScoreRequest())


def _message(body: bytes, message: M) -> M:
    try:
        return json_format.ParseDict(parsed(body), message)
    except json_format.ParseError as error:
        raise _refused(str(error)) from error


def _refused(problem: str) -> ServiceError:
    """The error with the path of the field that does not hold, as far as the parser tells it."""
    text, _, _ = problem.partition("\n")
    if unknown := _UNKNOWN.search(text):
        _, _, path = unknown["path"].partition(".")
        field = ".".join(part for part in (path, unknown["name"]) if part)
        return ServiceError(Reason.INVALID_FIELD, "there is no such field", field=field)
    if at := _AT.search(text):
        _, _, field = at["path"].partition(".")
    else:
        field = ".".join(_FIELD.findall(text))
    message = text[list(_FIELD.finditer(text))[-1].end() :] if _FIELD.search(text) else text
    return ServiceError(Reason.INVALID_FIELD, message.rstrip("."), field=field)


def _json_of(message: Message) -> bytes:
    return serialized(json_format.MessageToDict(message))
