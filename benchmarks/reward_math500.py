"""Verdicts a second on MATH-500, through gRPC, beside Math-Verify in as many processes.

`cold`: every gold once right and once answered with another problem's gold, nothing cached.
`repeats`: eight answers to each problem of which three differ, as in a group of GRPO.

    python benchmarks/reward_math500.py --data FOLDER
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

import pyarrow.parquet as pq
from reward_common import RIVAL, alternating, batches, medians, score_all, serving, write

from trimtab.reward.v1 import reward_pb2

WORKERS = 2
Pair = tuple[str, str]  # a gold and a response


def golds(folder: Path) -> list[str]:
    """The right answers of the problems."""
    column = pq.read_table(folder / "math500.parquet", columns=["reward_model"]).to_pylist()
    return [row["reward_model"]["ground_truth"] for row in column]


def response(answer: str) -> str:
    """A short solution that ends in the answer."""
    steps = "We set up the equation, simplify both sides and solve for the unknown. " * 8
    return f"{steps}Therefore, the final answer is $\\boxed{{{answer}}}$."


def cold(answers: list[str]) -> list[Pair]:
    """Each gold with itself and with another one."""
    shifted = answers[1:] + answers[:1]
    pairs = [(gold, response(gold)) for gold in answers]
    pairs += [(gold, response(other)) for gold, other in zip(answers, shifted, strict=True)]
    random.Random(1).shuffle(pairs)
    return pairs


def repeats(answers: list[str]) -> list[Pair]:
    """Eight answers to each problem, three of them different."""
    draw = random.Random(2)
    pairs = []
    for gold in answers:
        distinct = [gold, *draw.sample(answers, 2)]
        chosen = distinct + [draw.choice(distinct) for _ in range(5)]
        pairs += [(gold, response(answer)) for answer in draw.sample(chosen, 8)]
    return pairs


def ours(pairs: Sequence[Pair]) -> float:
    """Verdicts a second of a fresh server, seen from its client."""
    items = [
        reward_pb2.ScoreItem(id=str(index), verifier="math", response=text, references=[gold])
        for index, (gold, text) in enumerate(pairs)
    ]
    with serving(f"workers={WORKERS}") as server:
        return len(pairs) / asyncio.run(score_all(server.target, list(batches(items))))


def rival(pairs: Sequence[Pair]) -> float:
    """Verdicts a second of Math-Verify in fresh processes that have imported everything."""
    with contextlib.ExitStack() as stack:
        scorers = [stack.enter_context(_scorer()) for _ in range(WORKERS)]
        shares = [pairs[index::WORKERS] for index in range(WORKERS)]
        started_s = time.perf_counter()
        with ThreadPoolExecutor(WORKERS) as threads:
            list(threads.map(_score_share, scorers, shares))
        return len(pairs) / (time.perf_counter() - started_s)


@contextlib.contextmanager
def _scorer() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(RIVAL)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()  # it has imported everything
        yield process
        process.kill()


def _score_share(process: subprocess.Popen[str], share: Sequence[Pair]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    for pair in share:
        process.stdin.write(json.dumps(pair) + "\n")
        process.stdin.flush()
        process.stdout.readline()


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("TRIMTAB_TEST_DATA"))
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    if options.data is None:
        parser.error("--data or TRIMTAB_TEST_DATA names the folder of math500.parquet")
    answers = golds(options.data)
    results = {}
    for name, pairs in (("cold", cold(answers)), ("repeats", repeats(answers))):
        print(f"{name}: {len(pairs)} items")
        values = alternating(
            {"ours": partial(ours, pairs), "math_verify": partial(rival, pairs)}, options.pairs
        )
        ratios = [a / b for a, b in zip(values["ours"], values["math_verify"], strict=True)]
        results[name] = {
            "items": len(pairs), "ratio": round(median(ratios), 2), **medians(values)
        }  # fmt: skip
        print(f"ratio {results[name]['ratio']}")
    write("reward_math500", {"what": "verdicts a second", "workers": WORKERS, **results})


if __name__ == "__main__":
    main()
