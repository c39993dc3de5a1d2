"""Items with whole numbers as answers that one server process judges a second, through gRPC.

Four calls of 64 items at a time, from one client process. `echo` is a servicer that answers every
item alike, which bounds what gRPC and protobuf leave.

    python benchmarks/reward_throughput.py
"""

from __future__ import annotations

import argparse
import asyncio
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from grpc import aio
from reward_common import alternating, batches, medians, score_all, serving, write

from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

ITEMS = 128_000
PAIRS = 5
_STEP = "We set up the equation, simplify both sides and solve for the unknown. "


def items(count: int, steps: int) -> list[reward_pb2.ScoreItem]:
    """Right and wrong answers, half of each, behind so many steps of 71 characters."""
    draw = random.Random(3)
    thinking = _STEP * steps
    made = []
    for index in range(count):
        gold = draw.randrange(-1000, 100_000)
        answer = gold if index % 2 else gold + draw.randrange(1, 1000)
        response = f"{thinking}Therefore, the final answer is $\\boxed{{{answer}}}$."
        made.append(reward_pb2.ScoreItem(id=str(index), response=response, references=[str(gold)]))
    return made


def ours(scored: list[reward_pb2.ScoreItem]) -> float:
    """Items a second of a fresh server; checks every verdict."""
    right = 0

    def count(results: Sequence[reward_pb2.ScoreResult]) -> None:
        nonlocal right
        for result in results:
            right += result.outcome == outcome_pb2.OUTCOME_CORRECT

    requests = list(batches(scored))
    with serving("workers=1") as server:
        asyncio.run(score_all(server.target, requests[:200]))
        seconds = asyncio.run(score_all(server.target, requests, on_results=count))
    assert right == len(scored) // 2, right
    return len(scored) / seconds


async def _score(request: reward_pb2.ScoreRequest, _: object) -> reward_pb2.ScoreResponse:
    correct = outcome_pb2.OUTCOME_CORRECT
    results = [reward_pb2.ScoreResult(id=item.id, outcome=correct) for item in request.items]
    return reward_pb2.ScoreResponse(results=results)


async def _info(_: reward_pb2.GetInfoRequest, __: object) -> reward_pb2.GetInfoResponse:
    return reward_pb2.GetInfoResponse()


async def _serve_echo() -> None:
    echoing: Any = SimpleNamespace(Score=_score, ScoreStream=None, GetInfo=_info)
    server = aio.server()
    reward_pb2_grpc.add_RewardServiceServicer_to_server(echoing, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


def echo(scored: list[reward_pb2.ScoreItem]) -> float:
    """Items a second of the servicer that judges nothing."""
    requests = list(batches(scored))
    process = subprocess.Popen(
        [sys.executable, __file__, "--echo"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        target = process.stdout.readline().strip()
        return len(scored) / asyncio.run(score_all(target, requests))
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--echo", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pairs", type=int, default=PAIRS, help="runs of each")
    arguments = parser.parse_args()
    if arguments.echo:
        asyncio.run(_serve_echo())
        return
    short, long = items(ITEMS, 0), items(ITEMS // 2, 28)
    runs: dict[str, Callable[[], float]] = {
        "integers": partial(ours, short),
        "integers_2kB": partial(ours, long),
    }
    runs["echo"] = partial(echo, short)
    values = alternating(runs, arguments.pairs)
    write("reward_throughput", {"what": "items a second", **medians(values)})


if __name__ == "__main__":
    main()
