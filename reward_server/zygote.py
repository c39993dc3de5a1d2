"""A small process that has everything loaded and forks workers: `python -m reward_server.zygote`.

The server itself must not fork: it runs threads. This process has none, so its forks are safe, take
milliseconds and share the loaded libraries. It is the only one that reaps workers, so it can never
signal a process id that has passed to somebody else.

On the control socket the server sends `(command, pid)`: b"f" with a descriptor forks a worker that
answers on it, b"k" kills one, b"n" lowers its priority. Back come `(event, pid, status)`: b"r"
ready, b"f" forked, b"x" ended.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from typing import Any

from reward_server import frames, worker
from reward_server.limits import die_with_parent
from reward_server.verifiers import build_verifiers

COMMAND = struct.Struct("!cq")
EVENT = struct.Struct("!cqq")
_LOW_PRIORITY = 10


class Zygote:
    """Forks, kills and reaps."""

    def __init__(self, control: socket.socket, settings: dict[str, Any]) -> None:
        """`settings`: `verifiers` by name, `memory_bytes` of a worker."""
        self._control = control
        self._verifiers = build_verifiers(settings["verifiers"])
        self._memory_bytes = int(settings["memory_bytes"])
        self._children: set[int] = set()
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Obeys until the server closes the socket, then kills and reaps every worker."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._tell(b"r", 0, 0)
        while True:
            control_fd = self._control.fileno()
            ready, _, _ = select.select([control_fd, self._wake_read], [], [])
            if self._wake_read in ready:
                os.read(self._wake_read, 4096)
                self._reap()
            if control_fd in ready and not self._obey():
                break
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, COMMAND.size, 1)
        while data and len(data) < COMMAND.size:
            data += self._control.recv(COMMAND.size - len(data))
        if not data:
            return False
        command, pid = COMMAND.unpack(data)
        if command == b"f":
            self._fork(fds[0])
        elif pid in self._children:
            if command == b"k":
                os.kill(pid, signal.SIGKILL)
            else:
                os.setpriority(os.PRIO_PROCESS, pid, _LOW_PRIORITY)
        return True

    def _fork(self, fd: int) -> None:
        parent_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(fd, parent_pid)
        os.close(fd)
        self._children.add(pid)
        self._tell(b"f", pid, 0)

    def _become_worker(self, fd: int, parent_pid: int) -> None:
        status = 1
        # Whatever happens, the child must not run on in the zygote's code.
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._control.fileno(), self._wake_read, self._wake_write):
                os.close(inherited)
            worker.run(fd, self._verifiers, memory_bytes=self._memory_bytes, parent_pid=parent_pid)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._children.discard(pid)
            self._tell(b"x", pid, os.waitstatus_to_exitcode(status))

    def _tell(self, event: bytes, pid: int, status: int) -> None:
        self._control.sendall(EVENT.pack(event, pid, status))


def main() -> int:
    """Serves the control socket whose descriptor, and the server's pid, are the arguments."""
    fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the terminal's; the server decides
    die_with_parent(parent_pid)
    settings = frames.receive(fd)
    if settings is None:
        return 0
    for name in settings["preload"]:
        importlib.import_module(name).warm_up()
    zygote = Zygote(socket.socket(fileno=fd), settings)
    gc.collect()
    gc.freeze()
    try:
        zygote.run()
    except (BrokenPipeError, ConnectionResetError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
