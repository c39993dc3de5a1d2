"""What the server's hold on its workers does to them."""

from __future__ import annotations

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


async def test_a_worker_that_was_paused_goes_on() -> None:
    workers = nursery()
    try:
        worker = await workers.spawn()
        workers.pause(worker)
        eventually(lambda: worker.is_stopped)
        workers.resume(worker)
        assert (await worker.ask(QUESTION))["outcome"] == "CORRECT"
        assert worker.cpu_s > 0
        workers.kill(worker)
    finally:
        await workers.close()
