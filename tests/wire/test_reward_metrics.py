"""The metrics of a shipped server, scraped over HTTP, and what an audit adds to them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.services import service
from tests.wire.reward_server_process import (
    TIMEOUT_S,
    RewardServer,
    algebra,
    cpu_ticks,
    eventually,
    hanging,
    item,
    running_reward_server,
)
from trimtab.learner.v1 import learner_pb2, learner_pb2_grpc
from trimtab.reward.v1 import reward_pb2
from trimtab.rollout.v1 import rollout_pb2, rollout_pb2_grpc


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@dataclass(frozen=True)
class Metrics:
    """Where metrics are served."""

    port: int

    def read(self) -> dict[tuple[str, frozenset[str]], float]:
        """Every sample by its name and its labels' values."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as reply:
            text = reply.read().decode()
        return {
            (sample.name, frozenset(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def get(self, name: str, *labels: str) -> float:
        return self.read().get((f"trimtab_{name}", frozenset(labels)), 0.0)


@contextlib.contextmanager
def measured_server(*settings: str) -> Iterator[tuple[RewardServer, Metrics]]:
    metrics = Metrics(free_port())
    with running_reward_server(f"metrics_listen=127.0.0.1:{metrics.port}", *settings) as server:
        yield server, metrics


def test_calls_and_results_are_counted() -> None:
    with measured_server() as (server, metrics):
        asked = algebra("a")
        server.score(asked, item("b", r"\boxed{7}", "7"), item("c", "7", "7", verifier="made up"))
        server.score(asked, item("d", "so 8", "7", verifier="numeric"))
        requests = iter([reward_pb2.ScoreStreamRequest(items=[asked])])
        list(server.stub.ScoreStream(requests, timeout=TIMEOUT_S))
        with pytest.raises(grpc.RpcError):
            server.score(item("", "7", "7"))
        eventually(lambda: metrics.get("calls_total", "ScoreStream", "OK") == 1)
        assert metrics.get("calls_total", "Score", "OK") == 2
        assert metrics.get("calls_total", "Score", "INVALID_ARGUMENT") == 1
        assert metrics.get("call_seconds_count", "Score") == 3
        assert metrics.get("reward_items_total", "math", "CORRECT") == 4
        assert metrics.get("reward_items_total", "numeric", "INCORRECT") == 1
        assert metrics.get("reward_items_total", "unknown", "VERIFIER_ERROR") == 1
        assert metrics.get("reward_cached_total", "math") == 2
        assert metrics.get("reward_item_seconds_count", "math") == 1
        assert metrics.get("reward_cache_entries") == 1
        assert metrics.get("reward_cache_bytes") > 0
        assert metrics.get("calls_total", "made up", "OK") == 0


def test_what_is_at_work_and_how_workers_end() -> None:
    with measured_server("item_deadline_s=600", "workers=1", "slow_workers=0") as (server, metrics):
        request = reward_pb2.ScoreRequest(items=[hanging("a"), hanging("b")])
        call = server.stub.Score.future(request, timeout=TIMEOUT_S)
        eventually(lambda: metrics.get("reward_waiting") == 1)
        assert metrics.get("reward_running") == 1
        [worker] = server.worker_pids()
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: metrics.get("reward_worker_ends_total", "killed") == 1)
        # Another one has taken the item up.
        eventually(lambda: any(cpu_ticks(pid) > 10 for pid in server.worker_pids() - {worker}))
        call.cancel()
        eventually(lambda: metrics.get("reward_worker_ends_total", "cancelled") == 1)
        eventually(lambda: metrics.get("calls_total", "Score", "CANCELLED") == 1)
        eventually(lambda: metrics.get("reward_running") == metrics.get("reward_waiting") == 0)


def test_quarantine_shows() -> None:
    with measured_server("item_deadline_s=0.2") as (server, metrics):
        asked = hanging("a")
        server.score(asked)
        assert metrics.get("reward_quarantined") == 0
        server.score(asked)
        assert metrics.get("reward_quarantined") == 1
        assert metrics.get("reward_worker_ends_total", "deadline") == 2


AUDIT = (
    "verifiers={strict: {type: exact, extract: last_box}, math: {type: math}}",
    "audit={verifier: math, share: 1.0}",
    "log_format=json",
)


def audits(metrics: Metrics, finding: str) -> float:
    return metrics.get("reward_audits_total", "strict", "math", finding)


def test_an_audit_counts_without_changing_answers(capfd: pytest.CaptureFixture[str]) -> None:
    with measured_server(*AUDIT) as (server, metrics):
        [same] = server.score(item("a", r"\boxed{1+x}", "1+x"))
        eventually(lambda: audits(metrics, "agrees") == 1)
        secret = algebra("b")
        [other] = server.score(secret)
        eventually(lambda: audits(metrics, "disagrees") == 1)
        assert (same.reward, other.reward) == (1.0, 0.0)
        assert same.verifier_version.startswith("exact-")
        ratio = metrics.get("reward_audit_disagreement_ratio", "strict", "math")
        assert ratio == 0.5
        server.score(item("c", "no box", "1+x"), item("d", r"\boxed{7}", "7", verifier="math"))
        eventually(lambda: audits(metrics, "agrees") == 2)
        assert metrics.get("reward_items_total", "math", "CORRECT") == 1
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[:1] == "{"]
    [told] = [line for line in lines if line["event"] == "verifiers disagree"]
    assert told["level"] == "warning"
    assert (told["outcome"], told["second_outcome"]) == ("INCORRECT", "CORRECT")
    assert len(told["digest"]) == 32
    assert secret.response not in json.dumps(lines)


def test_an_audit_is_dropped_where_items_wait() -> None:
    settings = ("item_deadline_s=600", "workers=1", "slow_workers=0", *AUDIT)
    with measured_server(*settings) as (server, metrics):
        held = [hanging("a", "math"), hanging("b", "math")]
        call = server.stub.Score.future(reward_pb2.ScoreRequest(items=held), timeout=TIMEOUT_S)
        eventually(lambda: server.info().waiting_count == 1)
        server.score(algebra("c"))
        eventually(lambda: audits(metrics, "dropped") == 1)
        assert server.info().waiting_count == 1
        call.cancel()


def test_an_audit_takes_its_share() -> None:
    settings = ("audit.share=0.2", "audit.verifier=numeric")
    with measured_server(*settings) as (server, metrics):
        server.score(*(item(str(index), rf"\boxed{{{index}}}", str(index)) for index in range(500)))

        def seen() -> float:
            found = metrics.read()
            return sum(
                value for key, value in found.items() if key[0] == "trimtab_reward_audits_total"
            )

        eventually(lambda: seen() > 0)
        first = seen()
        assert 50 < first < 200
        # The same items again: the same are chosen, under whatever id.
        server.score(
            *(item(f"x{index}", rf"\boxed{{{index}}}", str(index)) for index in range(500))
        )
        eventually(lambda: seen() == 2 * first)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("audit={verifier: nobody}", "audit.verifier: 'nobody' is no verifier here"),
        ("audit={verifier: math}", "'math' cannot audit itself"),
        ("audit={verifier: numeric, of: nobody}", "audit.of: 'nobody' is no verifier here"),
        ("metrics_listen=0.0.0.0:0", "metrics_listen: 0.0.0.0:0 is not on loopback"),
        ("metrics_listen=nowhere", "metrics_listen: 'nowhere' is not HOST:PORT"),
        ("cache={size: 3}", "cache.size: unknown key"),
    ],
)
def test_settings_that_do_not_hold_are_named(setting: str, named: str) -> None:
    command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0", "--set", setting]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert named in ended.stderr


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        setting = f"metrics_listen=127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "reward_server", "--listen", "127.0.0.1:0"]
        command += ["--set", setting]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 2
        assert "metrics_listen: cannot listen on 127.0.0.1" in ended.stderr


@pytest.mark.parametrize("module", ["rollout_server", "learner"])
def test_the_other_servers_have_metrics_of_their_calls(module: str) -> None:
    metrics = Metrics(free_port())
    with service(module, f"metrics_listen=127.0.0.1:{metrics.port}") as server:
        with grpc.insecure_channel(server.target) as channel:
            if module == "learner":
                learner = learner_pb2_grpc.LearnerServiceStub(channel)
                learner.ListRuns(learner_pb2.ListRunsRequest(), timeout=TIMEOUT_S)
            else:
                rollout = rollout_pb2_grpc.RolloutServiceStub(channel)
                rollout.GetInfo(rollout_pb2.GetInfoRequest(), timeout=TIMEOUT_S)
        rpc = "ListRuns" if module == "learner" else "GetInfo"
        assert metrics.get("calls_total", rpc, "OK") == 1
