"""Addresses to listen on: what they say, who may reach them, and whether they are free."""

from __future__ import annotations

import errno
import socket

from trimtab.addresses import is_loopback_host
from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError

_MAX_PORT = 65535
_BACKLOG = 2048


def address_of(listen: str, config: ServerConfig, *, field: str) -> tuple[str, int]:
    """Host and port of HOST:PORT; the host keeps its brackets.

    Raises:
        ConfigError: it is no address, or one beyond loopback that nothing protects.
    """
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdigit() or int(port) > _MAX_PORT:
        raise ConfigError(f"{listen!r} is not HOST:PORT", field=field)
    if config.tls is None and not (config.insecure or is_loopback_host(host)):
        raise ConfigError(
            f"{listen} is not on loopback: give tls.cert_file and tls.key_file, "
            "or say --insecure if the network is trusted",
            field=field,
        )
    return host, int(port)


def listening_socket(host: str, port: int, *, field: str) -> socket.socket:
    """A socket that listens there; port 0 takes a free one.

    Raises:
        ConfigError: the address is in use, or cannot be bound here.
    """
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        listening = socket.create_server((str(address[0]), port), family=family, backlog=_BACKLOG)
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        problem = (
            "the port is in use: stop what listens there, or choose another"
            if in_use
            else f"{error.strerror}: give an address of this machine that you may bind"
        )
        raise ConfigError(f"cannot listen on {host}:{port}: {problem}", field=field) from error
    # Connections inherit it. asyncio would set it, but not on sockets that it did not make; without
    # it a reply in two parts waits 40 ms for the client to acknowledge the first.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening
