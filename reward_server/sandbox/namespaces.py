"""Takes a process, and all that it forks, out of the system's namespaces."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from reward_server.sandbox import kernel, new_root

_NEWUTS, _NEWIPC = 0x04000000, 0x08000000
_NEWUSER, _NEWNET = 0x10000000, 0x40000000
NAMES = ("net", "ipc", "mnt", "uts")
"""The namespaces that a child has apart from the server, as in /proc/PID/ns.

Not pid: its first process is deaf to most signals, and if that one ends all others do. Children see
no /proc and can signal nobody but themselves without it.
"""


def enclose(readable: Iterable[Path], writable: Path) -> str:
    """Moves this process into namespaces of its own; gives what bars the way, empty if it is there.

    It must have no threads. A child tries first, so that this process is never left halfway.
    """
    paths = tuple(readable)
    problem = in_child(lambda: _enter(paths, writable))
    if not problem:
        _enter(paths, writable)
    return problem


def in_child(act: Callable[[], None]) -> str:
    """Does something in a forked child and gives the error that it met, empty if none."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        # Whatever happens, the child must not run on in its parent's code.
        try:
            os.close(read_end)
            try:
                act()
            except OSError as error:
                os.write(write_end, kernel.explained(error).encode())
            else:
                status = 0
        finally:
            os._exit(status)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        problem = pipe.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    return problem or ("" if status == 0 else f"the attempt ended with status {status}")


def _enter(readable: tuple[Path, ...], writable: Path) -> None:
    own = new_root.NEWNS | _NEWUTS | _NEWIPC | _NEWNET
    if os.geteuid() == 0:
        kernel.call("unshare", own)
    else:
        uid, gid = os.geteuid(), os.getegid()
        kernel.call("unshare", own | _NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    new_root.enter(readable, writable)
