"""A stranger with `buf curl` needs no stub: reflection tells what there is."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.rpc import error_details_pb2

from tests.services import Service, service

BUF = Path(sys.executable).with_name("buf")
ROLLOUT = "trimtab.rollout.v1.RolloutService"
REWARD = "trimtab.reward.v1.RewardService"
LEARNER = "trimtab.learner.v1.LearnerService"

pytestmark = pytest.mark.skipif(not BUF.exists(), reason="buf-bin is not installed")


@pytest.fixture(scope="module")
def rollout() -> Iterator[Service]:
    with service("rollout_server", "transformers.threads=1") as started:
        yield started


@pytest.fixture(scope="module")
def reward() -> Iterator[Service]:
    with service("reward_server", "workers=1") as started:
        yield started


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    runs = tmp_path_factory.mktemp("runs")
    with service("learner", f"runs_dir={runs}", "threads=1") as started:
        yield started


def buf_curl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BUF), "curl", "--http2-prior-knowledge", "--protocol", "grpc", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def call(server: Service, method: str, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The replies of a call that works."""
    done = buf_curl("--data", json.dumps(request), f"http://{server.target}/{method}")
    assert done.returncode == 0, done.stderr
    decoder = json.JSONDecoder()
    replies, rest = [], done.stdout.strip()
    while rest:
        reply, end = decoder.raw_decode(rest)
        replies.append(reply)
        rest = rest[end:].strip()
    return replies


@pytest.mark.parametrize(
    ("name", "full_name", "methods"),
    [
        ("rollout", ROLLOUT, ["Generate", "GetInfo", "LoadWeights", "Pause", "Resume",
                              "ScoreTokens", "Sleep", "UpdateWeights", "WakeUp"]),
        ("reward", REWARD, ["GetInfo", "Score", "ScoreStream"]),
        ("learner", LEARNER, ["AnalyzeTokens", "CreateRun", "ExportWeights", "GetRun", "ListRuns",
                              "SaveCheckpoint", "StopRun", "TrainStep", "WatchRun"]),
    ],
)  # fmt: skip
def test_reflection_lists_the_methods(
    request: pytest.FixtureRequest, name: str, full_name: str, methods: list[str]
) -> None:
    server: Service = request.getfixturevalue(name)
    done = buf_curl("--list-methods", f"http://{server.target}")
    assert done.returncode == 0, done.stderr
    listed = [line for line in done.stdout.split() if line.startswith(full_name)]
    assert sorted(listed) == [f"{full_name}/{method}" for method in methods]


def test_a_reward_server_scores(reward: Service) -> None:
    items = [
        {"id": "a", "response": r"\boxed{1/2}", "references": ["0.5"], "verifier": "math"},
        {"id": "b", "response": r"\boxed{1/3}", "references": ["0.5"], "verifier": "math"},
    ]
    (reply,) = call(reward, f"{REWARD}/Score", {"items": items})
    first, second = reply["results"]
    assert (first["id"], first["outcome"], first["reward"]) == ("a", "OUTCOME_CORRECT", 1)
    assert (second["id"], second["outcome"], second["reward"]) == ("b", "OUTCOME_INCORRECT", 0)


def test_a_rollout_server_generates(rollout: Service) -> None:
    request = {
        "prompts": [{"id": "p", "text": "12+34+5="}],
        "samplesPerPrompt": 2,
        "sampling": {"temperature": 0},
    }
    samples = [reply["sample"] for reply in call(rollout, f"{ROLLOUT}/Generate", request)]
    assert {sample.get("sampleIndex", 0) for sample in samples} == {0, 1}
    assert {sample["text"] for sample in samples} == {"46+5=51"}
    assert all(len(sample["tokenIds"]) == len(sample["logprobs"]) for sample in samples)


def test_a_learner_lists_its_runs(learner: Service) -> None:
    assert call(learner, f"{LEARNER}/ListRuns", {}) == [{}]


@pytest.mark.parametrize(
    ("name", "method", "request_json"),
    [
        ("rollout", f"{ROLLOUT}/ScoreTokens", "{}"),
        ("rollout", f"{ROLLOUT}/Pause", "{}"),
        ("rollout", f"{ROLLOUT}/Resume", "{}"),
        ("rollout", f"{ROLLOUT}/Sleep", "{}"),
        ("rollout", f"{ROLLOUT}/WakeUp", "{}"),
        ("learner", f"{LEARNER}/AnalyzeTokens", "{}"),
        ("learner", f"{LEARNER}/ExportWeights", '{"kind": "WEIGHTS_KIND_DELTA"}'),
        ("learner", f"{LEARNER}/ExportWeights", '{"kind": 99}'),
    ],
)
def test_what_is_not_there_yet_says_so(
    request: pytest.FixtureRequest, name: str, method: str, request_json: str
) -> None:
    server: Service = request.getfixturevalue(name)
    done = buf_curl("--data", request_json, f"http://{server.target}/{method}")
    assert done.returncode != 0
    error = json.loads(done.stderr)
    assert error["code"] == "unimplemented"
    assert error["message"]
    (detail,) = [part for part in error["details"] if part["type"] == "google.rpc.ErrorInfo"]
    info = error_details_pb2.ErrorInfo.FromString(base64.b64decode(detail["value"] + "=="))
    assert (info.reason, info.domain) == ("NOT_IMPLEMENTED", "trimtab")
