"""What a zygote prepares so that its children are locked in from their first moment."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from reward_server.sandbox import kernel, namespaces, seccomp, user
from reward_server.sandbox.cgroups import Cgroup
from reward_server.sandbox.entry import Child
from reward_server.sandbox.jacket import Jacket, put_on
from reward_server.sandbox.lifeline import Lifeline
from reward_server.sandbox.memory import MemoryWatch
from reward_server.sandbox.private_dirs import PrivateDirs
from reward_server.sandbox.python_files import python_files
from reward_server.sandbox.uids import Uids

_STANDARD_FDS = (0, 1, 2)
_DYING = 8
"""Children that may have been killed, and replaced, but are not gone yet."""


@dataclass(frozen=True, slots=True)
class Berth:
    """What is one child's alone, from before its birth to after its death."""

    uid: int | None
    private_dir: Path | None


class Nest:
    """Forks children into their namespaces and cgroups, as their users, in their jackets."""

    def __init__(self, jacket: Jacket, private_base: Path) -> None:
        """Encloses this process, the zygote, as far as the system lets it; it has no threads.

        From here on only the Python installation, `jacket.readable` and `private_base` are in
        sight, if mounting is allowed.
        """
        self._jacket = replace(
            jacket,
            readable=(*python_files(), *jacket.readable),
            user_processes=_running_count(os.geteuid()) + _most_processes(jacket),
        )
        self._missing: dict[str, str] = {}
        self._cgroup = self._make_cgroup()
        # What may be out of sight later on; descriptors stay.
        self._proc_fd = _open_folder("/proc")
        self._temporary_fd = _open_folder(str(private_base.parent))
        self._base_name = private_base.name
        self._lifeline = Lifeline()
        if self._wanted("namespaces"):
            self._note("namespaces", namespaces.enclose(self._jacket.readable, private_base))
        may_mount = "namespaces" not in self._missing
        self._private_dirs = PrivateDirs(
            private_base, max_bytes=jacket.folder_bytes if may_mount else None
        )
        if sys.platform == "linux":
            user.empty_bounding_set()  # for all children at once
        seccomp.warm_up(threads=jacket.threads > 0)
        self._uids = Uids(self._first_uid(private_base), jacket.uids[1])

    def fork(self, *, private: bool) -> tuple[Berth, int]:
        """Forks a child, with a folder of its own if it is to write; gives 0 as pid in the child.

        Raises:
            OSError: there is no room for another one.
        """
        uid = self._uids.take()
        try:
            private_dir = self._private_dirs.make(uid) if private else None
        except OSError:
            self._uids.give_back(uid)
            raise
        berth = Berth(uid, private_dir)
        try:
            pid = os.fork()
        except OSError:
            self.clear(berth)
            raise
        return berth, pid

    def dress(self, berth: Berth, fd: int) -> tuple[Child, dict[str, str]]:
        """In the child: makes it what it is to be; gives the parts that are missing too.

        Closes everything but `fd`. Whatever this raises must end the process.
        """
        os.setsid()
        memory = MemoryWatch(self._proc_fd)
        if berth.uid is not None:
            user.become(berth.uid)
        self._lifeline.attach()
        _close_all_but({fd, memory.fd})
        jacket = replace(self._jacket, uid=berth.uid, writable_dir=berth.private_dir)
        missing = {**self._missing, **put_on(jacket)}
        return Child(fd, jacket, memory), missing

    def clear(self, berth: Berth) -> None:
        """After the death of its child: removes what it left."""
        if berth.private_dir is not None:
            self._private_dirs.remove(berth.private_dir)
        self._uids.give_back(berth.uid)

    def close(self) -> None:
        """After the death of all children: removes everything."""
        with contextlib.suppress(OSError):  # the server, or the next start, removes it
            os.rmdir(self._base_name, dir_fd=self._temporary_fd)
        if self._cgroup is not None:
            self._cgroup.remove()

    def _wanted(self, part: str) -> bool:
        if part in self._jacket.parts:
            return True
        self._note(part, "left out by sandbox.parts")
        return False

    def _note(self, part: str, problem: str) -> None:
        if problem:
            self._missing[part] = problem

    def _make_cgroup(self) -> Cgroup | None:
        jacket = self._jacket
        if self._wanted("cgroup"):
            try:
                return Cgroup(
                    memory_bytes=(jacket.siblings + _DYING) * jacket.memory_bytes,
                    processes=1 + _most_processes(jacket),
                )
            except OSError as error:
                self._note("cgroup", kernel.explained(error))
        return None

    def _first_uid(self, private_base: Path) -> int | None:
        """The first user id for children; None if they have to be what the zygote is."""
        if not self._wanted("user") or os.geteuid() != 0:
            return None
        first, count = self._jacket.uids
        needed = (Path(os.__file__).parent, private_base)
        problem = namespaces.in_child(lambda: _live_as(first + count - 1, needed))
        self._note("user", problem)
        return None if problem else first

    def whereabouts(self) -> dict[str, str]:
        """In the child, before `dress`: its namespaces and cgroups, as the system names them."""
        found = {}
        try:
            for name in namespaces.NAMES:
                found[name] = os.readlink(f"self/ns/{name}", dir_fd=self._proc_fd)
            fd = os.open("self/cgroup", os.O_RDONLY, dir_fd=self._proc_fd)
            with os.fdopen(fd) as file:
                found["cgroup"] = file.read()
        except OSError:
            pass  # what is not told counts as shared
        return found


def _most_processes(jacket: Jacket) -> int:
    """Processes and threads of all children."""
    return (jacket.siblings + _DYING) * (1 + jacket.threads)


def _running_count(uid: int) -> int:
    """Processes and threads that the user has now, as far as they are in sight."""
    count = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if folder.stat().st_uid == uid:
                count += len(list((folder / "task").iterdir()))
    return count


def _live_as(uid: int, needed: Iterable[Path]) -> None:
    user.become(uid)
    for path in needed:
        if not os.access(path, os.X_OK):
            raise OSError(f"{path} is closed to other users")


def _open_folder(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _close_all_but(kept: set[int | None]) -> None:
    """Closes every descriptor but those; the standard ones lead nowhere from now on."""
    null = os.open(os.devnull, os.O_RDWR)
    for standard in _STANDARD_FDS:
        os.dup2(null, standard)
    last = _STANDARD_FDS[-1]
    for fd in sorted(fd for fd in kept if fd is not None):
        os.closerange(last + 1, fd)
        last = fd
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
