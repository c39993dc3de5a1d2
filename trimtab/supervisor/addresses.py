"""Whether a port can be taken, and where a server is reached."""

from __future__ import annotations

import errno
import socket

from trimtab.addresses import host_and_port
from trimtab.supervisor.errors import ServiceFailed

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def reachable(address: str) -> str:
    """The target under which this machine reaches a server that listens on `address`."""
    parts = host_and_port(address)
    if parts is None:
        return address
    host = _EVERYWHERE.get(parts[0], parts[0])
    return f"[{host}]:{parts[1]}" if ":" in host else f"{host}:{parts[1]}"


def port_is_free(address: str) -> bool:
    """True if a server could listen on HOST:PORT now, and for port 0 or a foreign host."""
    parts = host_and_port(address)
    if parts is None or parts[1] == 0:
        return True
    host, port = parts
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: connections that have just ended shall not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def check_port(label: str, service: str, address: str) -> None:
    """Returns if the port can be taken.

    Raises:
        ServiceFailed: something listens there.
    """
    if not port_is_free(address):
        port = address.rpartition(":")[2]
        raise ServiceFailed(
            label,
            f"port {port} ({address}) is in use: stop what listens there, "
            f"or choose another port with serve.{service}.listen",
        )
