"""Every address behind a target."""

from __future__ import annotations

import asyncio
import socket

_DNS = "dns:///"


async def resolved(target: str) -> list[str]:
    """The addresses that `dns:///name:port` stands for, as `host:port`; others stand for one.

    A name that cannot be resolved now stands for none.
    """
    if not target.startswith(_DNS):
        return [target]
    host, _, port = target.removeprefix(_DNS).rpartition(":")
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError:
        return []
    hosts = sorted({str(entry[4][0]) for entry in found})
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host in hosts]
