"""The forbidden acts, tried for real by a jacketed child."""

from __future__ import annotations

import contextlib
import mmap
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.sandbox import kernel
from reward_server.sandbox.entry import Child

_PTRACE_SEIZE = 0x4206
_NEWUSER = 0x10000000
_MORE_BYTES = 64 << 20
_TIMEOUT_S = 1.0
# The loaders stand among the shared libraries, where everything can be read.
_PROGRAMS = ("/bin/true", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1")
_SHARED_MEMORY = "/dev/shm/trimtab-probe"  # noqa: S108 - tried, and not to be writable


def run(child: Child, whereabouts: Mapping[str, str]) -> None:
    """Reads what there is to attack, answers with the acts that succeeded, then tries to exec.

    `whereabouts`: passed on. A second answer says that exec was refused; if it was not, none comes.
    """
    targets = frames.receive(child.fd)
    if targets is None:
        return
    succeeded = [name for name, act in acts(child, targets).items() if _succeeds(act)]
    frames.send(child.fd, {"succeeded": succeeded, "whereabouts": dict(whereabouts)})
    os.set_inheritable(child.fd, False)
    with contextlib.suppress(OSError):
        _any_of(_execute, [sys.executable, *_PROGRAMS])
    frames.send(child.fd, {"exec": "refused"})


def acts(child: Child, targets: Mapping[str, Any]) -> dict[str, Callable[[], object]]:
    """The acts by name; each raises OSError or MemoryError where it is refused.

    `targets`: `secret` and `folder`, paths; `tcp_port` and `udp_port` on loopback; `pids`.
    """
    secret, folder = Path(targets["secret"]), Path(targets["folder"])
    return {
        "memory": lambda: _take_memory(child.jacket.memory_bytes),
        "descriptors": lambda: _open_many(child.jacket.open_files),
        "fork": _fork,
        "read": lambda: _any_of(_read, [secret, Path("/etc/passwd"), Path("/etc/hostname")]),
        "list": lambda: list(folder.iterdir()),
        "environment": lambda: _any_of(_read_environment, targets["pids"]),
        "write": lambda: _any_of(_write, [secret, folder / "new", Path(_SHARED_MEMORY)]),
        "chmod": lambda: secret.chmod(0o666),
        "connect": lambda: _connect(targets["tcp_port"]),
        "datagram": lambda: _send_datagram(targets["udp_port"]),
        "signal": lambda: _any_of(_signal, targets["pids"]),
        "trace": lambda: _any_of(_trace, targets["pids"]),
        "unshare": _unshare,
    }


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except (OSError, MemoryError):
        return False
    return True


def _any_of(act: Callable[[Any], object], targets: list[Any]) -> None:
    """Succeeds if the act does on one of them."""
    for target in targets:
        try:
            act(target)
        except OSError:
            continue
        return
    raise PermissionError("refused everywhere")


def _take_memory(limit_bytes: int) -> None:
    mmap.mmap(-1, limit_bytes + _MORE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()


def _open_many(limit: int) -> None:
    fds: list[int] = []
    try:
        while len(fds) <= limit:
            fds.append(os.dup(0))
    finally:
        for fd in fds:
            os.close(fd)


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _read(path: Path) -> None:
    path.read_bytes()


def _execute(path: str) -> None:
    os.execv(path, [path, "-c", ""])  # noqa: S606 - if this succeeds, nothing of ours goes on


def _read_environment(pid: int) -> None:
    _read(Path(f"/proc/{pid}/environ"))


def _write(path: Path) -> None:
    with path.open("ab"):
        pass


def _connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT_S).close()


def _send_datagram(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"?", ("127.0.0.1", port))


def _signal(pid: int) -> None:
    os.kill(pid, 0)


def _trace(pid: int) -> None:
    # Seizing does not stop the other, and ends with this process.
    kernel.call("ptrace", _PTRACE_SEIZE, pid, 0, 0)


def _unshare() -> None:
    kernel.call("unshare", _NEWUSER)
