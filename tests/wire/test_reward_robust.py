"""What one item, one client or one signal must not do to the others, on the shipped server."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    children,
    error_info,
    eventually,
    hanging,
    is_gone,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2, reward_pb2_grpc

MIB = 1 << 20
CORRECT = outcome_pb2.OUTCOME_CORRECT


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server() as running:
        yield running


@pytest.fixture
def fresh() -> Iterator[RewardServer]:
    with running_reward_server() as running:
        yield running


def send(server: RewardServer, *items: reward_pb2.ScoreItem) -> Any:
    return server.stub.Score.future(reward_pb2.ScoreRequest(items=items), timeout=120)


@pytest.mark.parametrize(
    "odd",
    [
        "\x00",
        "\x00" * 1000,
        "\u202e\u2066\u200f",  # writing direction
        "a" + "\u0301" * 5000,  # one letter under many accents
        "\ufeff\ufffe\uffff\U0010ffff",  # marks and no characters at all
        "\ud7ff\ue000",
        "\u0661\u0662\uff14\uff12",  # digits of other scripts
        "\r\n\x0b\x1b[2J\x7f\x85\u2028",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    ],
)
def test_odd_text_harms_its_own_item_only(server: RewardServer, odd: str) -> None:
    items = [
        item("before", r"\boxed{7}", "7"),
        item("plain", odd, "7"),
        item("boxed", rf"\boxed{{{odd}}}", "7"),
        item("inside", rf"{odd}\boxed{{\sin(x){odd}}}{odd}", rf"\frac{{1}}{{x}}{odd}"),
        item("reference", r"\boxed{\sin(x)}", odd),
        item(f"id{odd}", rf"\boxed{{\sqrt{{{odd}}}}}", r"\sqrt{x}", verifier="numeric"),
        algebra("after"),
    ]
    results = server.score(*items)
    assert [result.id for result in results] == [asked.id for asked in items]
    assert results[0].outcome == results[-1].outcome == CORRECT
    for result in results[1:-1]:
        assert result.outcome not in (CORRECT, outcome_pb2.OUTCOME_UNSPECIFIED)


def test_a_response_of_five_megabytes_harms_its_own_item_only(server: RewardServer) -> None:
    results = server.score(
        item("before", r"\boxed{7}", "7"),
        item("long", "x" * (5 * MIB) + r"\boxed{7}", "7"),
        item("wide", "\u00e9" * (MIB // 2 + 1) + r"\boxed{7}", "7"),
        algebra("after"),
    )
    assert [result.outcome for result in results] == [
        CORRECT,
        outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
        outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED,
        CORRECT,
    ]
    assert results[1].cause == outcome_pb2.CAUSE_ITEM
    assert "at most 1048576" in results[1].detail


@pytest.mark.parametrize("streamed", [False, True])
def test_a_message_of_thirty_megabytes_is_refused_in_words(
    server: RewardServer, streamed: bool
) -> None:
    huge = item("a", "x" * (30 * MIB), "7")

    def ask() -> None:
        if streamed:
            requests = iter([reward_pb2.ScoreStreamRequest(items=[huge])])
            list(server.stub.ScoreStream(requests, timeout=TIMEOUT_S))
        else:
            server.score(huge)

    with pytest.raises(grpc.RpcError) as caught:
        ask()
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    info = error_info(caught.value)
    assert (info.reason, info.metadata["limit"]) == ("MESSAGE_TOO_LARGE", str(16 * MIB))
    assert server.score(item("b", "7", "7"))[0].outcome == CORRECT


def test_two_hundred_clients_are_all_answered(server: RewardServer) -> None:
    def client(number: int) -> list[int]:
        options = [("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(server.target, options=options) as channel:
            stub = reward_pb2_grpc.RewardServiceStub(channel)
            items = [
                item(f"{number}", rf"\boxed{{{number}}}", str(number)),
                item(f"{number}+", rf"\boxed{{\sin^2(x)+\cos^2(x)+{number}}}", str(number + 1)),
                item(f"{number}-", rf"\boxed{{{number}}}", str(number + 1)),
            ]
            response = stub.Score(reward_pb2.ScoreRequest(items=items), timeout=120)
            assert [result.id for result in response.results] == [asked.id for asked in items]
            return [result.outcome for result in response.results]

    with ThreadPoolExecutor(200) as pool:
        found = list(pool.map(client, range(200)))
    assert found == [[CORRECT, CORRECT, outcome_pb2.OUTCOME_INCORRECT]] * 200


def test_workers_that_are_killed_at_random_cost_no_verdict(fresh: RewardServer) -> None:
    draw = random.Random(1)
    count, between = 800, 15
    call = send(fresh, *(algebra(str(index)) for index in range(count)))
    for waiting_count in range(count - between, 0, -between):

        def is_due(due: int = waiting_count) -> bool:
            return call.done() or 0 < fresh.info().waiting_count <= due

        eventually(is_due)
        if pids := sorted(fresh.worker_pids()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(draw.choice(pids), signal.SIGKILL)
    results = call.result().results
    assert [result.id for result in results] == [str(index) for index in range(count)]
    assert {result.outcome for result in results} == {CORRECT}
    eventually(lambda: len(fresh.worker_pids()) == 2)
    eventually(lambda: not any(is_gone(pid) for pid in fresh.process_pids()))


def test_workers_that_are_stopped_cost_no_verdict(fresh: RewardServer) -> None:
    stopped = fresh.worker_pids()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    results = fresh.score(*(algebra(str(index)) for index in range(300)))
    assert {result.outcome for result in results} == {CORRECT}
    eventually(lambda: all(is_gone(pid) for pid in stopped))


def test_a_zygote_that_is_killed_costs_no_verdict(fresh: RewardServer) -> None:
    call = send(fresh, *(algebra(str(index)) for index in range(800)))
    for _ in range(2):
        eventually(lambda: call.done() or bool(fresh.worker_pids()))
        for zygote in children(fresh.process.pid):
            os.kill(zygote, signal.SIGKILL)
    assert {result.outcome for result in call.result().results} == {CORRECT}


@pytest.mark.parametrize("is_zygote", [True, False])
def test_workers_that_die_while_idle_cost_no_verdict(is_zygote: bool) -> None:
    with running_reward_server("workers=8") as server:
        victims = children(server.process.pid) if is_zygote else server.worker_pids()
        workers = server.worker_pids()
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: all(is_gone(pid) for pid in workers))
        for index in range(10):
            [result] = server.score(algebra(str(index)))
            assert result.outcome == CORRECT


def test_a_calls_deadline_travels_to_the_kill() -> None:
    with running_reward_server("item_deadline_s=600", "workers=1", "slow_workers=0") as server:
        [worker] = server.worker_pids()
        [result] = server.score(hanging("a"), timeout_s=1)
        assert (result.outcome, result.cause) == (
            outcome_pb2.OUTCOME_TIMED_OUT,
            outcome_pb2.CAUSE_MACHINERY,
        )
        eventually(lambda: is_gone(worker))
        eventually(lambda: server.info().running_count == 0)


def test_a_cancelled_stream_frees_its_workers() -> None:
    with running_reward_server("item_deadline_s=600", "workers=2", "slow_workers=0") as server:
        workers = server.worker_pids()
        ended = threading.Event()

        def requests() -> Iterator[reward_pb2.ScoreStreamRequest]:
            yield reward_pb2.ScoreStreamRequest(items=[hanging(str(index)) for index in range(6)])
            ended.wait(TIMEOUT_S)

        stream = server.stub.ScoreStream(requests(), timeout=TIMEOUT_S)
        eventually(lambda: (server.info().running_count, server.info().waiting_count) == (2, 4))
        stream.cancel()
        ended.set()
        eventually(lambda: server.info().running_count + server.info().waiting_count == 0)
        eventually(lambda: all(is_gone(pid) for pid in workers))
        assert server.score(algebra("next"))[0].outcome == CORRECT


def resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_slow_reader_holds_up_only_itself(fresh: RewardServer) -> None:
    message_count, per_message = 4000, 20
    answer = "9" * 300  # comes back in the result, so what waits to be read is not small
    sent_count = 0

    def requests() -> Iterator[reward_pb2.ScoreStreamRequest]:
        nonlocal sent_count
        for number in range(message_count):
            sent_count = number + 1
            yield reward_pb2.ScoreStreamRequest(
                items=[
                    reward_pb2.ScoreItem(
                        id=f"{number}.{index}",
                        verifier="numeric",
                        prompt="?" * 2000,
                        response=answer,
                        references=["7"],
                    )
                    for index in range(per_message)
                ]
            )

    before_bytes = resident_bytes(fresh.process.pid)
    stream = fresh.stub.ScoreStream(requests(), timeout=120)
    seen = -1
    while seen != sent_count:  # until nothing moves any more
        seen = sent_count
        for index in range(50):
            [result] = fresh.score(item(str(index), r"\boxed{7}", "7"))
            assert result.outcome == CORRECT
    assert sent_count < message_count / 2
    assert resident_bytes(fresh.process.pid) - before_bytes < 64 * MIB
    answered = sum(len(response.results) for response in stream)
    assert answered == message_count * per_message
