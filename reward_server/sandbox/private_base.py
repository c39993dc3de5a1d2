"""The folder in which the private folders of one zygote's children stand."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from reward_server.sandbox.private_dirs import remove_tree

_PREFIX = "trimtab-sandbox-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Children of another user pass through to their own folders; nobody else can list it.
_MODE = 0o711


class PrivateBase:
    """A fresh one, locked as long as its server lives; those of servers that were killed go."""

    def __init__(self) -> None:
        """Makes it in the system's folder for temporary files."""
        _sweep(Path(tempfile.gettempdir()))
        self.path, self._lock_fd = _make()

    def close(self) -> None:
        """Removes it with all that is left in it."""
        remove_tree(self.path)
        os.close(self._lock_fd)


def _make() -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        fd = _lock(path)
        if fd is not None:  # else another server has just swept it away
            os.fchmod(fd, _MODE)
            return path, fd


def _sweep(parent: Path) -> None:
    for path in parent.glob(f"{_PREFIX}*"):
        fd = _lock(path)
        if fd is not None:
            # What another user has put there under our name cannot be removed, and need not be.
            with contextlib.suppress(OSError):
                remove_tree(path)
            os.close(fd)


def _lock(path: Path) -> int | None:
    """Locks a folder of this user; None: it is no such folder, or its server lives."""
    try:
        fd = os.open(path, _FOLDER)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(fd).st_uid == os.geteuid() and path.exists():
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
