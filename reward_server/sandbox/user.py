"""Gives up the rights of root, and the chance to get others."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from reward_server.sandbox import kernel

_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = Path("/proc/sys/kernel/cap_last_cap")
_MOST_CAPABILITIES = 63


def last_capability() -> int:
    """The highest number of a capability that the kernel knows."""
    try:
        return int(_LAST_CAPABILITY.read_text())
    except (OSError, ValueError):
        return _MOST_CAPABILITIES


def become(uid: int) -> None:
    """Turns root into that user, in no group but its own.

    Raises:
        OSError: this process may not, or there is no such id in this user namespace.
    """
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def renounce_privileges() -> None:
    """Gives up every capability and bars the way back, and inspection by others of this user.

    Raises:
        OSError: the kernel refuses, or there is another kernel.
    """
    empty_bounding_set()
    kernel.call("capset", struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24))
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def empty_bounding_set() -> None:
    """Sees to it that neither this process nor its children get capabilities from a program file.

    What it has now it keeps.
    """
    for capability in range(last_capability() + 1):
        try:
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
        except OSError:
            return  # not allowed; `no_new_privs` bars the way as well
