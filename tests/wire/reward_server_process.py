"""Starts a real reward server for a test, and looks at its processes from outside."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

TIMEOUT_S = 30.0
HANGING = r"\boxed{\int_0^1 \int_0^1 \sin(x y^{x^{y}}) dx dy}"
"""An answer that Math-Verify does not finish with."""
SYMBOLIC = r"\boxed{\frac{x^2-1}{x-1}}"
"""An answer equal to `x+1` that takes a worker to tell."""

_fresh = itertools.count(10)


@dataclass(slots=True)
class RewardServer:
    """A running server."""

    process: subprocess.Popen[str]
    target: str
    channel: grpc.Channel
    stub: reward_pb2_grpc.RewardServiceStub

    def score(
        self, *items: reward_pb2.ScoreItem, timeout_s: float = TIMEOUT_S, request_id: str = ""
    ) -> list[reward_pb2.ScoreResult]:
        """The results of one call."""
        request = reward_pb2.ScoreRequest(request_id=request_id, items=items)
        return list(self.stub.Score(request, timeout=timeout_s).results)

    def info(self) -> reward_pb2.GetInfoResponse:
        """What the server tells about itself."""
        return self.stub.GetInfo(reward_pb2.GetInfoRequest(), timeout=TIMEOUT_S)

    def worker_pids(self) -> set[int]:
        """The worker processes."""
        return {pid for child in children(self.process.pid) for pid in children(child)}

    def process_pids(self) -> set[int]:
        """Every process below the server."""
        zygotes = children(self.process.pid)
        return zygotes | self.worker_pids()


@contextlib.contextmanager
def running_reward_server(*settings: str) -> Iterator[RewardServer]:
    """A server with `key=value` settings, ended afterwards."""
    command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0"]
    for setting in ("workers=2", *settings):
        command += ["--set", setting]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("reward serving on "), line
        target = line.split()[-1]
        with grpc.insecure_channel(target) as channel:
            yield RewardServer(process, target, channel, reward_pb2_grpc.RewardServiceStub(channel))
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        process.wait(TIMEOUT_S)
        assert process.stdout is not None
        process.stdout.close()


def children(pid: int) -> set[int]:
    """The child processes of a process, the dead ones that nobody has reaped included."""
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found.update(int(child) for child in (thread / "children").read_text().split())
    return found


def is_gone(pid: int) -> bool:
    """True if no such process runs; one that is dead but unreaped by a stranger is gone too."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state in "ZX"


def cpu_ticks(pid: int) -> int:
    """Processor time that a process has used, in hundredths of a second."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])
    except OSError:
        return 0


def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds."""
    deadline_s = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline_s, "it never came about"
        os.sched_yield()


def item(item_id: str, response: str, *references: str, verifier: str = "") -> reward_pb2.ScoreItem:
    """An item."""
    return reward_pb2.ScoreItem(
        id=item_id, response=response, references=references, verifier=verifier
    )


def algebra(item_id: str, verifier: str = "") -> reward_pb2.ScoreItem:
    """A right answer that takes a worker to tell, and that came in no item before."""
    number = next(_fresh)
    response = rf"\boxed{{\sin^2(x)+\cos^2(x)+{number}}}"
    return item(item_id, response, str(number + 1), verifier=verifier)


def hanging(item_id: str, verifier: str = "") -> reward_pb2.ScoreItem:
    """An answer that Math-Verify does not finish with, and that came in no item before."""
    response = HANGING.replace("sin(", f"sin({next(_fresh)} ")
    return item(item_id, response, "42", verifier=verifier)


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo:
    """The ErrorInfo that a status carries."""
    info = error_details_pb2.ErrorInfo()
    assert unpack_detail(error, info), error
    return info


def unpack_detail(error: grpc.RpcError, detail: Message) -> bool:
    """Fills in the detail from a status; False if it carries none of that type."""
    status = rpc_status.from_call(cast(grpc.Call, error))
    return status is not None and any(packed.Unpack(detail) for packed in status.details)
