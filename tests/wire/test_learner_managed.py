"""Managed runs through the three real services."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.wire.learner_runs import TIMEOUT_S, Trio, client_of, kinds, run_to_end, trio
from trimtab.client import LearnerClient, RolloutClient
from trimtab.errors import Reason, RemoteError
from trimtab.learner.v1 import learner_pb2
from trimtab.weights.digest import tensor_digest, weights_digest
from trimtab.weights.transfer import FullReceiver


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    with trio(tmp_path_factory.mktemp("runs")) as started:
        yield started


async def test_a_run_trains_records_and_pushes(servers: Trio) -> None:
    heldout = {"generator": "arithmetic", "split": "heldout", "count": 6}
    config = servers.config(
        data={"eval": {"heldout": heldout}}, train={"old_logprobs": "recompute"}
    )
    async with client_of(servers.learner) as client:
        events = await run_to_end(client, "demo/steer", config)
        run = await client.get_run("demo/steer")
    assert [kind for kind in kinds(events) if kind != "run"] == [
        "evaluation",
        "step",
        "step",
        "evaluation",
    ]
    assert run.state == learner_pb2.RUN_STATE_FINISHED
    assert (run.step, run.durable_step, run.step_count) == (2, 2, 2)

    folder = servers.runs / "demo" / "steer"
    metrics = pd.read_json(folder / "metrics.jsonl", lines=True)
    assert metrics["step"].tolist() == [1, 2]
    for name in ("reward/mean", "policy/entropy", "entropy/change_predicted", "time/step_s"):
        assert metrics[name].notna().all()
    assert metrics["steer/weight_mean"].between(0.7, 1).all()
    assert (metrics["prompts/drawn"] == 4).all()
    # What the sampler reported and what the learner computes are the same distribution's entropy.
    assert metrics["policy/entropy"].tolist() == pytest.approx(metrics["rollout/entropy"], abs=1e-4)

    samples = pd.read_parquet(folder / "samples" / "step-000002.parquet")
    assert len(samples) == 16
    assert set(samples["outcome"]) <= {"correct", "incorrect", "no_answer"}
    trained = samples[samples["state"] == "trained"]
    for column in ("logprobs", "entropies", "token_weights"):
        assert (trained[column].str.len() == trained["token_ids"].str.len()).all()
    assert {spans[0]["version"] for spans in samples["weights_spans"]} == {1}
    assert trained.groupby("prompt_id")["advantage"].mean().abs().max() < 1e-5

    evaluations = pd.read_json(folder / "eval" / "metrics.jsonl", lines=True)
    assert evaluations["step"].tolist() == [0, 2]
    assert len(pd.read_parquet(folder / "eval" / "step-000000-heldout.parquet")) == 6 * 3
    assert yaml.safe_load((folder / "config.yaml").read_text())["objective"]["preset"]
    assert list((folder / "tensorboard").glob("events.*"))


async def test_the_live_weights_are_the_checkpoints(servers: Trio) -> None:
    async with client_of(servers.learner) as client:
        await run_to_end(client, "weights", servers.config())
    checkpoint = servers.runs / "weights" / "checkpoints" / "step-000002"
    saved = load_file(checkpoint / "model.safetensors")
    digest = weights_digest(
        {
            name: tensor_digest(tensor.view(torch.uint8).numpy().tobytes())
            for name, tensor in saved.items()
        }
    )
    async with RolloutClient(servers.rollout.target) as rollout:
        live = (await rollout.get_info()).weights
    assert (live.version, live.digest) == (2, digest)
    AutoModelForCausalLM.from_pretrained(checkpoint)


async def test_export_gives_a_transfer_that_holds(servers: Trio) -> None:
    async with client_of(servers.learner) as client:
        await run_to_end(client, "export", servers.config(train={"steps": 1}))
        messages = [message async for message in client.export_weights("export")]
    receiver = FullReceiver(messages[0].manifest)
    for message in messages[1:]:
        receiver.add(message.chunk)
    _, digest = receiver.finish()
    assert digest == messages[0].manifest.weights.digest


async def test_watching_from_a_step_and_listing(servers: Trio) -> None:
    async with client_of(servers.learner) as client:
        await run_to_end(client, "watched", servers.config())
        late = [event async for event in client.watch_run("watched", from_step=2, timeout_s=9)]
        assert [event.step.step for event in late if event.HasField("step")] == [2]
        assert "watched" in [run.name for run in await client.list_runs()]


async def test_stop_ends_between_steps_with_a_checkpoint(servers: Trio) -> None:
    config = servers.config(train={"steps": 1000})
    async with client_of(servers.learner) as client:
        await client.create_run(learner_pb2.CreateRunRequest(name="long", config_yaml=config))
        with pytest.raises(RemoteError) as second:
            await client.create_run(learner_pb2.CreateRunRequest(name="other", config_yaml=config))
        assert second.value.reason == Reason.RUN_ACTIVE
        saved = await client.save_checkpoint("long")
        assert saved.path.endswith(f"step-{saved.step:06d}")
        stopped = await client.stop_run("long")
        assert stopped.state == learner_pb2.RUN_STATE_STOPPED
        assert stopped.durable_step == stopped.step >= saved.step


@pytest.mark.parametrize(
    ("name", "changes", "reason", "field"),
    [
        ("a/../b", {}, Reason.INVALID_FIELD, "name"),
        ("typo", {"train": {"stepps": 3}}, Reason.CONFIG_INVALID, "train.stepps"),
        ("nomodel", {"model": {"path": "no/such"}}, Reason.MODEL_NOT_FOUND, "model.path"),
        ("outside", {"model": {"path": "/etc"}}, Reason.PATH_NOT_ALLOWED, "model.path"),
        (
            "nodata",
            {"data": {"train": {"path": "no.parquet", "generator": None}}},
            Reason.FILE_NOT_FOUND,
            "data.train.path",
        ),
        ("noverifier", {"rewards": {"stile": {}}}, Reason.CONFIG_INVALID, "rewards.stile"),
        (
            "abroad",
            {"rewards": {"numeric": {"target": "example.org:1"}}},
            Reason.TARGET_NOT_ALLOWED,
            "rewards.numeric.target",
        ),
    ],
)
async def test_what_does_not_hold_is_said_before_the_run_begins(
    servers: Trio, name: str, changes: dict[str, object], reason: Reason, field: str
) -> None:
    async with client_of(servers.learner) as client:
        with pytest.raises(RemoteError) as raised:
            await client.create_run(
                learner_pb2.CreateRunRequest(name=name, config_yaml=servers.config(**changes))
            )
        assert (raised.value.reason, raised.value.metadata["field"]) == (reason, field)
        assert not (servers.runs / name).exists()


async def test_names_are_taken_once_and_requests_are_idempotent(servers: Trio) -> None:
    request = learner_pb2.CreateRunRequest(
        request_id="r1", name="once", config_yaml=servers.config(train={"steps": 1})
    )
    async with client_of(servers.learner) as client:
        await client.create_run(request)
        again = await client.create_run(request)
        assert again.name == "once"
        assert [e async for e in client.watch_run("once", timeout_s=TIMEOUT_S)]
        request.request_id = ""
        with pytest.raises(RemoteError) as raised:
            await client.create_run(request)
        assert raised.value.reason == Reason.RUN_EXISTS
        with pytest.raises(RemoteError) as unknown:
            await client.get_run("nobody")
        assert unknown.value.code == "NOT_FOUND"


async def test_a_killed_reward_server_costs_time_not_samples(servers: Trio) -> None:
    """The run waits, the server comes back on its port, and nothing is scored as 0."""
    config = servers.config(train={"steps": 4})
    async with client_of(servers.learner) as client:
        await client.create_run(learner_pb2.CreateRunRequest(name="patient", config_yaml=config))
        async for event in client.watch_run("patient", timeout_s=TIMEOUT_S):
            if event.HasField("step") and event.step.step == 1:
                servers.reward.kill()
                servers.reward.start()
        run = await client.get_run("patient")
    assert run.state == learner_pb2.RUN_STATE_FINISHED
    metrics = pd.read_json(servers.runs / "patient" / "metrics.jsonl", lines=True)
    assert (metrics["samples/invalid_share"] == 0).all()


async def test_a_killed_rollout_server_is_brought_up_again(servers: Trio) -> None:
    config = servers.config(train={"steps": 4})
    async with client_of(servers.learner) as client:
        await client.create_run(learner_pb2.CreateRunRequest(name="revived", config_yaml=config))
        async for event in client.watch_run("revived", timeout_s=TIMEOUT_S):
            if event.HasField("step") and event.step.step == 1:
                servers.rollout.kill()
                servers.rollout.start()
        run = await client.get_run("revived")
    assert run.state == learner_pb2.RUN_STATE_FINISHED
    metrics = pd.read_json(servers.runs / "revived" / "metrics.jsonl", lines=True)
    assert (metrics["samples/total"] == 16).all()


async def kill_at_step(servers: Trio, client: LearnerClient, step: int) -> None:
    async for event in client.watch_run("r", timeout_s=TIMEOUT_S):
        if event.HasField("step") and event.step.step == step:
            servers.learner.kill()


async def test_a_learner_killed_in_training_resumes_from_its_checkpoint(tmp_path: Path) -> None:
    with trio(tmp_path) as servers:
        config = servers.config(train={"steps": 6}, checkpoint={"every": 2})
        async with client_of(servers.learner) as client:
            await client.create_run(learner_pb2.CreateRunRequest(name="r", config_yaml=config))
            with pytest.raises(RemoteError):
                await kill_at_step(servers, client, 3)
        before = json.loads((tmp_path / "r" / "state.json").read_text())["lineage"]
        servers.learner.start()
        async with client_of(servers.learner) as client:
            assert (await client.get_run("r")).state == learner_pb2.RUN_STATE_INTERRUPTED
            resumed = await client.create_run(learner_pb2.CreateRunRequest(name="r", resume=True))
            assert resumed.state != learner_pb2.RUN_STATE_FAILED
            events = [event async for event in client.watch_run("r", timeout_s=TIMEOUT_S)]
            run = await client.get_run("r")
    assert run.state == learner_pb2.RUN_STATE_FINISHED
    assert "rollback" in kinds(events)
    rollback = next(event.rollback for event in events if event.HasField("rollback"))
    assert (rollback.step, rollback.rolled_back_step) == (2, 3)
    assert rollback.lineage != before
    metrics = pd.read_json(tmp_path / "r" / "metrics.jsonl", lines=True)
    assert metrics["step"].tolist() == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "r" / "rolled_back" / "1" / "samples" / "step-000003.parquet").exists()
    prompts = [
        prompt
        for path in sorted((tmp_path / "r" / "samples").glob("*.parquet"))
        for prompt in pd.read_parquet(path)["prompt_id"].unique()
    ]
    assert sorted(prompts) == sorted(f"p{number}" for number in range(24))
