"""Programs that the `code` verifier tests in a second, beside a fresh interpreter for every run.

Each program differs, so that no verdict is remembered. A program with inputs runs once for each of
them; one with asserts runs once. The rival starts `python`, without any sandbox, and compares
outputs; for asserts it runs the program with the asserts behind it. Both do two at a time.

    python benchmarks/reward_code.py
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from statistics import median

from reward_common import Server, alternating, batches, medians, score_all, serving, write

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

SLOTS = 2
PROGRAMS = 60
RUNS = 3
INPUTS = ["3 4\n", "10 -2\n", "0 0\n", "7 7\n"]
ASSERTS = "assert add(1, 2) == 3\nassert add(0, 0) == 0\nassert add(-1, 1) == 0"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of program."""

    program: str
    reference: str
    preamble: str = ""

    def text(self, number: int) -> str:
        """The program, unlike every other."""
        return f"{self.preamble}{self.program}\n# {number}\n"


def _outputs() -> list[str]:
    return [str(sum(map(int, line.split()))) for line in INPUTS]


STDIN = json.dumps({"inputs": INPUTS, "outputs": _outputs()})
KINDS = {
    "four_inputs": Kind("a, b = map(int, input().split())\nprint(a + b)", STDIN),
    "three_asserts": Kind("def add(a, b):\n    return a + b", ASSERTS),
    "three_asserts_numpy": Kind(
        "def add(a, b):\n    return int(np.add(a, b))", ASSERTS, "import numpy as np\n"
    ),
}


def ours(server: Server, kind: Kind, first: list[int]) -> float:
    """Programs tested in a second through gRPC."""
    numbers = range(first[0], first[0] + PROGRAMS)
    first[0] += PROGRAMS
    items = [
        reward_pb2.ScoreItem(
            id=str(number),
            response=f"```python\n{kind.text(number)}```",
            references=[kind.reference],
        )
        for number in numbers
    ]
    outcomes: list[int] = []

    def take(results: Sequence[reward_pb2.ScoreResult]) -> None:
        outcomes.extend(result.outcome for result in results)

    seconds = asyncio.run(score_all(server.target, batches(items, 16), on_results=take))
    assert outcomes == [outcome_pb2.OUTCOME_CORRECT] * PROGRAMS, outcomes
    return PROGRAMS / seconds


def rival(kind: Kind) -> float:
    """The same with a fresh interpreter for every run."""
    started_s = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as pool:
        assert all(pool.map(partial(_passes, kind), range(PROGRAMS)))
    return PROGRAMS / (time.perf_counter() - started_s)


def _passes(kind: Kind, number: int) -> bool:
    program = kind.text(number)
    if kind.reference != STDIN:
        command = [sys.executable, "-c", f"{program}\n{kind.reference}"]
        return subprocess.run(command, timeout=60, check=False).returncode == 0
    for given, wanted in zip(INPUTS, _outputs(), strict=True):
        ran = subprocess.run(
            [sys.executable, "-c", program],
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if ran.stdout.strip() != wanted:
            return False
    return True


def latency_ms(server: Server, kind: Kind, first: list[int]) -> float:
    """Milliseconds for one program on an idle server, median."""
    found = []
    for _ in range(20):
        item = reward_pb2.ScoreItem(
            id="1", response=f"```python\n{kind.text(first[0])}```", references=[kind.reference]
        )
        first[0] += 1
        found.append(asyncio.run(score_all(server.target, batches([item], 1), calls=1)))
    return 1000 * median(found)


def main() -> None:
    """Measures, prints, writes."""
    with serving("verifiers={code: {type: code}}", f"program_slots={SLOTS}") as server:
        first = [0]
        runs: dict[str, Callable[[], float]] = {}
        for name, kind in KINDS.items():
            runs[name] = partial(ours, server, kind, first)
            runs[f"{name}_fresh_python"] = partial(rival, kind)
        for name in KINDS:
            runs[name]()  # first use
        values = alternating(runs, RUNS)
        latencies = {name: latency_ms(server, kind, first) for name, kind in KINDS.items()}
    times = {
        name: round(median(values[name]) / median(values[f"{name}_fresh_python"]), 2)
        for name in KINDS
    }
    print("times as many:", times, "ms each, alone:", latencies)
    write(
        "reward_code",
        {
            "what": "programs in a second, two at a time",
            **medians(values),
            "times_fresh_python": times,
            "ms_alone": {name: round(value, 2) for name, value in latencies.items()},
        },
    )


if __name__ == "__main__":
    main()
