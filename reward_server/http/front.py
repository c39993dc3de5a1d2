"""Listens for HTTP in the server's own event loop, from the first call to the last drained one."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from reward_server.http.boundary import Boundary, Handler
from reward_server.http.plain import Info, PlainJson, Score
from reward_server.http.replies import json_response, problem_response
from reward_server.http.texts import serialized
from reward_server.http.trainers import TrainerShapes
from trimtab.config.http import HttpConfig
from trimtab.config.reward import RewardServerConfig
from trimtab.errors import ConfigError
from trimtab.server.listening import address_of, listening_socket
from trimtab.server.logs import get_logger

_log = get_logger("http")
SERVICE_PATH = "/trimtab.reward.v1.RewardService"
_IDLE_S = 75  # trainers keep connections: one that is closed under a request fails it
_STOP_MARGIN_S = 5.0
_CODE_BY_STATUS: Mapping[int, str] = {404: "NOT_FOUND", 405: "UNIMPLEMENTED"}


class _Server(uvicorn.Server):
    """uvicorn's, which leaves signals to the process that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpFront:
    """The HTTP side of a reward server."""

    def __init__(
        self, config: RewardServerConfig, http: HttpConfig, score: Score, info: Info
    ) -> None:
        """Nothing listens yet."""
        self._config = config
        self._http = http
        self._is_serving = False
        self._grace_s = config.drain_grace_s
        self._socket: socket.socket | None = None
        self._server: _Server | None = None
        self._running: asyncio.Task[None] | None = None
        self._app = self._application(score, info)
        self.address = ""
        """HOST:PORT as really taken, once it listens."""

    def start(self) -> None:
        """Listens.

        Raises:
            ConfigError: the address cannot be listened on, or must not be without TLS.
        """
        host, port = address_of(self._http.listen, self._config, field="http.listen")
        self._socket = listening_socket(host, port, field="http.listen")
        self.address = f"{host}:{self._socket.getsockname()[1]}"
        self._server = _Server(self._uvicorn_config())
        self._running = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    def health_changed(self, serving: bool) -> None:
        """Tells what /healthz is to say."""
        self._is_serving = serving
        if serving:
            print(f"reward answers HTTP on {self.address}", flush=True)  # noqa: T201
            _log.info("answering HTTP", address=self.address, compat=list(self._http.compat))

    def drain(self) -> None:
        """Takes no more connections; running calls may end within the grace period."""
        if self._server is not None:
            self._server.should_exit = True

    async def close(self) -> None:
        """Returns when the last call has ended."""
        if self._running is not None:
            self.drain()
            await asyncio.wait({self._running}, timeout=self._grace_s + _STOP_MARGIN_S)
            self._running.cancel()
            await asyncio.wait({self._running})
        if self._socket is not None:
            self._socket.close()

    def _uvicorn_config(self) -> uvicorn.Config:
        tls = self._config.tls
        config = uvicorn.Config(
            self._app,
            loop="none",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_S,
            timeout_graceful_shutdown=round(self._grace_s),
            ssl_certfile=tls.cert_file if tls else None,
            ssl_keyfile=tls.key_file if tls else None,
            ssl_ca_certs=str(tls.client_ca_file) if tls and tls.client_ca_file else None,
            ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca_file else ssl.CERT_NONE,
        )
        try:
            config.load()
        except OSError as error:
            raise ConfigError(f"the files do not hold: {error}", field="tls") from error
        return config

    def _application(self, score: Score, info: Info) -> Starlette:
        boundary = Boundary(
            max_body_bytes=self._config.max_message_bytes,
            deadline_s=self._http.deadline_s,
            deadline_cap_s=self._config.deadline_cap_s,
            max_calls=self._config.max_concurrent_calls,
        )
        plain = PlainJson(score, info)
        names = {*self._config.verifiers, *self._config.routes}
        shapes = TrainerShapes(score, self._http, names)
        posts: dict[str, Handler] = {
            f"{SERVICE_PATH}/Score": plain.score,
            f"{SERVICE_PATH}/GetInfo": plain.info,
        }
        if "openrlhf" in self._http.compat:
            posts["/get_reward"] = shapes.openrlhf
        if "slime" in self._http.compat:
            posts["/"] = posts["/slime"] = shapes.slime
        routes = [
            Route(path, boundary.endpoint(handler), methods=["POST"])
            for path, handler in posts.items()
        ]
        routes.append(Route("/healthz", self._healthz, methods=["GET"]))
        handlers: Any = {HTTPException: _no_such_call(sorted(posts))}
        return Starlette(routes=routes, exception_handlers=handlers)

    async def _healthz(self, request: Request) -> Response:  # noqa: ARG002 - as Starlette calls it
        state = "SERVING" if self._is_serving else "NOT_SERVING"
        return json_response(serialized({"status": state}), 200 if self._is_serving else 503)


def _no_such_call(
    paths: list[str],
) -> Callable[[Request, HTTPException], Awaitable[Response]]:
    async def answer(request: Request, error: HTTPException) -> Response:
        code = _CODE_BY_STATUS.get(error.status_code, "INVALID_ARGUMENT")
        what = f"{request.method} {request.url.path}: {HTTPStatus(error.status_code).phrase}"
        message = f"{what}; calls here are POST to {', '.join(paths)}, and GET /healthz"
        return problem_response(error.status_code, code, "NOT_IMPLEMENTED", message)

    return answer
