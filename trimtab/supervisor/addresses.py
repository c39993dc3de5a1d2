"""Addresses: which are on this machine, and whether a port can be taken."""

from __future__ import annotations

import errno
import ipaddress
import socket

from trimtab.supervisor.errors import ServiceFailed

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def host_and_port(target: str) -> tuple[str, int] | None:
    """Host and port of a gRPC target; None for one that names neither, as `unix:` ones."""
    bare = target.removeprefix("dns:///").removeprefix("ipv4:").removeprefix("ipv6:")
    host, separator, port = bare.rpartition(":")
    if not separator or not port.isdigit():
        return None
    return host.strip("[]"), int(port)


def is_loopback(target: str) -> bool:
    """True if the target is an address that only this machine can reach."""
    address = host_and_port(target)
    if address is None:
        return False
    host, _ = address
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
