"""Programs that attack: what they try is refused, and nothing that they claim becomes a verdict."""

from __future__ import annotations

import json
import os
import socket
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.hostile_programs import FUNCTIONS, PROGRAMS
from tests.wire.reward_server_process import (
    RewardServer,
    children,
    eventually,
    is_gone,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

VERIFIERS = {
    "code": {"type": "code", "timeout_s": 2, "memory_bytes": 512 << 20},
    "share": {"type": "code", "timeout_s": 2, "partial": True},
}
SECRET = "TRIMTAB_TEST_SECRET"
ROOT = Path(__file__).parents[2]
JACKET = reward_pb2.SANDBOX_LEVEL_JACKET
FULL = "INCORRECT test 1: it fills its folder"
"""What becomes of a program that writes too much where no file system bounds it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Open to everybody, with a secret; the server's temporary files stand in it too."""
    folder = tmp_path_factory.mktemp("open")
    for path in (folder, *folder.parents[:2]):
        path.chmod(0o777)
    (folder / "secret").write_text("hush")
    (folder / "secret").chmod(0o666)
    (folder / "tmp").mkdir(mode=0o777)
    return folder


@pytest.fixture(scope="module", params=["whole", pytest.param("bare", marks=pytest.mark.slow)])
def server(folder: Path, request: pytest.FixtureRequest) -> Iterator[RewardServer]:
    """With the whole sandbox, or with what is left of it in a container without rights."""
    settings = [f"verifiers={json.dumps(VERIFIERS)}", "sandbox.code_min_level=PROCESS"]
    if request.param == "bare":
        settings.append("sandbox.parts=[user, limits, landlock, seccomp]")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(SECRET, "hush")
        patch.setenv("TMPDIR", str(folder / "tmp"))
        with running_reward_server(*settings) as running:
            info = running.info()
            if info.sandbox_level < JACKET:
                pytest.skip(f"this system locks programs in too badly: {list(info.sandbox_lacks)}")
            yield running


def fenced(program: str) -> str:
    return f"```python\n{program}\n```"


def outcome(server: RewardServer, program: str, *references: str, verifier: str = "code") -> str:
    [result] = server.score(item("1", fenced(program), *references, verifier=verifier))
    name = outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
    return f"{name} {result.detail}".strip()


def prints(wanted: str, given: str = "") -> str:
    return json.dumps({"inputs": [given], "outputs": [wanted]})


PREAMBLE = """
import ctypes, glob, mmap, os, pathlib, resource, shutil, signal, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return result
folder = pathlib.Path("FOLDER")
"""


def refused(server: RewardServer, body: str, folder: Path | str = "/") -> str:
    """What becomes of a program that says "held" if the body raises, and else "escaped"."""
    program = PREAMBLE.replace("FOLDER", str(folder)) + (
        f"try:\n{textwrap.indent(body, '    ')}\n"
        "except (OSError, RuntimeError, ValueError, MemoryError, subprocess.SubprocessError):\n"
        "    print('held')\nelse:\n    print('escaped')"
    )
    return outcome(server, program, prints("held"))


@pytest.mark.parametrize(
    "body",
    [
        "open('/etc/passwd').read()",
        "open('/etc/hostname').read()",
        "(folder / 'secret').read_text()",
        "os.symlink(folder / 'secret', 'link')\nopen('link').read()",
        "os.link(folder / 'secret', 'link')\nopen('link').read()",
        f"open({str(ROOT / 'pyproject.toml')!r}).read()",
        f"open({str(ROOT / 'reward_server' / 'app.py')!r}).read()",
        f"open({str(Path(__file__))!r}).read()",
        "os.listdir('/')",
        "os.listdir('/tmp')",
        "os.listdir(folder)",
        "os.listdir('..')",
        "open(f'/proc/{os.getppid()}/environ', 'rb').read()",
        "open('/proc/1/environ', 'rb').read()",
        "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)",
        "open(f'/proc/{os.getppid()}/maps').read()",
        "os.listdir(f'/proc/{os.getppid()}/fd')",
        "os.listdir('/proc')",
        "open('/proc/self/mem', 'rb').read(1)",
        "open('/dev/mem', 'rb').read(1)",
        "os.open('/dev/ptmx', os.O_RDWR)",
        "os.stat(folder / 'secret')\nos.open(folder / 'secret', os.O_PATH)\nopen('/etc/shadow')",
    ],
)
def test_files_of_others_cannot_be_read(server: RewardServer, folder: Path, body: str) -> None:
    assert refused(server, body, folder) == "CORRECT"


@pytest.mark.parametrize(
    "body",
    [
        "(folder / 'new').write_text('x')",
        "(folder / 'secret').write_text('x')",
        "open(folder / 'secret', 'a')",
        "os.truncate(folder / 'secret', 0)",
        "(folder / 'secret').unlink()",
        "(folder / 'secret').rename(folder / 'moved')",
        "(folder / 'secret').chmod(0o600)",
        "os.utime(folder / 'secret', (0, 0))",
        "os.mkdir(folder / 'made')",
        "os.symlink('/', folder / 'link')",
        "os.mkfifo('fifo')",
        "os.mknod('device', 0o60666)",
        "open('/dev/shm/x', 'w')",
        "open('/tmp/x', 'w')",
        "open('/var/tmp/x', 'w')",
        "open('../x', 'w')",
        "open('/proc/self/oom_score_adj', 'w').write('-1000')",
        "open('/proc/sys/kernel/core_pattern', 'w')",
        "open(os.__file__, 'a')",
        "open(os.path.join(os.path.dirname(os.__file__), 'x.pth'), 'w')",
        "os.chown('.', 0, 0)",
        "os.setxattr('.', 'user.x', b'x')",
    ],
)
def test_nothing_outside_the_private_folder_can_be_changed(
    server: RewardServer, folder: Path, body: str
) -> None:
    assert refused(server, body, folder) == "CORRECT"
    assert (folder / "secret").read_text() == "hush"
    assert sorted(path.name for path in folder.iterdir()) == ["secret", "tmp"]


@pytest.mark.parametrize(
    "body",
    [
        "os.fork()",
        "os.forkpty()",
        "must(libc.vfork())",
        "must(libc.syscall(56, 17, 0, 0, 0, 0))",
        "must(libc.syscall(435, ctypes.create_string_buffer(88), 88))",
        "subprocess.run(['/bin/true'])",
        "subprocess.run([sys.executable, '-c', ''])",
        "os.posix_spawn(sys.executable, [sys.executable], {})",
        "os.execv('/bin/sh', ['sh', '-c', 'echo held'])",
        "os.execv(sys.executable, [sys.executable, '-c', 'print(\"held\")'])",
        "shutil.copy(sys.executable, 'python')\nos.execv('./python', ['python'])",
        "if os.system('true') != 0: raise OSError",
        "import multiprocessing\nmultiprocessing.Process(target=print).start()",
        "w = threading.Event().wait\nwhile True: threading.Thread(target=w, daemon=1).start()",
    ],
)  # fmt: skip
def test_no_process_can_be_started(server: RewardServer, body: str) -> None:
    known = server.process_pids()
    assert refused(server, body) == "CORRECT"
    eventually(lambda: server.process_pids() <= known)


@pytest.mark.parametrize(
    "body",
    [
        "os.kill(os.getppid(), 9)",
        "os.kill(ZYGOTE, 9)",
        "os.kill(SERVER, 9)",
        "os.kill(os.getppid(), 0)",
        "os.kill(-1, 9)",
        "os.kill(0, 19)",
        "os.killpg(os.getpgrp(), 9)",
        "for pid in range(1, 40_000):\n    if pid != os.getpid():\n        os.kill(pid, 0)",
        "must(libc.syscall(101, 16, ZYGOTE, 0, 0))",
        "must(libc.syscall(101, 0x4206, ZYGOTE, 0, 0))",
        "must(libc.syscall(310, ZYGOTE, None, 0, None, 0, 0))",
        "must(libc.syscall(434, ZYGOTE, 0))",
        "resource.prlimit(ZYGOTE, resource.RLIMIT_CPU, (1, 1))",
        "os.setpriority(os.PRIO_PROCESS, ZYGOTE, 19)",
        "os.nice(-5)",
        "os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))",
        "os.sched_setaffinity(ZYGOTE, {0})",
        "os.setsid()\nos.setpgid(0, os.getppid())",
        "must(libc.ptrace(0, 0, 0, 0))",
    ],
)
def test_other_processes_are_out_of_reach(server: RewardServer, body: str) -> None:
    known = server.process_pids()
    zygote = max(children(server.process.pid))
    body = body.replace("ZYGOTE", str(zygote)).replace("SERVER", str(server.process.pid))
    assert refused(server, body) == "CORRECT"
    assert not [pid for pid in known if is_gone(pid)]


@pytest.mark.parametrize(
    "body",
    [
        "socket.create_connection(('127.0.0.1', PORT))",
        "socket.create_connection(('localhost', PORT))",
        "socket.socket().bind(('127.0.0.1', 0))",
        "socket.socket(socket.AF_INET6).connect(('::1', PORT))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        "socket.socket(socket.AF_UNIX).connect('UNIX')",
        "socket.socket(socket.AF_UNIX).connect('\\0ABSTRACT')",
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '\\0ABSTRACT')",
        "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', '\\0ABSTRACT')",
        "a, b = socket.socketpair()\na.connect('UNIX')",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)",
        "socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET)",
        "socket.socket(40, socket.SOCK_STREAM)",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT', timeout=1)",
        "socket.getaddrinfo('example.com', 80)",
        "socket.socket(fileno=os.dup(1)).connect('UNIX')",
    ],
)
def test_there_is_no_network(server: RewardServer, folder: Path, body: str) -> None:
    port = server.target.rpartition(":")[2]
    with (
        socket.socket(socket.AF_UNIX) as listener,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
    ):
        path = folder / "tmp" / "socket"
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o777)
        listener.listen()
        name = f"trimtab-{os.getpid()}"
        (datagrams if "DGRAM" in body else abstract).bind(f"\0{name}")
        if "DGRAM" not in body:
            abstract.listen()
        body = body.replace("PORT", port).replace("UNIX')", f"{path}')").replace("ABSTRACT", name)
        assert refused(server, body) == "CORRECT"
        path.unlink()


@pytest.mark.parametrize(
    "body",
    [
        "os.setuid(0)",
        "os.setresuid(0, 0, 0)",
        "os.setgroups([0])",
        "must(libc.unshare(0x10000000))",
        "must(libc.unshare(0x00020000))",
        "must(libc.setns(0, 0))",
        "must(libc.mount(b'none', b'.', b'tmpfs', 0, None))",
        "os.chroot('.')",
        "must(libc.syscall(165, 0, 0, 0, 0, 0))",
        "must(libc.syscall(321, 0, 0, 0))",
        "must(libc.syscall(298, 0, 0, 0, 0, 0))",
        "must(libc.syscall(425, 4, ctypes.create_string_buffer(120)))",
        "must(libc.syscall(323, 0))",
        "must(libc.syscall(250, 0, -3, 0))",
        "must(libc.syscall(248, b'user', b'x', b'x', 1, -3))",
        "must(libc.shmget(0, 4096, 0o1600))",
        "must(libc.msgget(0, 0o1600))",
        "must(libc.syscall(240, b'queue', 0o102, 0o600, None))",
        "os.memfd_create('x')",
        "must(libc.personality(0x0040000))",
        "must(libc.prctl(1, 0, 0, 0, 0))",
        "must(libc.syscall(157, 22, 0, 0, 0, 0))",
        "must(libc.reboot(0))",
        "os.sync()\nmust(libc.sethostname(b'x', 1))",
        "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
        "resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))",
        "resource.setrlimit(resource.RLIMIT_FSIZE, (-1, -1))",
        "mmap.mmap(-1, 1 << 30)",
        "for _ in range(5000):\n    os.dup(0)",
        "open('big', 'wb').truncate(1 << 40)",
    ],
)
def test_the_kernel_is_out_of_reach(server: RewardServer, body: str) -> None:
    assert refused(server, body) == "CORRECT"


def test_the_environment_holds_nothing(server: RewardServer) -> None:
    program = (
        "import ctypes, os\nlibc = ctypes.CDLL(None)\nlibc.getenv.restype = ctypes.c_char_p\n"
        f"print(sorted(os.environ), libc.getenv(b'{SECRET}'))"
    )
    wanted = "['HOME', 'LANG', 'PATH', 'TMPDIR'] None"
    assert outcome(server, program, prints(wanted)) == "CORRECT"


def test_only_the_standard_descriptors_lead_anywhere(server: RewardServer) -> None:
    program = """
import os, stat
for fd in range(1024):
    try:
        mode = os.fstat(fd).st_mode
    except OSError:
        continue
    if fd > 2 and not stat.S_ISREG(mode) or fd == 2 and not stat.S_ISCHR(mode):
        print(fd, oct(mode))
print(stat.S_ISSOCK(os.fstat(1).st_mode))
"""
    assert outcome(server, program, prints("True")) == "CORRECT"


def test_programs_do_not_see_each_other(server: RewardServer) -> None:
    """Two at a time: each looks for the other's folder, processes and memory."""
    program = """
import os, pathlib, time
pathlib.Path("mine").write_text("x")
here = pathlib.Path.cwd()
found = []
for _ in range(100):
    for number in range(int(here.name) - 40, int(here.name) + 40):
        other = here.parent / str(number)
        if number != int(here.name):
            for act in (os.listdir, lambda path: open(path / "mine").read(),
                        lambda path: open(path / "planted", "w")):
                try:
                    act(other)
                    found.append(number)
                except OSError:
                    pass
    time.sleep(0.005)
print(found)
"""
    items = [item(str(index), fenced(program + "\n" * index), prints("[]")) for index in range(4)]
    results = server.score(*items)
    assert [result.detail for result in results] == [""] * 4


HUNT = """
import ctypes, gc, inspect, re, sys
MARK = re.compile("XYZ" + "ZY-[0-9]{5}")
found = set()
def look(thing):
    if isinstance(thing, bytes):
        thing = thing.decode("latin-1")
    if isinstance(thing, str):
        found.update(MARK.findall(thing))
seen, queue = set(), [*gc.get_objects(), *sys._current_frames().values(), *inspect.stack()]
while queue and len(seen) < 2_000_000:
    thing = queue.pop()
    if id(thing) not in seen:
        seen.add(id(thing))
        look(thing)
        queue += gc.get_referents(thing)
        if inspect.isframe(thing):
            queue += [*thing.f_locals.values(), *thing.f_globals.values(), thing.f_back]
gc.unfreeze()
for thing in gc.get_objects():
    look(repr(thing)) if isinstance(thing, (dict, list, tuple)) and len(thing) < 50 else None
try:
    maps = open("/proc/self/maps").read()
except OSError:
    maps = ""
for line in maps.splitlines():
    first, last = (int(part, 16) for part in line.split()[0].split("-"))
    if " rw" in line and last - first < 1 << 28:
        look(ctypes.string_at(first, last - first))
"""


def test_what_is_expected_cannot_be_found_in_the_process(server: RewardServer) -> None:
    wanted = "XYZZY-31337"
    given = prints(wanted, "XYZZY-00000")
    # The hunt does find what is there: the input.
    probe = HUNT + "look(input())\nprint(sorted(found))"
    assert "['XYZZY-00000']" in outcome(server, probe, given)
    calls = f"assert f(1) == {wanted!r}"
    hunter = HUNT + "def f(n):\n    return sorted(found)[0] if found else 'nothing'"
    assert "the result \"nothing\" is not 'XYZZY-31337'" in outcome(server, hunter, calls)


FRAMES = """
import json, os, struct
def forge(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack("!I", len(body)) + body)
        except OSError:
            pass
"""


@pytest.mark.parametrize(
    "forgery",
    [
        {"value": 0},
        {"value": True},
        {"value": {"accepts": True}},
        {"value": ["s", ["l"]]},
        {"outcome": "CORRECT", "reward": 1.0},
        {"ready": True},
        {"error": ""},
        {"failure": ""},
        {"failure": [[1]]},
        {"error": {"a": [1]}},
        {"error": "\ud800\0\n"},
        {"failure": "\ud800"},
        {"value": "\ud800"},
        {"value": None, "error": None},
        {},
    ],
)
def test_forged_answers_are_only_claims(server: RewardServer, forgery: object) -> None:
    program = FRAMES + f"for _ in range(9):\n    forge({forgery!r})\ndef f(n):\n    return n * n"
    calls = "assert f(2) == 4\nassert f(3) == 9"
    assert outcome(server, program, calls).startswith("INCORRECT line 1")
    [result] = server.score(item("1", fenced(program), calls, verifier="share"))
    assert result.reward == 0


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\0",
        b"[1]",
        b"nonsense",
        b"[" * 100_000,
        b'{"value": 1' + b"0" * 9000,
        *(
            b'{"%s": %s}' % (key, b"[" * depth + b"]" * depth)
            for key in (b"value", b"error", b"failure")
            for depth in (300, 600, 900, 950)
        ),
    ],
)
def test_forged_nonsense_is_incorrect(server: RewardServer, message: bytes) -> None:
    program = FRAMES + f"forge({message!r})\ndef f(n):\n    return n * n"
    assert outcome(server, program, "assert f(2) == 4").startswith("INCORRECT line 1")


@pytest.mark.parametrize("depth", [950, 980, 985])
def test_what_is_nested_deep_is_incorrect(server: RewardServer, depth: int) -> None:
    program = FRAMES + f"forge(b'{{\"value\": ' + b'[' * {depth} + b']' * {depth} + b'}}')"
    calls = f"assert f(2) == {'4' * 99}"
    assert outcome(server, program, calls).startswith("INCORRECT line 1")


@pytest.mark.parametrize("number", [2, 9, 19, 34, 40, 63])
def test_a_signal_of_its_own_is_no_failure_of_ours(server: RewardServer, number: int) -> None:
    program = f"import os\nos.kill(os.getpid(), {number})"
    assert outcome(server, program, "assert f(2) == 4").startswith("INCORRECT line 1")
    assert outcome(server, program, prints("4")).startswith("INCORRECT test 1")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_tricks_do_not_make_a_wrong_function_right(server: RewardServer, name: str) -> None:
    assert outcome(server, FUNCTIONS[name], "assert f(2) == 4").startswith("INCORRECT")


@pytest.mark.parametrize("name", PROGRAMS)
def test_tricks_do_not_make_a_wrong_program_right(server: RewardServer, name: str) -> None:
    assert outcome(server, PROGRAMS[name], prints("4")).startswith("INCORRECT")


@pytest.mark.parametrize(
    "body",
    [
        "for number in range(100_000):\n    pathlib.Path(f'{number}').write_bytes(bytes(1 << 20))",
        "file = open('x', 'wb')\nwhile True:\n    file.write(bytes(1 << 20))",
        "for number in range(1_000_000):\n    os.mkdir(f'{number}')",
        "for number in range(1_000_000):\n    os.symlink('x', f'{number}')",
    ],
)  # fmt: skip
def test_the_disk_cannot_be_filled(server: RewardServer, folder: Path, body: str) -> None:
    free_before = os.statvfs(folder).f_bavail
    assert refused(server, body) in ("CORRECT", FULL)
    assert abs(os.statvfs(folder).f_bavail - free_before) * os.statvfs(folder).f_frsize < 1 << 30


@pytest.mark.parametrize(
    "body",
    [
        "for _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')",
        "os.mkdir('shut')\nopen('shut/file', 'w').close()\nos.umask(0o777)\nos.mkdir('shut/inner')",
        "os.symlink('/', 'root')\nos.symlink('.', 'self')",
        "for number in range(200):\n    open('\\n' * number + 'x', 'w').close()",
        "open(b'\\xff\\xfe', 'w').close()",
        "os.rmdir(os.getcwd())",
    ],
)  # fmt: skip
def test_what_a_program_leaves_is_removed(server: RewardServer, folder: Path, body: str) -> None:
    body = textwrap.indent(body, "    ")
    program = f"import os\ntry:\n{body}\nexcept OSError:\n    pass\nprint(4)"
    assert outcome(server, program, prints("4")) in ("CORRECT", FULL)
    eventually(lambda: not [p for base in (folder / "tmp").iterdir() for p in base.glob("*/*")])


def test_the_server_has_come_through_it_all(server: RewardServer) -> None:
    known = server.process_pids()
    assert outcome(server, "print(4) # at last", prints("4")) == "CORRECT"
    eventually(lambda: server.process_pids() == known)
