"""A real reward server that answers HTTP, and a client of it from the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.wire.reward_server_process import TIMEOUT_S, RewardServer, running_reward_server

SCORE = "/trimtab.reward.v1.RewardService/Score"
INFO = "/trimtab.reward.v1.RewardService/GetInfo"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A running server by its two sides."""

    grpc: RewardServer
    address: str

    def call(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        headers: Mapping[str, str] = JSON,
        tls: ssl.SSLContext | None = None,
    ) -> Reply:
        """The reply to one request; a body that is no text is sent as JSON."""
        connection = (
            http.client.HTTPSConnection(self.address, timeout=TIMEOUT_S, context=tls)
            if tls
            else http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        )
        with contextlib.closing(connection):
            raw = isinstance(body, bytes | str) or body is None or hasattr(body, "__next__")
            connection.request(method, path, body if raw else json.dumps(body), dict(headers))
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()), dict(response.getheaders()))


@contextlib.contextmanager
def running_http_server(*settings: str) -> Iterator[HttpServer]:
    """A server with `key=value` settings and all compatible shapes, ended afterwards."""
    shapes = ("http.listen='127.0.0.1:0'", "http.compat=[openrlhf, slime]")
    with running_reward_server(*shapes, *settings) as running:
        assert running.process.stdout is not None
        line = running.process.stdout.readline()
        assert line.startswith("reward answers HTTP on "), line
        yield HttpServer(running, line.split()[-1])
