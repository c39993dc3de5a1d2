"""Calls into the Linux kernel that Python has no name for."""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import sys

NUMBERS = {
    "clone": (56, 220),
    "unshare": (272, 97),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "ptrace": (101, 117),
    "capset": (126, 91),
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "landlock_add_rule": (445, 445),
    "landlock_restrict_self": (446, 446),
}
"""Numbers of system calls on x86_64 and aarch64."""
MACHINES = ("x86_64", "aarch64")

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38


@functools.cache
def machine_index() -> int | None:
    """Which column of a table of system calls holds here; None: not Linux, or another machine."""
    name = platform.machine()
    if sys.platform != "linux" or name not in MACHINES or sys.maxsize < 1 << 32:
        return None
    return MACHINES.index(name)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | None) -> int:
    """Makes a system call.

    Raises:
        OSError: the kernel refuses, or this is no machine whose numbers are known.
    """
    index = machine_index()
    if index is None:
        raise OSError(f"{name}: unknown on {sys.platform} {platform.machine()}")
    passed = [
        ctypes.c_long(value) if isinstance(value, int) else ctypes.c_char_p(value)
        for value in arguments
    ]
    result = int(_libc().syscall(ctypes.c_long(NUMBERS[name][index]), *passed))
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), name)
    return result


def prctl(option: int, value: int = 0) -> None:
    """Changes a property of this process.

    Raises:
        OSError: the kernel refuses.
    """
    if sys.platform != "linux":
        raise OSError(f"prctl: unknown on {sys.platform}")
    zero = ctypes.c_ulong(0)
    if _libc().prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero) == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "prctl")


def explained(error: OSError) -> str:
    """What the system says, in words."""
    parts = [str(part) for part in (error.filename, error.strerror) if part]
    return ": ".join(parts) or str(error)
