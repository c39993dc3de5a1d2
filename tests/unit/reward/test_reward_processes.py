"""What the server does with its worker processes, seen from outside."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    children,
    cpu_ticks,
    error_info,
    eventually,
    hanging,
    is_gone,
    item,
    running_reward_server,
)
from trimtab.common.v1 import outcome_pb2
from trimtab.reward.v1 import reward_pb2

FOREVER = "item_deadline_s=600"
SECRET = "TRIMTAB_TEST_SECRET"


@pytest.fixture(scope="module")
def server() -> Iterator[RewardServer]:
    with running_reward_server() as running:
        yield running


@pytest.fixture
def patient() -> Iterator[RewardServer]:
    with running_reward_server(FOREVER, "workers=1", "slow_workers=0") as running:
        yield running


def only_worker(server: RewardServer) -> int:
    [pid] = server.worker_pids()
    return pid


def begin(server: RewardServer, asked: reward_pb2.ScoreItem) -> Any:
    """Sends an item and returns when a worker is at it."""
    request = reward_pb2.ScoreRequest(items=[asked])
    call = server.stub.Score.future(request, timeout=TIMEOUT_S)
    eventually(lambda: server.info().running_count == 1)
    return call


def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    with running_reward_server("item_deadline_s=0.3", "workers=1") as server:
        before = only_worker(server)
        for attempt in range(3):
            [result] = server.score(hanging(str(attempt)))
            assert result.outcome == outcome_pb2.OUTCOME_TIMED_OUT
        [result] = server.score(algebra("next"))
        assert result.outcome == outcome_pb2.OUTCOME_CORRECT
        assert is_gone(before)
        # One that was started beside the hanging items may be on its way out.
        eventually(lambda: len(server.worker_pids()) == 1)
        assert only_worker(server) != before


def test_a_worker_killed_in_mid_item_costs_no_verdict(patient: RewardServer) -> None:
    victim = only_worker(patient)
    os.kill(victim, signal.SIGSTOP)
    call = begin(patient, algebra("a"))
    os.kill(victim, signal.SIGKILL)
    [result] = call.result().results
    assert result.outcome == outcome_pb2.OUTCOME_CORRECT


def test_items_that_take_long_do_not_hold_up_others() -> None:
    with running_reward_server(FOREVER, "workers=1", "slow_workers=2") as server:
        held: list[Any] = []
        for _ in range(2):
            request = reward_pb2.ScoreRequest(items=[hanging("a")])
            held.append(server.stub.Score.future(request, timeout=TIMEOUT_S))
            eventually(lambda: server.info().running_count == len(held))
            [result] = server.score(algebra("b"))
            assert result.outcome == outcome_pb2.OUTCOME_CORRECT
        for call in held:
            call.cancel()
        eventually(lambda: server.info().running_count == 0)


def test_where_many_items_hang_they_make_way() -> None:
    with running_reward_server("item_deadline_s=0.5", "workers=1", "slow_workers=8") as server:
        for index in range(2):
            [result] = server.score(hanging(str(index)))
            assert result.outcome == outcome_pb2.OUTCOME_TIMED_OUT
        message = reward_pb2.ScoreStreamRequest(items=[hanging(str(index)) for index in range(6)])
        call = server.stub.ScoreStream(iter([message]), timeout=TIMEOUT_S)
        eventually(lambda: any(is_stopped(pid) for pid in server.worker_pids()))
        results = [result for response in call for result in response.results]
        assert {result.outcome for result in results} == {outcome_pb2.OUTCOME_TIMED_OUT}
        # What got no processor is not to blame.
        assert outcome_pb2.CAUSE_MACHINERY in {result.cause for result in results}
        assert server.score(algebra("a"))[0].outcome == outcome_pb2.OUTCOME_CORRECT


def is_stopped(pid: int) -> bool:
    """True for a process that was stopped by a signal."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state == "T"


def test_only_so_many_items_are_set_aside(patient: RewardServer) -> None:
    os.kill(only_worker(patient), signal.SIGSTOP)
    call = begin(patient, algebra("a"))
    [result] = patient.score(algebra("b"), timeout_s=1)
    assert result.outcome == outcome_pb2.OUTCOME_UNAVAILABLE
    os.kill(only_worker(patient), signal.SIGCONT)
    assert call.result().results[0].outcome == outcome_pb2.OUTCOME_CORRECT


def kill_the_one_at_work(server: RewardServer, number: signal.Signals, *, but: set[int]) -> int:
    """Ends the worker that is at the only item; `but`: those that had it before."""
    at_work: set[int] = set()

    def is_busy() -> bool:
        # Busy for longer than a start takes.
        at_work.update(pid for pid in server.worker_pids() - but if cpu_ticks(pid) > 10)
        return bool(at_work)

    eventually(is_busy)
    [pid] = at_work
    os.kill(pid, number)
    return pid


def test_an_item_that_crashes_two_workers_is_to_blame(patient: RewardServer) -> None:
    asked = hanging("a")
    call = begin(patient, asked)
    dead: set[int] = set()
    for _ in range(2):
        dead.add(kill_the_one_at_work(patient, signal.SIGSEGV, but=dead))
    [result] = call.result().results
    assert result.outcome == outcome_pb2.OUTCOME_VERIFIER_ERROR
    assert result.cause == outcome_pb2.CAUSE_ITEM
    assert "SIGSEGV" in result.detail
    [held, other] = patient.score(asked, algebra("next"))
    assert held.outcome == outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED
    assert held.cause == outcome_pb2.CAUSE_ITEM
    assert "quarantine" in held.detail
    assert other.outcome == outcome_pb2.OUTCOME_CORRECT


def test_an_item_is_not_to_blame_for_workers_killed_from_outside(patient: RewardServer) -> None:
    asked = hanging("a")
    call = begin(patient, asked)
    dead: set[int] = set()
    for _ in range(5):
        dead.add(kill_the_one_at_work(patient, signal.SIGKILL, but=dead))
    [result] = call.result().results
    assert result.outcome == outcome_pb2.OUTCOME_UNAVAILABLE
    assert result.cause == outcome_pb2.CAUSE_MACHINERY
    begin(patient, asked).cancel()  # it runs again


def test_a_worker_that_is_stopped_costs_no_verdict() -> None:
    with running_reward_server("item_deadline_s=0.5", "workers=1") as server:
        stopped = only_worker(server)
        os.kill(stopped, signal.SIGSTOP)
        [result] = server.score(algebra("a"))
        assert result.outcome == outcome_pb2.OUTCOME_CORRECT
        eventually(lambda: is_gone(stopped))


def test_an_answer_that_wants_all_memory_is_to_blame() -> None:
    with running_reward_server("worker_memory_bytes=268435456", "item_deadline_s=20") as server:
        big = item("big", r"\boxed{\int_0^1 (x+y+z)^{19999} dx}", "42")
        results = server.score(big, algebra("small"))
        assert [(result.outcome, result.cause) for result in results] == [
            (outcome_pb2.OUTCOME_RESOURCE_EXHAUSTED, outcome_pb2.CAUSE_ITEM),
            (outcome_pb2.OUTCOME_CORRECT, outcome_pb2.CAUSE_UNSPECIFIED),
        ]


def test_a_worker_is_replaced_after_its_share_of_items() -> None:
    with running_reward_server("worker_max_items=2", "workers=1", "slow_workers=0") as server:
        seen = {only_worker(server)}
        for index in range(4):
            server.score(algebra(str(index)))
        eventually(lambda: all(is_gone(pid) for pid in seen))


def test_the_server_outlives_its_zygote(patient: RewardServer) -> None:
    before = patient.process_pids()
    [zygote] = children(patient.process.pid)
    os.kill(zygote, signal.SIGKILL)
    [result] = patient.score(algebra("a"))
    assert result.outcome == outcome_pb2.OUTCOME_CORRECT
    eventually(lambda: all(is_gone(pid) for pid in before))


def test_nothing_is_left_after_sigterm(patient: RewardServer) -> None:
    pids = patient.process_pids()
    assert len(pids) >= 2
    patient.process.send_signal(signal.SIGTERM)
    assert patient.process.wait(TIMEOUT_S) == 0
    assert all(is_gone(pid) for pid in pids)


def test_nothing_is_left_after_the_server_is_killed(patient: RewardServer) -> None:
    call = begin(patient, hanging("a"))
    pids = patient.process_pids()
    patient.process.kill()
    eventually(lambda: all(is_gone(pid) for pid in pids))
    assert call.exception() is not None


def test_a_running_call_is_finished_on_sigterm(patient: RewardServer) -> None:
    worker = only_worker(patient)
    os.kill(worker, signal.SIGSTOP)
    call = begin(patient, algebra("a"))
    patient.process.send_signal(signal.SIGTERM)
    os.kill(worker, signal.SIGCONT)
    [result] = call.result().results
    assert result.outcome == outcome_pb2.OUTCOME_CORRECT
    assert patient.process.wait(TIMEOUT_S) == 0


def test_workers_do_not_see_the_servers_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET, "hush")
    with running_reward_server("workers=1") as server:
        assert SECRET.encode() in Path(f"/proc/{server.process.pid}/environ").read_bytes()
        for pid in server.process_pids():
            assert SECRET.encode() not in Path(f"/proc/{pid}/environ").read_bytes()


@pytest.mark.parametrize(
    "template",
    [
        r"\boxed{{__import__('pathlib').Path('{path}').touch()}}",
        "Answer: __import__('pathlib').Path('{path}').touch()",
        "1+0*__import__('os').system('touch {path}')",
        r"$\operatorname{{eval}}(\text{{open('{path}','w')}})$",
        r"\boxed{{\input{{|touch {path}}}}}",
        r"\boxed{{S(\"open('{path}','w')\")}}",
    ],
)
def test_text_is_never_run(server: RewardServer, tmp_path: Path, template: str) -> None:
    path = tmp_path / "ran"
    server.score(item("a", template.format(path=path), "42"))
    assert not path.exists()


def test_an_open_stream_is_told_of_the_shutdown(patient: RewardServer) -> None:
    ended = threading.Event()

    def requests() -> Iterator[reward_pb2.ScoreStreamRequest]:
        yield reward_pb2.ScoreStreamRequest(items=[item("a", r"\boxed{7}", "7")])
        ended.wait(TIMEOUT_S)

    stream = patient.stub.ScoreStream(requests(), timeout=TIMEOUT_S)
    assert [result.id for result in next(stream).results] == ["a"]
    patient.process.send_signal(signal.SIGTERM)
    with pytest.raises(grpc.RpcError) as caught:
        next(stream)
    ended.set()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert error_info(caught.value).reason == "SHUTTING_DOWN"
    assert patient.process.wait(TIMEOUT_S) == 0
