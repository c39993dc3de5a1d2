"""A small process that has everything loaded and forks children: `python -m reward_server.zygote`.

The server itself must not fork: it runs threads. This process has none, so its forks are safe, take
milliseconds and share the loaded libraries. It is the only one that reaps children, so it can never
signal a process id that has passed to somebody else. What children do is the entry's business, see
`sandbox/entry.py`; before they do it they put on the jacket.

On the control socket the server sends `(command, number)`: b"f" with a descriptor forks a child
that answers on it, with a private folder if the number is 1; b"k" kills the child of that pid, b"n"
lowers its priority. Back come `(event, pid, number)`: b"r" ready; b"f" forked, with the number of
its folder or 0; b"x" ended, with its status.
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
from dataclasses import replace
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.sandbox.entry import Child, Entry
from reward_server.sandbox.jacket import Jacket, put_on
from reward_server.sandbox.lifeline import die_with_parent
from reward_server.sandbox.memory import MemoryWatch
from reward_server.sandbox.private_dirs import PrivateDirs

COMMAND = struct.Struct("!cq")
EVENT = struct.Struct("!cqq")
_STANDARD_FDS = (0, 1, 2)
_PRIORITY = 5
"""Below the server's, so that it answers in time however hard its children work."""
_LOW_PRIORITY = 15


class Zygote:
    """Forks, kills and reaps."""

    def __init__(self, control: socket.socket, entry: Entry, settings: dict[str, Any]) -> None:
        """`settings`: `settings` of the entry, `jacket` of the children, `private_base`."""
        self._control = control
        self._entry = entry
        self._state = entry.prepare(settings["settings"])
        self._jacket = Jacket.from_settings(settings["jacket"])
        self._private_dirs = PrivateDirs(Path(settings["private_base"]))
        self._children: dict[int, Path | None] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def run(self) -> None:
        """Obeys until the server closes the socket, then kills and reaps every child."""
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            self._tell(b"r", 0, 0)
            while True:
                control_fd = self._control.fileno()
                ready, _, _ = select.select([control_fd, self._wake_read], [], [])
                if self._wake_read in ready:
                    os.read(self._wake_read, 4096)
                    self._reap()
                if control_fd in ready and not self._obey():
                    break
        finally:
            self._end()

    def _end(self) -> None:
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid, private_dir in self._children.items():
            os.waitpid(pid, 0)
            if private_dir is not None:
                self._private_dirs.remove(private_dir)

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, COMMAND.size, 1)
        while data and len(data) < COMMAND.size:
            data += self._control.recv(COMMAND.size - len(data))
        if not data:
            return False
        command, number = COMMAND.unpack(data)
        if command == b"f":
            self._fork(fds[0], private=bool(number))
        elif number in self._children:
            if command == b"n":
                os.setpriority(os.PRIO_PROCESS, number, _LOW_PRIORITY)
            else:
                os.kill(number, signal.SIGKILL)
        return True

    def _fork(self, fd: int, *, private: bool) -> None:
        private_dir = self._private_dirs.make(None) if private else None
        parent_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_child(fd, replace(self._jacket, writable_dir=private_dir), parent_pid)
        os.close(fd)
        self._children[pid] = private_dir
        self._tell(b"f", pid, 0 if private_dir is None else int(private_dir.name))

    def _become_child(self, fd: int, jacket: Jacket, parent_pid: int) -> None:
        status = 1
        # Whatever happens, the child must not run on in the zygote's code.
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            for inherited in (self._control.fileno(), self._wake_read, self._wake_write):
                os.close(inherited)
            _close_standard_streams()
            os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
            memory = MemoryWatch()
            fit = put_on(jacket)
            die_with_parent(parent_pid)
            frames.send(fd, {"level": fit.level, "lacks": fit.lacks})
            self._entry.run(Child(fd, jacket, memory), self._state)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            private_dir = self._children.pop(pid, None)
            if private_dir is not None:
                self._private_dirs.remove(private_dir)
            self._tell(b"x", pid, os.waitstatus_to_exitcode(status))

    def _tell(self, event: bytes, pid: int, number: int) -> None:
        self._control.sendall(EVENT.pack(event, pid, number))


def _close_standard_streams() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for standard in _STANDARD_FDS:
        os.dup2(null, standard)
    os.close(null)


def main() -> int:
    """Serves the control socket whose descriptor, and the server's pid, are the arguments."""
    fd, parent_pid = int(sys.argv[1]), int(sys.argv[2])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the terminal's; the server decides
    die_with_parent(parent_pid)
    settings = frames.receive(fd)
    if settings is None:
        return 0
    entry: Any = importlib.import_module(settings["entry"])
    zygote = Zygote(socket.socket(fileno=fd), entry, settings)
    gc.collect()
    gc.freeze()
    try:
        zygote.run()
    except (BrokenPipeError, ConnectionResetError):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
