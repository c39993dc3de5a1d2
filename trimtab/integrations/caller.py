"""Scores for trainers: from threads, event loops and forked or pickled copies alike."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import grpc

from trimtab.client.channel import Tls, open_sync_channel
from trimtab.client.errors import from_rpc_error
from trimtab.client.reward import Item, RewardClient
from trimtab.errors import ConfigError, RemoteError
from trimtab.integrations.attempts import Attempts
from trimtab.reward.v1 import reward_pb2
from trimtab.reward.v1.reward_pb2_grpc import RewardServiceStub

TARGET_VARIABLE = "TRIMTAB_REWARD"
"""Names the reward server where the caller does not."""
DEFAULT_TARGET = "127.0.0.1:50052"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """TLS files of a connection; each may be None."""

    ca_file: Path | None = None
    """PEM file with the authority of the server's certificate; None: the system's."""
    cert_file: Path | None = None
    """PEM file with this side's certificate."""
    key_file: Path | None = None
    """PEM file with its private key."""


class Caller:
    """Has items judged by one target. Connects on first use, in each process for itself."""

    def __init__(
        self,
        target: str | None = None,
        *,
        timeout_s: float = 120.0,
        patience_s: float = 300.0,
        tls: Tls | None = None,
    ) -> None:
        """`timeout_s` bounds one call, `patience_s` the attempts while a server is out of reach.

        Without a target the environment's TRIMTAB_REWARD counts, else 127.0.0.1:50052; without
        `tls` its TRIMTAB_REWARD_CA, _CERT and _KEY, else plaintext.
        """
        self.target = target or os.environ.get(TARGET_VARIABLE) or DEFAULT_TARGET
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._tls = tls or _tls_of_environment()
        self._forget_connections()

    def _forget_connections(self) -> None:
        self._lock = threading.Lock()
        self._stub: tuple[int, RewardServiceStub] | None = None
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, RewardClient] = (
            weakref.WeakKeyDictionary()
        )

    def __getstate__(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.__dict__.items()
            if key not in {"_lock", "_stub", "_clients"}
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._forget_connections()

    def score(self, items: Sequence[Item]) -> list[reward_pb2.ScoreResult]:
        """One result per item, in order; blocks, and may be called from many threads at once.

        Raises:
            RemoteError: the server refuses the call, or stays out of reach.
        """
        attempts = self._attempts(items)
        while requests := attempts.requests():
            stub = self._connected()
            for request in requests:
                try:
                    attempts.took(request, stub.Score(request, timeout=self._timeout_s))
                except grpc.RpcError as error:
                    call = cast(grpc.Call, error)
                    attempts.failed(from_rpc_error(call, target=self.target))
                    break
            if not attempts.is_done:
                time.sleep(attempts.pause_s())
        return attempts.results()

    async def score_async(self, items: Sequence[Item]) -> list[reward_pb2.ScoreResult]:
        """The same for an event loop.

        Raises:
            RemoteError: the server refuses the call, or stays out of reach.
        """
        attempts = self._attempts(items)
        while requests := attempts.requests():
            client = self._client()
            for request in requests:
                try:
                    attempts.took(request, await client.call(request, timeout_s=self._timeout_s))
                except RemoteError as error:
                    attempts.failed(error)
                    break
            if not attempts.is_done:
                await asyncio.sleep(attempts.pause_s())
        return attempts.results()

    def _attempts(self, items: Sequence[Item]) -> Attempts:
        return Attempts(items, target=self.target, patience_s=self._patience_s)

    def _connected(self) -> RewardServiceStub:
        """This process's stub: a channel does not survive a fork."""
        with self._lock:
            if self._stub is None or self._stub[0] != os.getpid():
                channel = open_sync_channel(self.target, balancing="round_robin", tls=self._tls)
                self._stub = (os.getpid(), RewardServiceStub(channel))
            return self._stub[1]

    def _client(self) -> RewardClient:
        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = RewardClient(self.target, tls=self._tls)
        return client


def _tls_of_environment() -> TlsFiles | None:
    names = {"ca_file": "CA", "cert_file": "CERT", "key_file": "KEY"}
    given = {
        field: Path(path)
        for field, name in names.items()
        if (path := os.environ.get(f"{TARGET_VARIABLE}_{name}"))
    }
    if len(given.keys() & {"cert_file", "key_file"}) == 1:
        raise ConfigError(f"give both {TARGET_VARIABLE}_CERT and {TARGET_VARIABLE}_KEY, or none")
    return TlsFiles(**given) if given else None
