"""EXTERNAL runs: the caller generates and scores, the learner trains."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pandas as pd
import pytest
import yaml

from tests.services import Service, service
from tests.wire.learner_runs import TIMEOUT_S
from trimtab.client import LearnerClient, RolloutClient
from trimtab.common.v1 import outcome_pb2
from trimtab.common.v1.sampling_pb2 import SamplingParams
from trimtab.common.v1.trajectory_pb2 import Trajectory
from trimtab.errors import Reason, RemoteError
from trimtab.learner.v1 import learner_pb2
from trimtab.learner.v1.learner_pb2_grpc import LearnerServiceStub
from trimtab.rollout.v1 import rollout_pb2
from trimtab.weights.transfer import FullReceiver, chunks

CONFIG = yaml.safe_dump(
    {
        "objective": {"preset": "grpo"},
        "train": {"epochs": 1, "optimizer": {"lr": 1e-4}},
        "checkpoint": {"every": 2},
    }
)
# `1+2=` and a reply, in the bundled model's tokens; 2 ends it.
PROMPT = [5, 14, 6, 16]
REPLIES = {7: 1.0, 8: 0.0, 9: 0.0, 10: 0.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def learner(runs: Path) -> Iterator[Service]:
    with service("learner", f"runs_dir={runs}", "threads=1") as started:
        yield started


@pytest.fixture
async def client(learner: Service) -> AsyncIterator[LearnerClient]:
    """A client of the server; runs that a test leaves open are stopped after it."""
    async with LearnerClient(learner.target) as client:
        yield client
        for run in await client.list_runs():
            await client.stop_run(run.name)


def trajectories(group: str = "g", **changes: object) -> list[Trajectory]:
    """One group of four, the first one right; `changes` go to the first."""
    group_of_four = [
        Trajectory(
            id=f"{group}.{token}",
            group_id=group,
            token_ids=[*PROMPT, token, 2],
            loss_mask=[False] * 4 + [True] * 2,
            outcome=outcome_pb2.OUTCOME_CORRECT if reward else outcome_pb2.OUTCOME_INCORRECT,
            reward=reward,
        )
        for token, reward in REPLIES.items()
    ]
    for name, value in changes.items():
        group_of_four[0].ClearField(name)  # type: ignore[arg-type]
        if isinstance(value, list):
            getattr(group_of_four[0], name).extend(value)
        elif value is not None:
            setattr(group_of_four[0], name, value)
    return group_of_four


async def opened(client: LearnerClient) -> str:
    """The name of a new run."""
    name = f"ext-{len(await client.list_runs())}"
    await client.create_run(
        learner_pb2.CreateRunRequest(
            name=name, config_yaml=CONFIG, driver=learner_pb2.DRIVER_EXTERNAL
        )
    )
    return name


async def test_steps_train_once_and_are_answered_from_the_record(
    client: LearnerClient, runs: Path
) -> None:
    name = await opened(client)
    first = await client.train_step(name, 1, trajectories(), timeout_s=TIMEOUT_S)
    again = await client.train_step(name, 1, trajectories("other"), timeout_s=TIMEOUT_S)
    second = await client.train_step(name, 2, trajectories(), timeout_s=TIMEOUT_S)
    stopped = await client.stop_run(name)
    assert (first.next_step_id, first.durable_step, first.recorded) == (2, 0, False)
    assert again.recorded
    assert again.weights == first.weights
    assert dict(again.metrics) == dict(first.metrics)
    assert (second.weights.version, second.durable_step) == (2, 2)
    assert second.weights.digest != first.weights.digest
    assert stopped.state == learner_pb2.RUN_STATE_STOPPED
    samples = pd.read_parquet(runs / name / "samples" / "step-000001.parquet")
    assert samples["reward"].tolist() == [1, 0, 0, 0]
    assert samples["advantage"].iloc[0] == pytest.approx(1.5, abs=1e-4)


async def test_training_makes_the_rewarded_reply_likelier(client: LearnerClient) -> None:
    name = await opened(client)
    for step in range(1, 9):
        await client.train_step(name, step, trajectories(), timeout_s=TIMEOUT_S)
    exported = [message async for message in client.export_weights(name)]
    receiver = FullReceiver(exported[0].manifest)
    for message in exported[1:]:
        receiver.add(message.chunk)
    tensors, _ = receiver.finish()
    with service("rollout_server") as rollout:
        async with RolloutClient(rollout.target) as generator:
            proof = await generator.update_weights(
                exported[0].manifest, chunks(tensors), timeout_s=TIMEOUT_S
            )
            assert proof.live_digest == exported[0].manifest.weights.digest
            request = rollout_pb2.GenerateRequest(
                prompts=[
                    rollout_pb2.Prompt(id="p", token_ids=rollout_pb2.TokenIds(token_ids=PROMPT))
                ],
                sampling=SamplingParams(temperature=0, max_tokens=1),
            )
            events = [event async for event in generator.generate(request, timeout_s=TIMEOUT_S)]
    assert list(events[0].sample.token_ids) == [7]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"loss_mask": [True] * 3}, "loss_mask"),
        ({"loss_mask": [False] * 6}, "loss_mask"),
        ({"loss_mask": [True] * 6}, "loss_mask"),
        ({"reward": None}, "reward"),
        ({"reward": float("nan")}, "reward"),
        ({"outcome": outcome_pb2.OUTCOME_TIMED_OUT}, "reward"),
        ({"logprobs": [0.0]}, "logprobs"),
        ({"logprobs": [float("nan")] * 6}, "logprobs"),
        ({"token_ids": [5, 14, 6, 16, 99, 2]}, "token_ids"),
        ({"id": ""}, "id"),
        ({"id": "g.8"}, "id"),
    ],
)
async def test_a_bad_trajectory_is_named_and_nothing_is_trained(
    client: LearnerClient, changes: dict[str, Any], field: str
) -> None:
    name = await opened(client)
    with pytest.raises(RemoteError) as raised:
        await client.train_step(name, 1, trajectories(**changes), timeout_s=TIMEOUT_S)
    assert raised.value.code == "INVALID_ARGUMENT"
    assert raised.value.metadata["field"].endswith(f"].{field}")
    assert (await client.get_run(name)).step == 0


async def test_steps_out_of_order_and_wrong_runs_are_refused(client: LearnerClient) -> None:
    name = await opened(client)
    with pytest.raises(RemoteError) as early:
        await client.train_step(name, 3, trajectories(), timeout_s=TIMEOUT_S)
    assert early.value.reason == Reason.STEP_OUT_OF_ORDER
    assert early.value.metadata["next_step_id"] == "1"
    with pytest.raises(RemoteError) as unknown:
        await client.train_step("nobody", 1, trajectories(), timeout_s=TIMEOUT_S)
    assert unknown.value.reason == Reason.RUN_NOT_FOUND


async def test_invalid_samples_are_out_of_loss_and_statistics(
    client: LearnerClient, runs: Path
) -> None:
    invalid: dict[str, Any] = {"outcome": outcome_pb2.OUTCOME_UNAVAILABLE, "reward": None}
    mixed = trajectories("a", **invalid)
    mixed[1].outcome, mixed[1].reward = outcome_pb2.OUTCOME_CORRECT, 1.0
    name = await opened(client)
    answer = await client.train_step(name, 1, mixed, timeout_s=TIMEOUT_S)
    assert answer.metrics["reward/mean"] == pytest.approx(1 / 3)
    assert answer.metrics["samples/invalid_share"] == 0.25
    lonely = trajectories("b")[:1]
    with pytest.raises(RemoteError) as raised:
        await client.train_step(name, 2, lonely, timeout_s=TIMEOUT_S)
    assert raised.value.reason == Reason.NOT_ENOUGH_VALID_SAMPLES
    samples = pd.read_parquet(runs / name / "samples" / "step-000001.parquet")
    assert samples["state"].tolist() == ["dropped", "trained", "trained", "trained"]
    assert samples["drop_reason"].iloc[0] == "unavailable"
    assert samples["advantage"].iloc[1:].sum() == pytest.approx(0, abs=1e-5)


async def test_a_repeated_checkpoint_request_is_answered_from_the_first(
    client: LearnerClient,
) -> None:
    name = await opened(client)
    await client.train_step(name, 1, trajectories(), timeout_s=TIMEOUT_S)
    first = await client.save_checkpoint(name, request_id="c1")
    await client.train_step(name, 2, trajectories(), timeout_s=TIMEOUT_S)
    again = await client.save_checkpoint(name, request_id="c1")
    other = await client.save_checkpoint(name, request_id="c2")
    assert (first.step, again.step, other.step) == (1, 1, 2)
    assert again == first


async def test_a_cut_stream_trains_nothing(client: LearnerClient, learner: Service) -> None:
    name = await opened(client)
    with grpc.insecure_channel(learner.target) as channel:
        header = learner_pb2.TrainStepHeader(run_id=name, step_id=1, trajectory_count=4)
        requests = [learner_pb2.TrainStepRequest(header=header)] + [
            learner_pb2.TrainStepRequest(trajectory=t) for t in trajectories()[:3]
        ]
        with pytest.raises(grpc.RpcError, match="3 trajectories came, 4 were announced"):
            LearnerServiceStub(channel).TrainStep(iter(requests), timeout=TIMEOUT_S)


async def test_a_killed_learner_goes_on_from_its_checkpoint(
    client: LearnerClient, learner: Service
) -> None:
    name = await opened(client)
    for step in (1, 2, 3):
        await client.train_step(name, step, trajectories(), timeout_s=TIMEOUT_S)
    learner.kill()
    learner.start()
    run = await client.create_run(learner_pb2.CreateRunRequest(name=name, resume=True))
    assert run.driver == learner_pb2.DRIVER_EXTERNAL
    recorded = await client.train_step(name, 2, trajectories(), timeout_s=TIMEOUT_S)
    assert recorded.recorded
    assert recorded.next_step_id == 3
    redone = await client.train_step(name, 3, trajectories(), timeout_s=TIMEOUT_S)
    assert not redone.recorded
    assert redone.weights.lineage != recorded.weights.lineage
