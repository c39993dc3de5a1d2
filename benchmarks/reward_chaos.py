"""A million items while workers are killed at random: each answered once, memory, zombies.

One item in fifty takes a worker, the others are integers. Every tenth of a second one worker gets
SIGKILL.

    python benchmarks/reward_chaos.py
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from reward_common import Server, batches, children, score_all, serving, write

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

KILL_EVERY_S = 0.1
LOOK_EVERY_S = 1.0
WORKER_EVERY = 50


def items(count: int) -> Iterator[reward_pb2.ScoreItem]:
    """Half of them right; the even ones are the right ones."""
    for index in range(count):
        wrong = index % 2
        if index % WORKER_EVERY < 2:
            number = index // WORKER_EVERY
            answer = f"\\sin^2(x)+\\cos^2(x)+{number + wrong}"
            gold = str(number + 1)
        else:
            answer, gold = str(index + wrong), str(index)
        yield reward_pb2.ScoreItem(
            id=str(index),
            verifier="math",
            response=f"It is $\\boxed{{{answer}}}$.",
            references=[gold],
        )


class Chaos:
    """Kills workers and watches memory until it is told to stop."""

    def __init__(self, server: Server) -> None:
        self.kills = 0
        self.memory_bytes: list[int] = []
        self._server = server
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(KILL_EVERY_S, self._kill)),
            threading.Thread(target=self._repeat, args=(LOOK_EVERY_S, self._look)),
        ]

    def __enter__(self) -> Chaos:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, every_s: float, act: object) -> None:
        assert callable(act)
        while not self._stop.wait(every_s):
            act()

    def _kill(self) -> None:
        workers = [pid for zygote in children(self._server.pid) for pid in children(zygote)]
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(random.choice(workers), signal.SIGKILL)
                self.kills += 1

    def _look(self) -> None:
        self.memory_bytes.append(self._server.memory_bytes())


def zombies(server: Server) -> int:
    """Dead processes below the server that nobody has reaped."""
    count = 0
    for pid in server.processes():
        with contextlib.suppress(OSError):
            count += Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return count


def main() -> None:
    """Runs, checks, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    count = parser.parse_args().items
    answered = bytearray(count)
    outcomes: Counter[str] = Counter()

    def take(results: Sequence[reward_pb2.ScoreResult]) -> None:
        for result in results:
            index = int(result.id)
            answered[index] += 1
            expected = outcome_pb2.OUTCOME_INCORRECT if index % 2 else outcome_pb2.OUTCOME_CORRECT
            name = outcome_pb2.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
            outcomes["as expected" if result.outcome == expected else name] += 1

    with serving("workers=2") as server:
        with Chaos(server) as chaos:
            seconds = asyncio.run(score_all(server.target, batches(items(count)), on_results=take))
        left = zombies(server)
    quarter = max(1, len(chaos.memory_bytes) // 4)
    results = {
        "what": "items scored while workers are killed at random",
        "items": count,
        "answered_once": sum(times == 1 for times in answered),
        "outcomes": dict(outcomes),
        "kills": chaos.kills,
        "zombies": left,
        "items_per_s": round(count / seconds),
        "memory_mb": {
            "first_quarter_peak": max(chaos.memory_bytes[:quarter]) >> 20,
            "last_quarter_peak": max(chaos.memory_bytes[-quarter:]) >> 20,
        },
    }
    for name, value in results.items():
        print(f"{name:16} {value}")
    write("reward_chaos", results)


if __name__ == "__main__":
    main()
