"""Folders that belong to one child each and go with it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path

from reward_server.sandbox import kernel

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWNER_ONLY = 0o700
_MAX_FILES = 4096
_MOUNT_FLAGS = 2 | 4 | 8  # no set-user-id, no devices, no programs
_DETACH = 2


class PrivateDirs:
    """Makes and removes them in one folder."""

    def __init__(self, base: Path, *, max_bytes: int | None) -> None:
        """`base` exists and nobody else writes to it.

        `max_bytes`: each is a file system in memory of that size, so that no child can fill a disk
        and removing one takes no time; that needs the right to mount. None: plain folders.
        """
        self._base = base
        self._max_bytes = max_bytes
        self._count = 0

    def make(self, uid: int | None) -> Path:
        """An empty folder that only that user can enter; None: the user of this process.

        Raises:
            OSError: it cannot be made.
        """
        self._count += 1
        path = self._base / str(self._count)
        path.mkdir(mode=_OWNER_ONLY)
        if self._max_bytes is not None:
            owner = "" if uid is None else f",uid={uid},gid={uid}"
            data = f"mode=700,size={self._max_bytes},nr_inodes={_MAX_FILES}{owner}"
            kernel.call("mount", b"none", os.fsencode(path), b"tmpfs", _MOUNT_FLAGS, data.encode())
        elif uid is not None:
            os.chown(path, uid, uid)
        return path

    def remove(self, path: Path) -> None:
        """Removes one with all that its child, which is dead, left there."""
        if self._max_bytes is not None:
            kernel.call("umount2", os.fsencode(path), _DETACH)
        remove_tree(path)


def remove_tree(path: Path) -> None:
    """Removes a folder, however deep, full of links or closed what stands in it is.

    Nested folders are moved up before they are emptied, so depth costs neither stack nor
    descriptors; links are removed and never followed.
    """
    with contextlib.suppress(FileNotFoundError):
        path.chmod(_OWNER_ONLY)
        top = os.open(path, _DIRECTORY)
        try:
            _empty(top)
        finally:
            os.close(top)
        path.rmdir()


def _empty(top: int) -> None:
    token, moved = secrets.token_hex(8), 0  # nothing that is there already has this name
    while names := os.listdir(top):
        for name in names:
            if not stat.S_ISDIR(os.lstat(name, dir_fd=top).st_mode):
                os.unlink(name, dir_fd=top)
                continue
            os.chmod(name, _OWNER_ONLY, dir_fd=top)
            nested = os.open(name, _DIRECTORY, dir_fd=top)
            try:
                for inner in os.listdir(nested):  # noqa: PTH208 - a descriptor, no path
                    if stat.S_ISDIR(os.lstat(inner, dir_fd=nested).st_mode):
                        moved += 1
                        os.chmod(inner, _OWNER_ONLY, dir_fd=nested)
                        os.rename(inner, f"{token}-{moved}", src_dir_fd=nested, dst_dir_fd=top)
                    else:
                        os.unlink(inner, dir_fd=nested)
            finally:
                os.close(nested)
            os.rmdir(name, dir_fd=top)
