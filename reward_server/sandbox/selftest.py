"""Finds out what a jacketed child can really do, and so the level of the sandbox."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from reward_server.sandbox import namespaces
from reward_server.sandbox.levels import Fit, Level

_ACTS: Mapping[str, tuple[Level, str, tuple[str, ...]]] = {
    "memory": (Level.LIMITS, "take more memory than it may", ("limits",)),
    "descriptors": (Level.LIMITS, "open more files than it may", ("limits",)),
    "fork": (Level.LIMITS, "start processes", ("limits", "seccomp")),
    "read": (Level.JACKET, "read files", ("landlock", "namespaces")),
    "list": (Level.JACKET, "list folders", ("landlock", "namespaces")),
    "environment": (Level.JACKET, "read the server's environment", ("landlock", "namespaces")),
    "write": (Level.JACKET, "write files", ("landlock", "namespaces")),
    "chmod": (Level.JACKET, "change the modes of files", ("seccomp", "namespaces")),
    "connect": (Level.JACKET, "connect to the network", ("seccomp", "landlock", "namespaces")),
    "datagram": (Level.JACKET, "send datagrams", ("seccomp", "namespaces")),
    "signal": (Level.JACKET, "send signals to the server", ("seccomp", "landlock", "namespaces")),
    "trace": (Level.JACKET, "trace the server", ("seccomp", "landlock", "namespaces")),
    "unshare": (Level.JACKET, "make namespaces", ("seccomp",)),
    "exec": (Level.JACKET, "run programs", ("seccomp", "landlock")),
}
"""What each act is: the level that it rules out, its name for people, what would prevent it."""


@contextlib.contextmanager
def targets() -> Iterator[dict[str, Any]]:
    """Something to attack, as long as the test runs."""
    with (
        tempfile.TemporaryDirectory(prefix="trimtab-secret-") as folder,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        # Open to all, so that it is the sandbox that keeps the child out.
        Path(folder).chmod(0o777)
        secret = Path(folder) / "secret"
        secret.write_text("hush")
        secret.chmod(0o666)
        receiver.bind(("127.0.0.1", 0))
        yield {
            "secret": str(secret),
            "folder": folder,
            "tcp_port": listener.getsockname()[1],
            "udp_port": receiver.getsockname()[1],
            "pids": [os.getpid()],
        }


def judge(
    succeeded: Iterable[str], whereabouts: Mapping[str, str], missing: Mapping[str, str]
) -> Fit:
    """The level that the acts which succeeded leave, and why it is no higher.

    `whereabouts`: namespaces and cgroups of the child; `missing`: parts that do not sit, with
    reasons.
    """
    level = Level.ISOLATED
    lacks = []
    for name in succeeded:
        ruled_out, act, parts = _ACTS[name]
        level = min(level, Level(ruled_out - 1))
        lacks.append(f"a worker can {act}: {_reasons(parts, missing)}")
    shared = [name for name in (*namespaces.NAMES, "cgroup") if _is_shared(name, whereabouts)]
    if shared:
        level = min(level, Level.JACKET)
    if spaces := [name for name in shared if name != "cgroup"]:
        reasons = _reasons(("namespaces",), missing)
        lacks.append(f"a worker shares the server's namespaces {', '.join(spaces)}: {reasons}")
    if "cgroup" in shared:
        lacks.append(f"a worker shares the server's cgroup: {_reasons(('cgroup',), missing)}")
    return Fit(level, tuple(lacks))


def _reasons(parts: Iterable[str], missing: Mapping[str, str]) -> str:
    found = [f"no {part} ({missing[part]})" for part in parts if part in missing]
    return ", ".join(found) or "nothing prevents it on this system"


def _is_shared(name: str, whereabouts: Mapping[str, str]) -> bool:
    return whereabouts.get(name) in (None, _own(name))  # what is not told counts as shared


def _own(name: str) -> str | None:
    try:
        if name == "cgroup":
            return Path("/proc/self/cgroup").read_text()
        return str(Path(f"/proc/self/ns/{name}").readlink())
    except OSError:
        return None
