"""Hosts and ports of targets, and which of them only this machine can reach."""

from __future__ import annotations

import ipaddress


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
    return address is not None and is_loopback_host(address[0])


def is_loopback_host(host: str) -> bool:
    """True if only this machine can reach the host; brackets around IPv6 may be there."""
    bare = host.strip("[]")
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
