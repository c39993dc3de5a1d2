"""A file system that holds nothing but what is given, for a process in its own mount namespace."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from reward_server.sandbox import kernel

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_BIND, _REC, _PRIVATE = 1 << 12, 1 << 14, 1 << 18
_KEPT = _NOSUID | _NODEV | _NOEXEC
_DETACH = 2
NEWNS = 0x00020000


def enter(readable: Iterable[Path], writable: Path) -> None:
    """Leaves only those files and folders, at their own places; only `writable` can be changed.

    Raises:
        OSError: this process may not mount, or something is missing.
    """
    _mount(None, "/", None, _REC | _PRIVATE, None)
    sources = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in _outermost(readable)]
    sources.append((writable, os.open(writable, os.O_PATH | os.O_CLOEXEC)))
    # Any folder will do: what stands in it is covered, for this process alone.
    root = tempfile.gettempdir()
    _mount("none", root, "tmpfs", _NOSUID | _NODEV | _NOEXEC, "mode=755,size=1m")
    for path, fd in sources:
        _show(f"{root}{path}", fd, read_only=path != writable)
        os.close(fd)
    os.chdir(root)
    kernel.call("pivot_root", b".", b".")
    kernel.call("umount2", b".", _DETACH)
    os.chdir("/")
    _mount(None, "/", None, _REMOUNT | _BIND | _RDONLY | _KEPT, None)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths, and where they really are, less those that stand in another one."""
    wanted = sorted({path for given in paths for path in (given, given.resolve())})
    kept: list[Path] = []
    for path in wanted:
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept


def _show(place: str, fd: int, *, read_only: bool) -> None:
    mode = os.fstat(fd).st_mode
    # What is shown already may hold the place: /usr/lib is read-only then, and has it.
    folder = Path(place) if stat.S_ISDIR(mode) else Path(place).parent
    folder.mkdir(parents=True, exist_ok=True)
    if not stat.S_ISDIR(mode):
        Path(place).touch()
    _mount(f"/proc/self/fd/{fd}", place, None, _BIND | _REC, None)
    flags = os.statvfs(place).f_flag & (_KEPT | _RDONLY) | _NOSUID
    if not stat.S_ISCHR(mode):
        flags |= _NODEV
    flags |= _RDONLY if read_only else _NOEXEC
    _mount(None, place, None, _REMOUNT | _BIND | flags, None)


def _mount(source: str | None, place: str, kind: str | None, flags: int, data: str | None) -> None:
    kernel.call("mount", _bytes(source), _bytes(place), _bytes(kind), flags, _bytes(data))


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)
