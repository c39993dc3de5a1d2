"""What the benchmarks of the reward server share: a fresh server, its processes, results."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from grpc import aio

from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

RESULTS = Path(__file__).parent / "results"
RIVAL = Path(__file__).with_name("math_verify_scorer.py")
TIMEOUT_S = 600.0
_PACKAGES = ("math-verify", "latex2sympy2-extended", "sympy", "grpcio", "protobuf")


@dataclass(frozen=True, slots=True)
class Server:
    """A reward server that serves."""

    pid: int
    target: str
    start_s: float
    """From its start to SERVING."""

    def processes(self) -> list[int]:
        """It and every process below it."""
        found = [self.pid]
        for pid in found:
            found += children(pid)
        return found

    def memory_bytes(self) -> int:
        """Memory of all its processes, shared pages counted once."""
        return sum(map(_proportional_bytes, self.processes()))


@contextlib.contextmanager
def serving(*settings: str) -> Iterator[Server]:
    """A fresh server with `key=value` settings."""
    command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0"]
    for setting in ("log_level=error", *settings):
        command += ["--set", setting]
    started_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield Server(process.pid, line.split()[-1], time.perf_counter() - started_s)
    finally:
        process.terminate()
        process.wait(30)


def children(pid: int) -> list[int]:
    """The child processes of a process, dead ones that nobody has reaped included."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def _proportional_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def batches(
    items: Iterable[reward_pb2.ScoreItem], size: int = 64
) -> Iterator[reward_pb2.ScoreRequest]:
    """The items as requests."""
    remaining = iter(items)
    while batch := list(itertools.islice(remaining, size)):
        yield reward_pb2.ScoreRequest(items=batch)


async def score_all(
    target: str,
    requests: Iterable[reward_pb2.ScoreRequest],
    *,
    calls: int = 4,
    on_results: Callable[[Sequence[reward_pb2.ScoreResult]], None] | None = None,
) -> float:
    """Sends the requests, some at once; gives the seconds until the last answer."""
    remaining = iter(requests)
    async with aio.insecure_channel(target) as channel:
        stub = reward_pb2_grpc.RewardServiceStub(channel)

        async def caller() -> None:
            for request in remaining:
                response = await stub.Score(request, timeout=TIMEOUT_S)
                if on_results is not None:
                    on_results(response.results)

        await stub.GetInfo(reward_pb2.GetInfoRequest(), timeout=TIMEOUT_S)
        started_s = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(calls)))
        return time.perf_counter() - started_s


def alternating(
    runs: dict[str, Callable[[], float]], pairs: int, unit: str = "/s"
) -> dict[str, list[float]]:
    """The values of each run, taken in turns so that noise hits all alike."""
    values: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(pairs):
        for name, run in runs.items():
            values[name].append(run())
            print(f"{name:32} {values[name][-1]:12.1f}{unit}", flush=True)
    return values


def medians(values: dict[str, list[float]]) -> dict[str, Any]:
    """The median of each, with all that was measured."""
    return {
        name: {"median": round(median(found), 2), "all": [round(value, 2) for value in found]}
        for name, found in values.items()
    }


def write(name: str, results: dict[str, Any]) -> None:
    """Writes the results with what they were measured on."""
    about = {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in _PACKAGES},
    }
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({**results, **about}, indent=1) + "\n", encoding="utf-8")
    print(f"written to {path}")
