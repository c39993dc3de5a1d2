"""The sandbox of a real server: its level, where it is told, and programs that try to get out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

SERVICE = "trimtab.reward.v1.RewardService"
LEVELS = ("PROCESS", "LIMITS", "JACKET", "ISOLATED")
VERIFIERS = "verifiers=" + json.dumps({"math": {"type": "math"}, "code": {"type": "code"}})
BARE = ("sandbox.parts=[]", "sandbox.code_min_level=PROCESS")
TRY = """
import ctypes, fcntl, glob, mmap, os, resource, signal, socket, subprocess, sys, threading
server, port, secret = {server}, {port}, {secret!r}
def act():
    {act}
try:
    act()
except (OSError, MemoryError, RuntimeError, ValueError, subprocess.SubprocessError):
    print("kept in")
else:
    print("got out")
"""
ESCAPES = {
    "read a secret": "open(secret).read()",
    "change a secret": "open(secret, 'a').write('x')",
    "read it by another way": "open('/proc/self/root' + secret).read()",
    "read it through its parent": "open(f'/proc/{os.getppid()}/root' + secret).read()",
    "link to it": "os.symlink(secret, 'link'); open('link').read()",
    "read the user list": "open('/etc/passwd').read()",
    "read an environment": "open(f'/proc/{server}/environ').read()",
    "find the sources": "open(next(iter(glob.glob('/**/reward_server/app.py')), '/none'))",
    "call the server": "socket.create_connection(('127.0.0.1', port), 5)",
    "call it in C": "libc = ctypes.CDLL(None)\n    if libc.socket(2, 1, 0) < 0: raise OSError",
    "stop the server": "os.kill(server, 0)",
    "stop the parent": "os.kill(os.getppid(), 0)",
    "stop its group": "os.killpg(0, 0)",
    "run a program": "subprocess.run(['/bin/true'], check=True)",
    "run a shell": "if os.system('true') != 0: raise OSError",
    "fork": "if os.fork() == 0: os._exit(0)",
    "start hundreds of threads": "threading.stack_size(65536)\n"
    "    wait = threading.Event().wait\n"
    "    for _ in range(2000): threading.Thread(target=wait, daemon=True).start()",
    "take all memory": "bytearray(8 << 30)",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    "write beside its folder": "open('/tmp/trimtab-escape', 'w')",
    "climb out of its folder": "os.listdir('..')",
    "fill the disk": "open('big', 'wb').write(bytes(100 << 20))",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server(VERIFIERS, "workers=1", "sandbox.code_min_level=PROCESS") as running:
        if running.info().sandbox_level < reward_pb2.SANDBOX_LEVEL_JACKET:
            pytest.skip("; ".join(running.info().sandbox_lacks))
        yield running


@pytest.fixture(scope="module")
def bare() -> Iterator[RewardServer]:
    with running_reward_server(VERIFIERS, "workers=1", *BARE) as running:
        yield running


def attempt(server: RewardServer, act: str, secret: Path) -> str:
    """How a program's attempt ends."""
    secret.write_text("hush")
    secret.chmod(0o666)
    port = server.target.rpartition(":")[2]
    program = TRY.format(server=server.process.pid, port=port, secret=str(secret), act=act)
    wanted = json.dumps({"inputs": [""], "outputs": ["kept in"]})
    [result] = server.score(item("1", f"```python\n{program}\n```", wanted, verifier="code"))
    if result.outcome == outcome_pb2.OUTCOME_CORRECT:
        return "kept in"
    return result.detail


@pytest.mark.parametrize("act", ESCAPES.values(), ids=ESCAPES)
def test_programs_do_not_get_out(server: RewardServer, tmp_path: Path, act: str) -> None:
    assert attempt(server, act, tmp_path / "secret") == "kept in"


@pytest.mark.parametrize(
    "name",
    [
        "read a secret", "change a secret", "link to it", "read the user list", "call the server",
        "run a program", "stop the server", "climb out of its folder",
    ],
)  # fmt: skip
def test_without_a_sandbox_they_do(bare: RewardServer, tmp_path: Path, name: str) -> None:
    assert "got out" in attempt(bare, ESCAPES[name], tmp_path / "secret")


def test_the_level_is_what_a_worker_could_not_do(bare: RewardServer) -> None:
    info = bare.info()
    assert info.sandbox_level == reward_pb2.SANDBOX_LEVEL_PROCESS
    lacks = list(info.sandbox_lacks)
    assert any(line.startswith("a worker can read files: no landlock (left") for line in lacks)
    assert len(lacks) == len(set(lacks))


def test_algebra_goes_on_in_the_jacket(server: RewardServer) -> None:
    results = server.score(*(algebra(str(number)) for number in range(20)))
    assert {result.outcome for result in results} == {outcome_pb2.OUTCOME_CORRECT}


def test_health_tells_the_level(server: RewardServer, bare: RewardServer) -> None:
    for running in (server, bare):
        stub: Any = health_pb2_grpc.HealthStub(running.channel)
        reached = running.info().sandbox_level
        for level in LEVELS:
            name = f"{SERVICE}/sandbox/{level}"
            answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=TIMEOUT_S)
            serving = answer.status == health_pb2.HealthCheckResponse.SERVING
            assert serving is (reward_pb2.SandboxLevel.Value(f"SANDBOX_LEVEL_{level}") <= reached)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (("sandbox.min_level=LIMITS", "sandbox.parts=[]"), "sandbox.min_level"),
        (("sandbox.parts=[limits]", VERIFIERS), "sandbox.code_min_level"),
    ],
)
def test_a_server_that_cannot_lock_in_refuses_to_start(
    settings: tuple[str, ...], field: str
) -> None:
    command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0"]
    for setting in settings:
        command += ["--set", setting]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode != 0
    assert done.stdout == ""
    assert f"{field}: " in done.stderr
    assert "PROCESS" in done.stderr
    assert "left out by sandbox.parts" in done.stderr


def test_what_the_server_has_open_is_closed_in_its_children(server: RewardServer) -> None:
    own = {str(path.readlink()) for path in Path(f"/proc/{server.process.pid}/fd").iterdir()}
    sockets = {link for link in own if link.startswith("socket:")}
    assert sockets
    for pid in server.worker_pids():
        links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
        assert not sockets & set(links)
        assert sorted(link.partition(":")[0] for link in links) == sorted(
            ["/dev/null", "/dev/null", "/dev/null", "socket", f"/proc/{pid}/status"]
        )
