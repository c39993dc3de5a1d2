"""Latency of the other items when one in twenty hangs, beside Math-Verify in two processes.

Items arrive over one ScoreStream, each in a message of its own, at half and at a tenth of the pace
that the server keeps up with; half of them are integers, half take a worker. The rival gets the
items through a queue, at half of its own pace; what hangs it leaves to its own time limits.

    python benchmarks/reward_hang.py
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

from grpc import aio
from reward_common import RIVAL, TIMEOUT_S, serving, write

from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

WORKERS = 2
HANG_SHARE = 0.05
CAPACITY_ITEMS = 2000
OPEN_ITEMS = 64
PACES = {"half_of_capacity": 0.5, "tenth_of_capacity": 0.1}


@dataclass(frozen=True, slots=True)
class Case:
    """One item."""

    gold: str
    answer: str
    hangs: bool = False

    @property
    def response(self) -> str:
        """The answer in a box."""
        return f"So the final answer is $\\boxed{{{self.answer}}}$."


def cases(count: int, *, hang_share: float, first: int) -> list[Case]:
    """Items that never repeat; `first` tells one series from another."""
    draw = random.Random(first)
    made = []
    for index in range(first, first + count):
        if draw.random() < hang_share:
            hang = rf"\int_0^1 \frac{{\sin(x^7+{index})}}{{\ln(x+2)}} dx"
            made.append(Case("0.5", hang, hangs=True))
        elif index % 2:
            made.append(Case(str(index), str(index)))
        else:
            made.append(Case(str(index + 1), rf"\sin^2(x)+\cos^2(x)+{index}"))
    return made


async def arriving(
    made: Sequence[Case], pace: float, submit: Callable[[int, Case], Awaitable[None]]
) -> dict[int, float]:
    """Submits the items at a pace, without waiting for answers; gives when each was sent."""
    draw = random.Random(3)
    sent_s: dict[int, float] = {}
    due_s = time.perf_counter()
    for index, case in enumerate(made):
        due_s += draw.expovariate(pace)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        # An arrival that the client itself delays counts from when it was due.
        sent_s[index] = due_s
        await submit(index, case)
    return sent_s


class Stream:
    """One ScoreStream: items go in one by one, and each is noted when it is answered."""

    def __init__(self, stub: reward_pb2_grpc.RewardServiceAsyncStub) -> None:
        self.answered_s: dict[int, float] = {}
        self._queue: asyncio.Queue[reward_pb2.ScoreItem | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(OPEN_ITEMS)
        self._call = stub.ScoreStream(self._requests(), timeout=TIMEOUT_S)
        self._receiving = asyncio.create_task(self._receive())

    async def submit(self, index: int, case: Case) -> None:
        """Sends an item whatever is still open."""
        await self._queue.put(_item(index, case))

    async def submit_when_there_is_room(self, index: int, case: Case) -> None:
        """Sends an item once fewer than OPEN_ITEMS are open."""
        await self._room.acquire()
        await self.submit(index, case)

    async def finish(self) -> None:
        """Returns when every item is answered."""
        await self._queue.put(None)
        await self._receiving

    async def _requests(self) -> AsyncIterator[reward_pb2.ScoreStreamRequest]:
        while (item := await self._queue.get()) is not None:
            yield reward_pb2.ScoreStreamRequest(items=[item])

    async def _receive(self) -> None:
        async for response in self._call:
            for result in response.results:
                self.answered_s[int(result.id)] = time.perf_counter()
                self._room.release()


async def our_pace(target: str, made: Sequence[Case]) -> float:
    """Items a second that a stream keeps up with."""
    async with aio.insecure_channel(target) as channel:
        stream = Stream(reward_pb2_grpc.RewardServiceStub(channel))
        started_s = time.perf_counter()
        for index, case in enumerate(made):
            await stream.submit_when_there_is_room(index, case)
        await stream.finish()
        return len(made) / (time.perf_counter() - started_s)


async def ours(target: str, made: Sequence[Case], pace: float) -> list[float]:
    """Milliseconds from arrival to answer of each item that does not hang."""
    async with aio.insecure_channel(target) as channel:
        stream = Stream(reward_pb2_grpc.RewardServiceStub(channel))
        sent_s = await arriving(made, pace, stream.submit)
        await stream.finish()
        return _latencies_ms(made, sent_s, stream.answered_s)


async def rival(made: Sequence[Case], pace: float) -> list[float]:
    """The same of Math-Verify."""
    queue: asyncio.Queue[tuple[int, Case]] = asyncio.Queue()
    answered_s: dict[int, float] = {}
    done = asyncio.Semaphore(0)

    async def serve(process: asyncio.subprocess.Process) -> None:
        while True:
            index, case = await queue.get()
            await _rival_score(process, case)
            answered_s[index] = time.perf_counter()
            done.release()

    async def submit(index: int, case: Case) -> None:
        await queue.put((index, case))

    async with AsyncExitStack() as stack:
        serving = [asyncio.create_task(serve(await _rival_process(stack))) for _ in range(WORKERS)]
        sent_s = await arriving(made, pace, submit)
        for _ in made:
            await done.acquire()
        for task in serving:
            task.cancel()
    return _latencies_ms(made, sent_s, answered_s)


async def rival_pace(made: Sequence[Case]) -> float:
    """Items a second of Math-Verify in one process after the other's warm-up, times processes."""
    async with AsyncExitStack() as stack:
        process = await _rival_process(stack)
        started_s = time.perf_counter()
        for case in made:
            await _rival_score(process, case)
        return WORKERS * len(made) / (time.perf_counter() - started_s)


async def _rival_process(stack: AsyncExitStack) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(RIVAL), stdin=pipe, stdout=pipe
    )
    stack.push_async_callback(process.wait)
    stack.callback(process.kill)
    assert process.stdout is not None
    await process.stdout.readline()  # it has imported everything
    return process


async def _rival_score(process: asyncio.subprocess.Process, case: Case) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps([case.gold, case.response]).encode() + b"\n")
    await process.stdout.readline()


def _item(index: int, case: Case) -> reward_pb2.ScoreItem:
    return reward_pb2.ScoreItem(
        id=str(index), verifier="math", response=case.response, references=[case.gold]
    )


def _latencies_ms(
    made: Sequence[Case], sent_s: dict[int, float], answered_s: dict[int, float]
) -> list[float]:
    return [
        1e3 * (answered_s[index] - sent_s[index])
        for index, case in enumerate(made)
        if not case.hangs
    ]


def described(values_ms: list[float]) -> dict[str, float]:
    """The usual numbers."""
    ordered = sorted(values_ms)
    return {
        "p50_ms": round(median(ordered), 2),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 1),
        "max_ms": round(ordered[-1], 1),
    }


def measure_ours(seconds: float, share: float) -> dict[str, Any]:
    """Latencies without and with items that hang, of one fresh server, at a share of its pace."""
    with serving(f"workers={WORKERS}", "item_deadline_s=1") as server:
        plain = cases(CAPACITY_ITEMS, hang_share=0, first=0)
        pace = asyncio.run(our_pace(server.target, plain)) * share
        found: dict[str, Any] = {"arrivals_per_s": round(pace, 1)}
        for name, hang_share in (("undisturbed", 0.0), ("hanging", HANG_SHARE)):
            made = cases(int(seconds * pace), hang_share=hang_share, first=_first(hang_share))
            latencies_ms = asyncio.run(ours(server.target, made, pace))
            found[name] = described(latencies_ms)
            if hang_share:
                found["hanging_late"] = described(latencies_ms[len(latencies_ms) // 2 :])
    for name in ("hanging", "hanging_late"):
        added_ms = found[name]["p99_ms"] - found["undisturbed"]["p99_ms"]
        found[f"p99_added_ms_{name}"] = round(added_ms, 1)
    return found


def measure_rival(seconds: float) -> dict[str, Any]:
    """The same of Math-Verify."""
    pace = asyncio.run(rival_pace(cases(300, hang_share=0, first=0))) / 2
    found: dict[str, Any] = {"arrivals_per_s": round(pace, 1)}
    for name, share in (("undisturbed", 0.0), ("hanging", HANG_SHARE)):
        made = cases(int(seconds * pace), hang_share=share, first=_first(share))
        found[name] = described(asyncio.run(rival(made, pace)))
    return found


def _first(hang_share: float) -> int:
    """Where a series begins, so that no two share an item."""
    return 2_000_000 if hang_share else 1_000_000


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="fresh servers")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of each series")
    options = parser.parse_args()
    results: dict[str, Any] = {
        "what": "latency of the items that do not hang; late: the second half of a series",
        "hang_share": HANG_SHARE,
        "workers": WORKERS,
    }
    for name, share in PACES.items():
        runs = [measure_ours(options.seconds, share) for _ in range(options.runs)]
        for key in ("p99_added_ms_hanging", "p99_added_ms_hanging_late"):
            results[f"{name}_{key}"] = median(run[key] for run in runs)
        results[name] = runs
        print(name, json.dumps(runs, indent=1), flush=True)
    results["math_verify"] = measure_rival(options.seconds)
    print("math_verify", results["math_verify"])
    write("reward_hang", results)


if __name__ == "__main__":
    main()
