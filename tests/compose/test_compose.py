"""The containers of docker-compose.yml, from their build to their removal."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.compose.stack import SERVICES, Stack, missing
from trimtab.client import Item, RewardClient, RolloutClient, wait_until_serving
from trimtab.common.v1 import outcome_pb2, sampling_pb2
from trimtab.reward.v1 import reward_pb2
from trimtab.rollout.v1 import rollout_pb2

TIMEOUT_S = 60.0
MODULE_TIMEOUT_S = 900.0  # the first test builds the images
USER = "10001"
KILL_SERVER = """
import os, signal
server = int(open("/proc/1/task/1/children").read().split()[0])
os.kill(server, signal.SIGKILL)
"""
TRY_TO_WRITE = """
import os
for folder in ("/srv/trimtab/runs", "/tmp", "/srv/trimtab", "/etc"):
    print(folder, os.access(folder, os.W_OK))
"""

pytestmark = [pytest.mark.docker, pytest.mark.timeout(MODULE_TIMEOUT_S)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if missing():
        pytest.skip(missing())
    stack = Stack()
    try:
        stack.up()
        yield stack
    finally:
        stack.down()


@pytest.fixture
async def reward(stack: Stack) -> AsyncIterator[RewardClient]:
    async with RewardClient(stack.target("reward")) as client:
        yield client


async def score(client: RewardClient, *responses: str) -> list[reward_pb2.ScoreResult]:
    """Verdicts on answers to 12+34+5."""
    items = [
        Item(id=str(index), response=response, references=["51"])
        for index, response in enumerate(responses)
    ]
    return await client.score(items, timeout_s=TIMEOUT_S)


@pytest.mark.parametrize("service", SERVICES)
def test_containers_are_healthy_and_locked_in(stack: Stack, service: str) -> None:
    container = stack.container(service)
    assert container["State"]["Health"]["Status"] == "healthy"
    assert container["Config"]["User"].startswith(USER)
    assert stack.python(service, "import os; print(os.getuid())") == USER
    status = stack.python(service, 'print(open("/proc/1/status").read())').splitlines()
    fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
    assert int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"].strip() == "1"


@pytest.mark.parametrize(("service", "runs"), [("reward", False), ("learner", True)])
def test_only_runs_and_tmp_can_be_written(stack: Stack, service: str, runs: bool) -> None:
    writable = dict(line.split() for line in stack.python(service, TRY_TO_WRITE).splitlines())
    assert writable == {
        "/srv/trimtab/runs": str(runs),
        "/tmp": "True",
        "/srv/trimtab": "False",
        "/etc": "False",
    }


def test_ports_are_published_on_loopback_only(stack: Stack) -> None:
    for service in SERVICES:
        bindings = stack.container(service)["NetworkSettings"]["Ports"]
        hosts = {one["HostIp"] for published in bindings.values() for one in published or ()}
        assert hosts == {"127.0.0.1"}


def test_reward_image_holds_no_torch(stack: Stack) -> None:
    code = 'import importlib.util as u; print(u.find_spec("torch"), u.find_spec("transformers"))'
    assert stack.python("reward", code) == "None None"


async def test_workers_are_jacketed_without_any_right(reward: RewardClient) -> None:
    info = await reward.get_info()
    assert info.sandbox_level >= reward_pb2.SANDBOX_LEVEL_JACKET, info.sandbox_lacks


async def test_scores_through_the_published_port(reward: RewardClient) -> None:
    results = await score(reward, "46+5=51", "46+5=50", "no idea")
    assert [result.outcome for result in results] == [
        outcome_pb2.OUTCOME_CORRECT,
        outcome_pb2.OUTCOME_INCORRECT,
        outcome_pb2.OUTCOME_NO_ANSWER,
    ]


async def test_generates_through_the_published_port(stack: Stack) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=[rollout_pb2.Prompt(id="p", text="12+34+5=")],
        samples_per_prompt=2,
        sampling=sampling_pb2.SamplingParams(max_tokens=24, seed=1),
    )
    async with RolloutClient(stack.target("rollout")) as client:
        events = [event async for event in client.generate(request, timeout_s=TIMEOUT_S)]
    samples = [event.sample for event in events if event.HasField("sample")]
    assert sorted(sample.sample_index for sample in samples) == [0, 1]
    assert all(len(sample.entropies) == len(sample.token_ids) > 0 for sample in samples)


def test_demo_trains_through_the_containers(stack: Stack) -> None:
    words = ["train.steps=2", "evaluation.at_start=false", "evaluation.at_end=false"]
    train = ["exec", "-T", "learner", "trimtab", "train", "demo", *words, "--name", "first"]
    done = stack.compose(*train)
    assert "finished after step 2" in done.stdout
    assert "starting" not in done.stderr  # the containers are used, nothing else is started
    names = stack.python("learner", 'import os; print(*os.listdir("runs/first"))').split()
    assert "config.yaml" in names


async def test_killed_reward_server_comes_back(stack: Stack, reward: RewardClient) -> None:
    assert len(await score(reward, "51")) == 1
    earlier = stack.container("reward")
    stack.python("reward", KILL_SERVER)
    await wait_until_serving(stack.target("reward"), timeout_s=TIMEOUT_S)
    async with RewardClient(stack.target("reward")) as anew:
        results = await score(anew, "=51")
    assert results[0].outcome == outcome_pb2.OUTCOME_CORRECT
    later = stack.container("reward")
    assert later["Id"] == earlier["Id"]
    assert later["RestartCount"] == earlier["RestartCount"] + 1


def test_stop_drains_within_the_grace_period(stack: Stack) -> None:
    stack.compose("stop")
    exits = {service: stack.container(service)["State"]["ExitCode"] for service in SERVICES}
    assert exits == dict.fromkeys(SERVICES, 0)  # 137 where the engine had to kill
