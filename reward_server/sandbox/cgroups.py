"""A cgroup for a zygote and its children, version 1 or 2, whichever can be written to.

One for all of them: moving each child into its own takes the kernel up to 20 ms.
Source: Linux, Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from reward_server.sandbox import kernel

_PREFIX = "trimtab-sandbox-"
_NEEDED = ("memory", "pids")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class _Hierarchy:
    """One tree of cgroups: version 1 has one for each controller, version 2 a single one."""

    parent: Path
    limits: Mapping[str, str]


class Cgroup:
    """The cgroup that this process is in from now on."""

    def __init__(self, *, memory_bytes: int, processes: int) -> None:
        """Makes it, below the one that this process was in, and moves there.

        Raises:
            OSError: none can be made.
        """
        self._name = f"{_PREFIX}{os.getpid()}"
        # The file system may be out of sight later on; descriptors stay.
        self._parent_fds: list[int] = []
        try:
            for hierarchy in _hierarchies(str(memory_bytes), str(processes)):
                self._make(hierarchy)
        except OSError as error:
            self.remove()
            # Without the name of this one cgroup: another zygote's trouble reads the same.
            raise OSError(kernel.explained(error).replace(f"/{self._name}", "")) from error

    def remove(self) -> None:
        """Moves this process back and removes the cgroup; everybody else in it has ended."""
        for fd in self._parent_fds:
            with contextlib.suppress(OSError):  # the next start sweeps
                procs = os.open("cgroup.procs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=fd)
                with os.fdopen(procs, "w") as file:
                    file.write("0")
                os.rmdir(self._name, dir_fd=fd)
            os.close(fd)

    def _make(self, hierarchy: _Hierarchy) -> None:
        _sweep(hierarchy.parent)
        own = hierarchy.parent / self._name
        own.mkdir()
        self._parent_fds.append(os.open(hierarchy.parent, _FOLDER))
        for file, value in hierarchy.limits.items():
            (own / file).write_text(value)
        (own / "cgroup.procs").write_text("0")


def _hierarchies(memory: str, processes: str) -> list[_Hierarchy]:
    """Where this process's cgroups are."""
    own = _own_folders()
    if all(name in own for name in _NEEDED):
        return [
            _Hierarchy(own["memory"], {"memory.limit_in_bytes": memory}),
            _Hierarchy(own["pids"], {"pids.max": processes}),
        ]
    if "" in own:
        limits = {"memory.max": memory, "pids.max": processes}
        # The server's own cgroup holds processes, so it cannot hand controllers on, unless it is
        # the root; the one above it can, where that has been delegated.
        for parent in (own[""], own[""].parent):
            if _hands_on(parent):
                return [_Hierarchy(parent, limits)]
        raise OSError(f"{own['']} does not hand on the controllers memory and pids")
    raise OSError("no cgroup file system with the controllers memory and pids is mounted")


def _own_folders() -> dict[str, Path]:
    """The folders of this process's cgroups, by controller; "" is version 2's."""
    mounted: dict[str, tuple[Path, str]] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, place = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind in ("cgroup", "cgroup2"):
            names = [""] if kind == "cgroup2" else options.split(",")
            mounted.update({name: (Path(place), root) for name in names})
    folders: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            if name in mounted:
                mount, root = mounted[name]
                below = PurePosixPath(path)
                inside = below.is_relative_to(root)
                folders[name] = mount / below.relative_to(root) if inside else mount
    return folders


def _hands_on(folder: Path) -> bool:
    """True if the cgroups below have the controllers, now if not before."""
    control = folder / "cgroup.subtree_control"
    try:
        if not all(name in control.read_text().split() for name in _NEEDED):
            control.write_text(" ".join(f"+{name}" for name in _NEEDED))
    except OSError:
        return False
    return True


def _sweep(parent: Path) -> None:
    """Removes the cgroups of zygotes that were killed."""
    for folder in parent.glob(f"{_PREFIX}*"):
        pid = folder.name.removeprefix(_PREFIX)
        gone = pid == str(os.getpid()) or not Path(f"/proc/{pid}").exists()
        if pid.isdigit() and gone:
            with contextlib.suppress(OSError):  # somebody is still in it
                folder.rmdir()
