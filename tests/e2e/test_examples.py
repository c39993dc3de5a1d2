"""The examples of the README, run as a reader would."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pandas as pd
import pytest

from tests.services import service
from tests.wire.learner_runs import client_of, run_to_end, trio
from trimtab.client import Item, RewardClient, wait_until_serving
from trimtab.common.v1 import outcome_pb2

ROOT = Path(__file__).parents[2]
BREVITY = ROOT / "examples" / "external_reward" / "brevity.py"


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def brevity_server() -> Iterator[str]:
    """The external reward server of the README."""
    port = free_port()
    process = subprocess.Popen([sys.executable, str(BREVITY), str(port)])
    try:
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_the_readme_shows_the_examples_as_they_are() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in (BREVITY, ROOT / "examples" / "client.py"):
        assert path.read_text(encoding="utf-8") in readme, path
    lines = BREVITY.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line]) <= 30


def test_the_client_example_runs(tmp_path: Path) -> None:
    with service("rollout_server") as rollout, service("reward_server", "workers=1") as reward:
        text = (ROOT / "examples" / "client.py").read_text(encoding="utf-8")
        text = text.replace("127.0.0.1:50051", rollout.target)
        script = tmp_path / "client.py"
        script.write_text(text.replace("127.0.0.1:50052", reward.target), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=True, timeout=60
        )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(re.search(r" [01]\.0 \[", line) for line in lines)


async def test_a_run_routes_to_an_external_server(tmp_path: Path) -> None:
    with brevity_server() as target, trio(tmp_path) as servers:
        rewards = {"brevity": {"target": target, "weight": 0.5, "patience_s": 30}}
        config = servers.config(rewards=rewards, train={"steps": 1})
        async with client_of(servers.learner) as client:
            await run_to_end(client, "routed", config)
    samples = pd.read_parquet(tmp_path / "routed" / "samples" / "step-000001.parquet")
    assert len(samples) == 16
    for _, row in samples.iterrows():
        parts = dict(row["components"])
        assert parts["brevity"] == pytest.approx(1 / (1 + len(row["response"])))
        expected = (row["outcome"] == "correct") + 0.5 * parts["brevity"]
        assert row["reward"] == pytest.approx(expected)


async def test_a_reward_server_routes_to_another(tmp_path: Path) -> None:
    with (
        brevity_server() as target,
        service(
            "reward_server", "workers=1", f"routes.style={{target: '{target}', verifier: brevity}}"
        ) as own,
    ):
        await wait_until_serving(own.target, timeout_s=30)
        async with RewardClient(own.target) as client:
            info = await client.get_info()
            assert [(v.name, v.type) for v in info.verifiers][-1] == ("style", "route")
            results = await client.score(
                [
                    Item(id="a", verifier="style", response="1234"),
                    Item(id="b", verifier="numeric", response="5", references=["5"]),
                ],
                timeout_s=30,
            )
    assert [result.reward for result in results] == [pytest.approx(0.2), 1.0]
    assert results[0].outcome == outcome_pb2.OUTCOME_SCORED


async def test_an_unreachable_route_makes_its_items_unavailable() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    route = f"routes.style={{target: '{nobody}', patience_s: 0.2}}"
    with service("reward_server", "workers=1", route) as own:
        async with RewardClient(own.target) as client:
            [result, other] = await client.score(
                [
                    Item(id="a", verifier="style", response="1234"),
                    Item(id="b", verifier="numeric", response="5", references=["5"]),
                ],
                timeout_s=30,
            )
    assert result.outcome == outcome_pb2.OUTCOME_UNAVAILABLE
    assert result.cause == outcome_pb2.CAUSE_MACHINERY
    assert not result.HasField("reward")
    assert other.outcome == outcome_pb2.OUTCOME_CORRECT


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.real_model
@pytest.mark.skipif(
    "TRIMTAB_TEST_MODEL" not in os.environ or "TRIMTAB_TEST_DATA" not in os.environ,
    reason="TRIMTAB_TEST_MODEL and TRIMTAB_TEST_DATA name no model and data",
)
def test_a_real_model_trains_on_real_data(tmp_path: Path) -> None:
    model = os.environ["TRIMTAB_TEST_MODEL"]
    data = Path(os.environ["TRIMTAB_TEST_DATA"]) / "gsm8k_test.parquet"
    ports = [free_port() for _ in range(3)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trimtab.cli", "train"),
            str(ROOT / "configs" / "gsm8k-smollm2.yaml"),
            *(f"model.path={model}", f"data.train.path={data}"),
            f"rollout.targets=['127.0.0.1:{ports[0]}']",
            f"reward.target=127.0.0.1:{ports[1]}",
            f"serve.learner.listen=127.0.0.1:{ports[2]}",
            *("--name", "gsm8k"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=1400,
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "runs" / "gsm8k"
    metrics = pd.read_json(folder / "metrics.jsonl", lines=True)
    assert metrics["step"].tolist() == [1, 2, 3]
    assert (metrics["samples/total"] == 16).all()
    for step in (1, 2, 3):
        samples = pd.read_parquet(folder / "samples" / f"step-{step:06d}.parquet")
        assert samples["token_ids"].str.len().max() <= 96
        assert samples["prompt"].str.contains("<|im_start|>", regex=False).all()
        assert samples["outcome"].isin(["correct", "incorrect", "no_answer"]).all()
    assert (folder / "checkpoints" / "step-000003" / "model.safetensors").exists()
