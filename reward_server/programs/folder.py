"""Looks after the private folder of a program, where the system does not bound it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MAX_BYTES = 64 << 20
"""Most that a program may write to files, all together."""
_MAX_FILES = 1000


def is_overfull(folder: Path) -> bool:
    """True if a program has put too much into its folder, or hidden it.

    Takes bounded time whatever is in it; links are not followed.
    """
    file_count, byte_count = 0, 0
    folders = [folder]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    file_count += 1
                    byte_count += about.st_blocks * 512
                    if file_count > _MAX_FILES or byte_count > MAX_BYTES:
                        return True
                    if stat.S_ISDIR(about.st_mode):
                        folders.append(Path(entry.path))
        except FileNotFoundError:
            continue  # it is at work
        except OSError:
            return True
    return False
