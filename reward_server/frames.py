"""Messages between the server and its worker processes: a length, then JSON.

JSON and nothing richer: a worker handles hostile text, so what it says must not be able to run
anything in the server.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
from typing import Any

_LENGTH = struct.Struct("!I")
MAX_REPLY_BYTES = 1 << 20
"""Longest reply that the server takes from a worker."""


class BadFrame(ValueError):
    """The other side does not keep to the format."""


def encode(message: dict[str, Any]) -> bytes:
    """The message with its length in front."""
    body = json.dumps(message).encode()
    return _LENGTH.pack(len(body)) + body


async def read_reply(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next message of a worker.

    Raises:
        asyncio.IncompleteReadError: the worker is gone.
        BadFrame: what it says is no message, or too long.
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > MAX_REPLY_BYTES:
        raise BadFrame(f"a reply of {length} bytes")
    try:
        message = json.loads(await reader.readexactly(length))
    except ValueError as error:
        raise BadFrame("a reply that is not JSON") from error
    if not isinstance(message, dict):
        raise BadFrame("a reply that is no mapping")
    return message


def receive(fd: int) -> dict[str, Any] | None:
    """The next message on a blocking descriptor; None when the other side has closed it."""
    header = _read_exactly(fd, _LENGTH.size)
    if header is None:
        return None
    body = _read_exactly(fd, _LENGTH.unpack(header)[0])
    if body is None:
        return None
    message: dict[str, Any] = json.loads(body)
    return message


def send(fd: int, message: dict[str, Any]) -> None:
    """Writes a message to a blocking descriptor."""
    data = memoryview(encode(message))
    while data:
        data = data[os.write(fd, data) :]


def _read_exactly(fd: int, size: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
