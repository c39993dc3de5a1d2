"""The filter of system calls, decided by the rules of the kernel's interpreter."""

from __future__ import annotations

import errno

import pytest

from reward_server.sandbox.kernel import MACHINES
from reward_server.sandbox.seccomp import filter_program
from reward_server.sandbox.syscalls import ALLOWED

PID = 4321
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
REFUSED, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
ARCHITECTURES = (0xC000003E, 0xC00000B7)
THREAD_FLAGS, FORK_FLAGS = 0x3D0F00, 0x1200011
BOTH = pytest.mark.parametrize("index", [0, 1], ids=MACHINES)
FORBIDDEN = {
    "execve": (59, 221), "execveat": (322, 281), "socket": (41, 198), "connect": (42, 203),
    "bind": (49, 200), "listen": (50, 201), "sendmsg": (46, 211), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40),
    "move_mount": (429, 429), "open_tree": (428, 428), "bpf": (321, 280),
    "perf_event_open": (298, 241), "io_uring_setup": (425, 425), "keyctl": (250, 219),
    "add_key": (248, 217), "userfaultfd": (323, 282), "memfd_create": (319, 279),
    "personality": (135, 92), "reboot": (169, 142), "init_module": (175, 105),
    "finit_module": (313, 273), "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264),
    "chroot": (161, 51), "pivot_root": (155, 41), "setuid": (105, 146), "setgroups": (116, 159),
    "capset": (126, 91), "seccomp": (317, 277), "fchmod": (91, 52), "fchmodat": (268, 53),
    "fchownat": (260, 54), "utimensat": (280, 88), "setpriority": (141, 140), "shmget": (29, 194),
    "openat2": (437, 437), "setsid": (112, 157), "linkat": (265, 37), "setxattr": (188, 5),
}  # fmt: skip


def decide(index: int, number: int, *arguments: int, threads: bool = False, arch: int = 0) -> int:
    """What the filter says to a call, run as the kernel would."""
    words = {0: number, 4: arch or ARCHITECTURES[index]}
    for place, argument in enumerate((*arguments, *[0] * 6)[:6]):
        words[16 + 8 * place] = argument & 0xFFFFFFFF
        words[20 + 8 * place] = argument >> 32
    program = filter_program(index, PID, threads=threads)
    accumulator = at = 0
    while True:
        operation, if_true, if_false, operand = program[at]
        if operation == 0x06:
            return operand
        if operation == 0x20:
            accumulator = words[operand]
            at += 1
            continue
        holds = {
            0x15: accumulator == operand,
            0x35: accumulator >= operand,
            0x45: bool(accumulator & operand),
        }[operation]
        at += 1 + (if_true if holds else if_false)


def number(name: str, index: int) -> int:
    found = ALLOWED[name][index]
    assert found is not None
    return found


@BOTH
@pytest.mark.parametrize("name", FORBIDDEN)
def test_what_reaches_others_is_refused(name: str, index: int) -> None:
    assert decide(index, FORBIDDEN[name][index], threads=True) == REFUSED


@BOTH
@pytest.mark.parametrize("name", ["read", "write", "openat", "mmap", "futex", "exit_group"])
def test_what_python_needs_is_allowed(name: str, index: int) -> None:
    assert decide(index, number(name, index)) == ALLOW


@BOTH
def test_calls_of_another_architecture_end_the_process(index: int) -> None:
    assert decide(index, number("read", index), arch=0x40000003) == KILL
    assert decide(index, number("read", index), arch=ARCHITECTURES[1 - index]) == KILL


def test_the_x32_calls_are_refused() -> None:
    assert decide(0, 0x40000000 | number("read", 0)) == REFUSED


@BOTH
def test_threads_are_no_processes(index: int) -> None:
    clone = number("clone", index)
    assert decide(index, clone, THREAD_FLAGS, threads=True) == ALLOW
    assert decide(index, clone, FORK_FLAGS, threads=True) == REFUSED
    assert decide(index, clone, THREAD_FLAGS) == REFUSED
    assert decide(index, 435, threads=True) == UNKNOWN, "clone3 hides its flags"


@BOTH
@pytest.mark.parametrize("name", ["kill", "tgkill"])
def test_signals_go_to_the_process_itself_alone(name: str, index: int) -> None:
    call = number(name, index)
    assert decide(index, call, PID, 9) == ALLOW
    for other in (0, 1, PID + 1, -1 & 0xFFFFFFFFFFFFFFFF, -PID & 0xFFFFFFFF):
        assert decide(index, call, other, 9) == REFUSED


@BOTH
def test_datagrams_go_to_the_other_end_alone(index: int) -> None:
    call = number("sendto", index)
    assert decide(index, call, 3, 0, 1, 0, 0) == ALLOW
    assert decide(index, call, 3, 0, 1, 0, 0x7F0012345678) == REFUSED
    assert decide(index, call, 3, 0, 1, 0, 0x7F0000000000) == REFUSED


@BOTH
def test_arguments_are_looked_at(index: int) -> None:
    assert decide(index, number("fcntl", index), 3, 1) == ALLOW
    assert decide(index, number("fcntl", index), 3, 8) == REFUSED  # F_SETOWN
    assert decide(index, number("fcntl", index), 3, 10) == REFUSED  # F_SETSIG
    assert decide(index, number("ioctl", index), 3, 0x541B) == ALLOW
    assert decide(index, number("ioctl", index), 3, 0x5412) == REFUSED  # TIOCSTI
    assert decide(index, number("prctl", index), 15) == ALLOW
    assert decide(index, number("prctl", index), 1) == REFUSED  # PR_SET_PDEATHSIG
    assert decide(index, number("prlimit64", index), 0) == ALLOW
    assert decide(index, number("prlimit64", index), 1) == REFUSED
    assert decide(index, number("socketpair", index), 1) == ALLOW
    assert decide(index, number("socketpair", index), 2) == REFUSED


@BOTH
def test_calls_of_later_kernels_do_not_exist(index: int) -> None:
    assert decide(index, 5000) == UNKNOWN
