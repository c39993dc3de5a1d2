"""A server's life: health, reflection, what it tells, callers that leave, its end."""

from __future__ import annotations

import hashlib
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from transformers import AutoTokenizer

from tests.wire.rollout_server_process import (
    ENDLESS,
    PROMPTS,
    TIMEOUT_S,
    RolloutServer,
    eventually,
    reason,
    running_rollout_server,
    spawn,
    text_prompts,
)
from trimtab import __version__
from trimtab.common.v1 import sampling_pb2, tensor_pb2, weights_pb2
from trimtab.fingerprint import tokenizer_fingerprint
from trimtab.rollout.v1 import rollout_pb2

SERVICE = "trimtab.rollout.v1.RolloutService"
TINY = Path(rollout_pb2.__file__).parents[2] / "assets" / "tiny"


@pytest.fixture(scope="module")
def server() -> Iterator[RolloutServer]:
    with running_rollout_server("transformers.max_batch_size=4") as running:
        yield running


def health(server: RolloutServer, service: str) -> int:
    stub: Any = health_pb2_grpc.HealthStub(server.channel)
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = stub.Check(request, timeout=TIMEOUT_S).status
    return status


def test_health_and_reflection_name_the_service(server: RolloutServer) -> None:
    assert health(server, "") == health(server, SERVICE) == health_pb2.HealthCheckResponse.SERVING
    stub: Any = reflection_pb2_grpc.ServerReflectionStub
    ask = reflection_pb2.ServerReflectionRequest(list_services="")
    [reply] = stub(server.channel).ServerReflectionInfo(iter([ask]), timeout=TIMEOUT_S)
    assert SERVICE in [service.name for service in reply.list_services_response.service]


def test_it_tells_what_it_serves(server: RolloutServer) -> None:
    info = server.info()
    assert info.server == f"trimtab {__version__}"
    assert info.model == "trimtab-tiny"
    assert info.engine == "transformers"
    assert info.engine_version
    assert (info.vocabulary_size, info.context_length) == (32, 256)
    assert (info.max_samples_per_call, info.max_waiting_count) == (65536, 65536)
    assert info.max_message_bytes == 16 << 20
    assert info.serving_dtype == tensor_pb2.DATA_TYPE_FLOAT32
    assert info.state == rollout_pb2.SERVER_STATE_SERVING
    assert info.device == "cpu"
    assert info.chat_template_digest == ""
    assert info.tokenizer_fingerprint == tokenizer_fingerprint(AutoTokenizer.from_pretrained(TINY))
    assert info.capabilities == rollout_pb2.EngineCapabilities(
        entropy_kind=sampling_pb2.ENTROPY_KIND_EXACT,
        update_kinds=[weights_pb2.WEIGHTS_KIND_FULL],
        in_flight_modes=[rollout_pb2.IN_FLIGHT_MODE_WAIT, rollout_pb2.IN_FLIGHT_MODE_ABORT],
        prompt_hidden_state=True,
        live_digest=True,
    )


def test_a_caller_that_cancels_frees_batch_and_queue(server: RolloutServer) -> None:
    running = server.endless(5000)
    busy = server.info()
    assert busy.running_count > 0
    assert busy.waiting_count > 4000
    running.call.cancel()
    eventually(server.is_idle)


def test_a_caller_that_dies_frees_batch_and_queue(server: RolloutServer) -> None:
    script = (
        "import sys, grpc\n"
        "from trimtab.rollout.v1 import rollout_pb2, rollout_pb2_grpc\n"
        "request = rollout_pb2.GenerateRequest.FromString(bytes.fromhex(sys.argv[2]))\n"
        "stub = rollout_pb2_grpc.RolloutServiceStub(grpc.insecure_channel(sys.argv[1]))\n"
        "for event in stub.Generate(request): print('begun', flush=True)\n"
    )
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(PROMPTS[0]), samples_per_prompt=5000, sampling=ENDLESS
    )
    command = [sys.executable, "-c", script, server.target, request.SerializeToString().hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == "begun\n"
        caller.kill()
    eventually(server.is_idle)


def test_a_deadline_frees_batch_and_queue(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(PROMPTS[0]), samples_per_prompt=5000, sampling=ENDLESS
    )
    with pytest.raises(grpc.RpcError) as caught:
        list(server.stub.Generate(request, timeout=0.2))
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(server.is_idle)


def test_higher_priority_goes_first(server: RolloutServer) -> None:
    background = server.endless(40)
    urgent = rollout_pb2.GenerateRequest(
        prompts=text_prompts(PROMPTS[0]), sampling=ENDLESS, priority=1
    )
    sample = server.samples(urgent)["0", 0]
    assert len(sample.token_ids) == 200
    assert server.info().waiting_count > 0
    background.call.cancel()


def test_short_samples_are_sent_while_long_ones_run(server: RolloutServer) -> None:
    prompts = [
        rollout_pb2.Prompt(id="long", text=PROMPTS[0], sampling=ENDLESS),
        rollout_pb2.Prompt(
            id="short", text=PROMPTS[0], sampling=sampling_pb2.SamplingParams(max_tokens=1)
        ),
    ]
    events = server.events(rollout_pb2.GenerateRequest(prompts=prompts))
    assert [event.sample.prompt_id for event in events] == ["short", "long"]
    short, long = (event.sample.timing.generating.ToNanoseconds() for event in events)
    assert short < long


def test_running_samples_end_before_the_server_does() -> None:
    with running_rollout_server() as server:
        running = server.endless(16)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: is_refused(server))
        assert len(running.rest()) == 16
        assert server.process.wait(TIMEOUT_S) == 0


def is_refused(server: RolloutServer) -> bool:
    """True if a server that ends takes no new call."""
    try:
        server.samples(rollout_pb2.GenerateRequest(prompts=text_prompts("1")))
    except grpc.RpcError:
        return True
    return False


def test_an_engine_that_dies_ends_the_server() -> None:
    with running_rollout_server("transformers.max_batch_size=4096") as server:
        used = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[0])
        limit = used * resource.getpagesize() + (64 << 20)
        resource.prlimit(server.process.pid, resource.RLIMIT_AS, (limit, limit))
        request = rollout_pb2.GenerateRequest(
            prompts=text_prompts("1" * 200), samples_per_prompt=4096, sampling=ENDLESS
        )
        with pytest.raises(grpc.RpcError) as caught:
            server.events(request)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason(caught.value) == "ENGINE_DEAD"
        assert server.process.wait(TIMEOUT_S) == 1


def test_a_model_that_is_not_there_ends_the_start_with_one_line(tmp_path: Path) -> None:
    process = spawn(f"model.path={tmp_path}/nothing", stderr=subprocess.PIPE)
    output, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert output == ""
    assert errors.startswith("error: model.path: there is no model folder")
    assert len(errors.splitlines()) == 1


def test_the_fingerprint_is_that_of_the_rules(tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(TINY)
    before = tokenizer_fingerprint(tokenizer)
    assert len(before) == len(hashlib.sha256().hexdigest())
    tokenizer(["1", "1+1"], padding=True, truncation=True, max_length=2)
    assert tokenizer_fingerprint(tokenizer) == before
    tokenizer.add_tokens(["<new>"])
    assert tokenizer_fingerprint(tokenizer) != before
