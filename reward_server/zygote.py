"""A small process that has everything loaded and forks children: `python -m reward_server.zygote`.

The server itself must not fork: it runs threads. This process has none, so its forks are safe, take
milliseconds and share the loaded libraries. It is the only one that reaps children, so it can never
signal a process id that has passed to somebody else. What children do is the entry's business, see
`sandbox/entry.py`; before they do it they put on the jacket.

On the control socket the server sends `(command, number)`: b"f" with a descriptor forks a child
that answers on it, the number being `PRIVATE`, `TEST` or 0; b"k" kills the child of that pid, b"s"
stops it and b"c" has it go on. Back come `(event, pid, number)`: b"r" ready; b"f" forked, with the
number of its folder or 0, or not forked, with a pid of 0; b"x" ended, with its status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.sandbox import kernel, probe
from reward_server.sandbox.entry import Entry
from reward_server.sandbox.jacket import Jacket
from reward_server.sandbox.nest import Berth, Nest

COMMAND = struct.Struct("!cq")
EVENT = struct.Struct("!cqq")
PRIVATE, TEST = 1, 2
"""What is asked of a child: a private folder; to try its jacket out instead of the entry's work."""
_PRIORITY = 5
"""Below the server's, so that it answers in time however hard its children work."""
_SIGNALS = {b"k": signal.SIGKILL, b"s": signal.SIGSTOP, b"c": signal.SIGCONT}
_OUT_OF_MEMORY_SCORE = 500
"""Has the kernel, when memory is short, end a child that took much of it, not the server."""


class Zygote:
    """Forks, kills and reaps."""

    def __init__(self, control: socket.socket, entry: Entry, settings: dict[str, Any]) -> None:
        """`settings`: `settings` of the entry, `jacket` of the children, `private_base`."""
        self._control = control
        self._entry = entry
        self._state = entry.prepare(settings["settings"])
        self._nest = Nest(Jacket.from_settings(settings["jacket"]), Path(settings["private_base"]))
        self._children: dict[int, Berth] = {}
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
        for pid, berth in self._children.items():
            os.waitpid(pid, 0)
            self._nest.clear(berth)
        self._nest.close()

    def _obey(self) -> bool:
        data, fds, _, _ = socket.recv_fds(self._control, COMMAND.size, 1)
        while data and len(data) < COMMAND.size:
            data += self._control.recv(COMMAND.size - len(data))
        if not data:
            return False
        command, number = COMMAND.unpack(data)
        if command == b"f":
            self._fork(fds[0], number)
        elif number in self._children:
            os.kill(number, _SIGNALS[command])
        return True

    def _fork(self, fd: int, asked: int) -> None:
        try:
            berth, pid = self._nest.fork(private=asked == PRIVATE)
        except OSError as error:
            _excuse(fd, error)
            os.close(fd)
            self._tell(b"f", 0, 0)
            return
        if pid == 0:
            self._become_child(fd, berth, asked)
        os.close(fd)
        self._children[pid] = berth
        self._tell(b"f", pid, 0 if berth.private_dir is None else int(berth.private_dir.name))

    def _become_child(self, fd: int, berth: Berth, asked: int) -> None:
        status = 1
        # Whatever happens, the child must not run on in the zygote's code.
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpriority(os.PRIO_PROCESS, 0, _PRIORITY)
            whereabouts = self._nest.whereabouts() if asked == TEST else {}
            try:
                child, missing = self._nest.dress(berth, fd)
            except OSError as error:
                _excuse(fd, error)
                raise
            frames.send(fd, {"missing": missing})
            if asked == TEST:
                probe.run(child, whereabouts)
            else:
                self._entry.run(child, self._state)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            self._nest.clear(self._children.pop(pid))
            self._tell(b"x", pid, os.waitstatus_to_exitcode(status))

    def _tell(self, event: bytes, pid: int, number: int) -> None:
        self._control.sendall(EVENT.pack(event, pid, number))


def _excuse(fd: int, error: OSError) -> None:
    with contextlib.suppress(OSError):  # the server may have given up
        frames.send(fd, {"problem": kernel.explained(error)})


def main() -> int:
    """Serves the control socket whose descriptor is the argument; ends when the server does."""
    fd = int(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the terminal's; the server decides
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(_OUT_OF_MEMORY_SCORE))
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
