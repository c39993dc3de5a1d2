"""Landlock: this process keeps only the files it is given.

Source: Linux, Documentation/userspace-api/landlock.rst.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterable
from pathlib import Path

from reward_server.sandbox import kernel

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_FS_FILE = (1 << 0) | (1 << 1) | (1 << 2)  # execute, write, read a file
_FS_READ_FILE = 1 << 2
_FS_READ_DIR = 1 << 3
_FS_REMOVE = (1 << 4) | (1 << 5)  # a folder, a file
_FS_MAKE = (1 << 7) | (1 << 8) | (1 << 12)  # a folder, a file, a link
_FS_WRITE_FILE = 1 << 1
_FS_REFER = 1 << 13
_FS_TRUNCATE = 1 << 14
_FS_RIGHTS = ((1, (1 << 13) - 1), (2, _FS_REFER), (3, _FS_TRUNCATE), (5, 1 << 15))
"""What can be taken away, by the first version of Landlock that knows it."""
_NET_VERSION, _NET_RIGHTS = 4, 0b11  # binding to and connecting TCP ports
_SCOPE_VERSION, _SCOPES = 6, 0b11  # abstract sockets, signals
_READ = _FS_READ_FILE | _FS_READ_DIR
_WRITE = _READ | _FS_WRITE_FILE | _FS_REMOVE | _FS_MAKE | _FS_REFER | _FS_TRUNCATE


def version() -> int:
    """Landlock's version here.

    Raises:
        OSError: there is none.
    """
    return kernel.call("landlock_create_ruleset", None, 0, _CREATE_RULESET_VERSION)


def restrict(readable: Iterable[Path], writable: Path | None) -> None:
    """Leaves this process those files and folders, and no TCP, abstract sockets or signals.

    What does not exist is left out. `no_new_privs` must be set before.

    Raises:
        OSError: the kernel has no Landlock, or it is not in use.
    """
    here = version()
    handled = 0
    for since, rights in _FS_RIGHTS:
        handled |= rights if here >= since else 0
    attributes = struct.pack("=Q", handled)
    if here >= _NET_VERSION:
        attributes += struct.pack("=Q", _NET_RIGHTS)
    if here >= _SCOPE_VERSION:
        attributes += struct.pack("=Q", _SCOPES)
    ruleset = kernel.call("landlock_create_ruleset", attributes, len(attributes), 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        if writable is not None:
            _allow(ruleset, writable, _WRITE & handled)
        kernel.call("landlock_restrict_self", ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _FS_FILE | _FS_TRUNCATE
        rule = struct.pack("=Qi", rights, fd)
        kernel.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(fd)
