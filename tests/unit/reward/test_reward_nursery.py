"""What the server's hold on its workers does to them."""

from __future__ import annotations

import os
from typing import Any

from reward_server.processes import Nursery
from reward_server.sandbox.jacket import Jacket
from tests.wire.reward_server_process import eventually
from trimtab.config.verifiers import MathVerifierConfig

QUESTION: dict[str, Any] = {
    "verifier": "math", "kind": "answer", "texts": ["1+x"], "references": ["x+1"], "timeout_s": 20
}  # fmt: skip


def nursery() -> Nursery:
    options = MathVerifierConfig().model_dump()
    settings: dict[str, Any] = {
        "verifiers": {"math": options},
        "preload": ["reward_server.verifiers.algebra"],
    }
    return Nursery(
        entry="reward_server.worker", settings=settings, jacket=Jacket(memory_bytes=1 << 30)
    )


async def test_a_worker_of_low_priority_goes_on() -> None:
    workers = nursery()
    try:
        worker = await workers.spawn()
        usual = os.getpriority(os.PRIO_PROCESS, worker.pid)
        assert usual > os.getpriority(os.PRIO_PROCESS, os.getpid()), "the server comes first"
        workers.lower_priority(worker)
        eventually(lambda: os.getpriority(os.PRIO_PROCESS, worker.pid) > usual)
        while worker.cpu_s == 0:  # one is answered in less time than the kernel counts
            assert (await worker.ask(QUESTION))["outcome"] == "CORRECT"
        workers.kill(worker)
    finally:
        await workers.close()
