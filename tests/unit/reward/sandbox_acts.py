"""Has children of a real zygote do what they must not: `python -m tests.unit.reward.sandbox_acts`.

An entry of `reward_server/sandbox/entry.py`, and the program that starts it and prints, as JSON,
how each act ended ("done" or the error), with what is allowed beside it. `--uid` makes it another
user.
"""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import mmap
import os
import resource
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.processes import Nursery
from reward_server.sandbox import kernel, user
from reward_server.sandbox.entry import Child
from reward_server.sandbox.jacket import PARTS, Jacket

MEMORY_BYTES = 512 << 20
FILE_BYTES = 1 << 20
DONE = "done"
NAME = "tests.unit.reward.sandbox_acts"
_NEWNS = 0x00020000
_BIND, _REC, _PRIVATE = 1 << 12, 1 << 14, 1 << 18

FORBIDDEN = {
    "read a secret": "open(SECRET).read()",
    "read /etc/passwd": "open('/etc/passwd').read()",
    "read the sources": "open(SOURCE).read()",
    "read the server's environment": "open(f'/proc/{SERVER}/environ').read()",
    "read the server's memory": "open(f'/proc/{SERVER}/mem', 'rb')",
    "list a folder": "os.listdir(FOLDER)",
    "write a file": "open(FOLDER + '/new', 'w')",
    "change a file": "open(SECRET, 'a')",
    "empty a file": "os.truncate(SECRET, 0)",
    "remove a file": "os.unlink(FOLDER + '/doomed')",
    "rename a file": "os.rename(FOLDER + '/doomed', FOLDER + '/renamed')",
    "link a file": "os.link(SECRET, HOME + '/secret')",
    "open modes": "os.chmod(SECRET, 0o666)",
    "set times": "os.utime(SECRET)",
    "write to shared memory": "os.open('/dev/shm', os.O_TMPFILE | os.O_RDWR)",
    "connect over TCP": "socket.create_connection(('127.0.0.1', TCP), timeout=5)",
    "listen on TCP": "socket.create_server(('127.0.0.1', 0))",
    "send a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', UDP)",
    "connect to an abstract socket": "socket.socket(socket.AF_UNIX).connect(ABSTRACT)",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a program with posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "start a shell": "os.system('true') == 0 or fail()",
    "fork": "os.fork() or os._exit(0)",
    "start a thread": "threading.Thread(target=int).start()",
    "signal the server": "os.kill(SERVER, 0)",
    "signal the zygote": "os.kill(os.getppid(), 0)",
    "signal everybody": "os.kill(-1, 0)",
    "limit the server": "resource.prlimit(SERVER, resource.RLIMIT_CORE, (0, 0))",
    "slow the server down": "os.setpriority(os.PRIO_PROCESS, SERVER, 19)",
    "trace the server": "call('ptrace', 0x4206, SERVER, 0, 0)",
    "have the kernel signal the server": "fcntl.fcntl(0, 8, SERVER)",
    "outlive the zygote": "prctl(1, 0)",
    "be inspected": "prctl(4, 1)",
    "make a user namespace": "call('unshare', 0x10000000)",
    "make a file in memory": "os.memfd_create('x')",
    "take too much memory": "mmap.mmap(-1, 3 << 29)",
    "open too many files": "[os.dup(0) for _ in range(1000)]",
    "write too much": "len(BIG) == open(HOME + '/big', 'wb', buffering=0).write(BIG) or fail()",
    "write too many files": "[open(f'{HOME}/{n}', 'wb').write(BIG[1:]) for n in range(80)]",
    "become root": "os.geteuid() != 0 or fail(); os.setuid(0)",
}
"""Python expressions and statements that raise where they are refused."""

ALLOWED = {
    "load a library": "import wave",
    "write in its folder": "open(HOME + '/file', 'w').write('x')",
    "make folders": "os.makedirs(HOME + '/a/b')",
    "rename in its folder": "open(HOME + '/x', 'w'); os.rename(HOME + '/x', HOME + '/y')",
    "use random numbers": "os.urandom(8)",
    "talk to itself": "a, b = socket.socketpair(); a.sendall(b'x'); b.recv(1) == b'x' or fail()",
    "run an event loop": "import asyncio; asyncio.run(asyncio.sleep(0))",
    "compute": "sum(range(1000))",
    "tell the time": "import time; time.time(); time.sleep(0)",
    "use a temporary file": "import tempfile; tempfile.TemporaryFile(dir=HOME).write(b'x')",
    "signal itself": "os.kill(os.getpid(), 0)",
}


def prepare(settings: dict[str, Any]) -> dict[str, Any]:
    """What the acts name."""
    modules = {"os": os, "socket": socket, "fcntl": fcntl, "mmap": mmap, "resource": resource}
    big = {"BIG": bytes(FILE_BYTES + 1)}
    helpers = {"threading": threading, "call": kernel.call, "prctl": kernel.prctl, "fail": _fail}
    return {**modules, **helpers, **big, **settings}


def run(child: Child, names: dict[str, Any]) -> None:
    """Does the one act that the server sends."""
    request = frames.receive(child.fd)
    if request is None:
        return
    os.set_inheritable(child.fd, False)
    try:
        exec(request["act"], {**names, "HOME": str(child.jacket.writable_dir)})
    except (OSError, MemoryError, RuntimeError, ValueError) as error:
        frames.send(child.fd, {"end": f"{type(error).__name__}: {error}"})
    else:
        frames.send(child.fd, {"end": DONE})


def _fail() -> None:
    raise PermissionError("refused")


async def attempt(parts: tuple[str, ...]) -> dict[str, Any]:
    """How every act ends in a jacket of those parts, each in a child of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        udp.bind(("127.0.0.1", 0))
        abstract.bind(f"\0trimtab-test-{os.getpid()}")
        abstract.listen()
        secret = Path(folder) / "secret"
        secret.write_text("hush")
        settings = {
            "SECRET": str(secret),
            "FOLDER": folder,
            "SOURCE": __file__,
            "SERVER": os.getpid(),
            "TCP": tcp.getsockname()[1],
            "UDP": udp.getsockname(),
            "ABSTRACT": f"\0trimtab-test-{os.getpid()}",
        }
        jacket = Jacket(memory_bytes=MEMORY_BYTES, file_bytes=FILE_BYTES, parts=parts)
        nursery = Nursery(entry=NAME, settings=settings, jacket=jacket)
        try:
            ends = {}
            for name, act in {**FORBIDDEN, **ALLOWED}.items():
                (Path(folder) / "doomed").touch()
                ends[name] = await _end(nursery, act)
        finally:
            await nursery.close()
    return {"ends": ends, "level": nursery.fit.level.name, "lacks": nursery.fit.lacks}


async def _end(nursery: Nursery, act: str) -> str:
    worker = await nursery.spawn(private_dir=True)
    try:
        worker.writer.write(frames.encode({"act": act}))
        return str((await frames.read_reply(worker.reader))["end"])
    except asyncio.IncompleteReadError:
        return DONE  # it has become another program
    finally:
        nursery.kill(worker)


def open_to_others(*needed: str) -> None:
    """Puts folders within everybody's reach, for this process and its children alone."""
    kernel.call("unshare", _NEWNS)
    kernel.call("mount", None, b"/", None, _REC | _PRIVATE, None)
    closed: dict[Path, list[Path]] = {}
    for path in map(Path, needed):
        for parent in reversed(path.parents):
            if not parent.stat().st_mode & 0o001:
                closed.setdefault(parent, []).append(path)
                break
    for parent, paths in closed.items():
        fds = [os.open(path, os.O_PATH) for path in paths]
        kernel.call("mount", b"none", str(parent).encode(), b"tmpfs", 0, b"mode=755")
        for path, fd in zip(paths, fds, strict=True):
            path.mkdir(parents=True, exist_ok=True)
            source = f"/proc/self/fd/{fd}".encode()
            kernel.call("mount", source, str(path).encode(), None, _BIND | _REC, None)


def main() -> None:
    """Prints the report."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--uid", type=int)
    parser.add_argument("--parts", default=",".join(PARTS))
    options = parser.parse_args()
    if options.uid is not None:
        folders = {str(Path(path).resolve()) for path in (sys.base_prefix, sys.prefix, ".")}
        open_to_others(*sorted(folders))
        user.become(options.uid)
        # Anew, for a process that changes its user cannot be inspected.
        again = [sys.executable, "-m", NAME, "--parts", options.parts]
        os.execv(sys.executable, again)
    parts = tuple(part for part in options.parts.split(",") if part)
    json.dump(asyncio.run(attempt(parts)), sys.stdout)


if __name__ == "__main__":
    main()
