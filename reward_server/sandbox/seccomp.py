"""seccomp: a filter in the kernel that refuses system calls.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from reward_server.sandbox import kernel
from reward_server.sandbox.syscalls import ALLOWED, NOT_YET_KNOWN, ONLY_SELF, ONLY_WITH

_SET_MODE_FILTER = 1
_AUDIT_ARCHITECTURES = (0xC000003E, 0xC00000B7)
_X32_BIT = 0x40000000
_CLONE_THREAD = 0x00010000
_CLONE3 = 435  # the same everywhere

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_REFUSE, _UNKNOWN = _ERRNO | errno.EPERM, _ERRNO | errno.ENOSYS
_NUMBER_OFFSET, _ARCHITECTURE_OFFSET, _ARGUMENTS_OFFSET = 0, 4, 16
_INSTRUCTION, _PID = struct.Struct("=HBBI"), struct.Struct("=I")
_ANY_PID = 0x7FABCDEF  # stands for the child's; larger than any real one

Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, operand."""


def filter_program(index: int, pid: int, *, threads: bool) -> list[Instruction]:
    """The filter for a machine of that column in the tables, and for that process."""
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE_OFFSET),
        (_EQUAL, 1, 0, _AUDIT_ARCHITECTURES[index]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_OFFSET),
        (_AT_LEAST, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _REFUSE),
        (_EQUAL, 0, 1, _CLONE3),  # its flags cannot be seen; the C library falls back to clone
        (_RETURN, 0, 0, _UNKNOWN),
    ]
    for name, numbers in ALLOWED.items():
        number = numbers[index]
        if number is not None:
            decision = _decision(name, pid, threads=threads)
            program.append((_EQUAL, 0, len(decision), number))
            program += decision
    return [
        *program,
        (_AT_LEAST, 0, 1, NOT_YET_KNOWN + 1),
        (_RETURN, 0, 0, _UNKNOWN),
        (_RETURN, 0, 0, _REFUSE),
    ]


def _decision(name: str, pid: int, *, threads: bool) -> list[Instruction]:
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _REFUSE)
    if name == "clone":
        if not threads:
            return [refuse]
        return [_argument(0), (_ANY_BIT, 0, 1, _CLONE_THREAD), allow, refuse]
    if name in ONLY_SELF:
        return [_argument(0), (_EQUAL, 0, 1, pid), allow, refuse]
    if name in ONLY_WITH:
        position, values = ONLY_WITH[name]
        matches = [(_EQUAL, len(values) - place, 0, value) for place, value in enumerate(values)]
        return [_argument(position), *matches, refuse, allow]
    if name == "sendto":
        # No address: only to the other end of a pair.
        zero = [(_EQUAL, 1, 0, 0), refuse]
        return [_argument(4), *zero, _argument(4, half=1), *zero, allow]
    return [allow]


def _argument(position: int, *, half: int = 0) -> Instruction:
    # Numbers are 32 bits to the kernel, whatever stands in the upper half; addresses are not.
    return (_LOAD, 0, 0, _ARGUMENTS_OFFSET + 8 * position + 4 * half)


@functools.cache
def _assembled(index: int, threads: bool) -> bytes:
    program = filter_program(index, _ANY_PID, threads=threads)
    return b"".join(_INSTRUCTION.pack(*instruction) for instruction in program)


def warm_up(*, threads: bool) -> None:
    """Makes the filter ahead, so that forked children find it and add but their number."""
    index = kernel.machine_index()
    if index is not None:
        _assembled(index, threads)


def install(*, threads: bool) -> None:
    """Refuses this process all but the calls of `syscalls.ALLOWED`; `no_new_privs` must be set.

    Raises:
        OSError: the kernel has no filters, or this is a machine whose calls are not known.
    """
    index = kernel.machine_index()
    if index is None:
        raise OSError("the system calls of this machine are not known")
    code = _assembled(index, threads).replace(_PID.pack(_ANY_PID), _PID.pack(os.getpid()))
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: a length and, aligned, a pointer.
    header = struct.pack("@HP", len(code) // _INSTRUCTION.size, ctypes.addressof(buffer))
    kernel.call("seccomp", _SET_MODE_FILTER, 0, header)
