"""UpdateWeights: whole or not at all, between samples, with evidence."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import grpc
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.wire.rollout_server_process import (
    PROMPTS,
    TIMEOUT_S,
    RolloutServer,
    eventually,
    in_background,
    reason,
    running_rollout_server,
    text_prompts,
)
from tests.wire.rollout_weights import (
    TINY,
    Weights,
    digest_of,
    send,
    shuffled,
    tiny_weights,
    update,
)
from trimtab.common.v1 import sampling_pb2, tensor_pb2, weights_pb2
from trimtab.rollout.v1 import rollout_pb2

Header = rollout_pb2.UpdateWeightsHeader
Messages = list[rollout_pb2.UpdateWeightsRequest]
ABORT = rollout_pb2.IN_FLIGHT_MODE_ABORT


@pytest.fixture(scope="module")
def server() -> Iterator[RolloutServer]:
    with running_rollout_server("transformers.max_batch_size=8") as running:
        yield running


def greedy(server: RolloutServer) -> list[float]:
    """Log-probabilities that show which weights serve."""
    want = rollout_pb2.Want(model_logprobs=True)
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(PROMPTS[0]),
        sampling=sampling_pb2.SamplingParams(temperature=0, min_tokens=8, max_tokens=8),
        want=want,
    )
    return list(server.samples(request)["0", 0].model_logprobs)


def failure(server: RolloutServer, messages: Messages) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        send(server, messages)
    return caught.value


def test_an_update_is_proved(server: RolloutServer) -> None:
    before, weights = greedy(server), tiny_weights(noise=0.02)
    proof = send(server, update(shuffled(weights), version=5))
    assert proof.received_digest == proof.live_digest == digest_of(weights)
    assert proof.weights == weights_pb2.WeightsId(
        lineage="line", version=5, digest=digest_of(weights)
    )
    assert server.info().weights == proof.weights
    assert greedy(server) != pytest.approx(before, abs=1e-3)
    assert proof.probe_logprob == pytest.approx(
        probe_logprob(weights, list(proof.probe_token_ids)), abs=1e-3
    )
    send(server, update(tiny_weights(), version=6))
    assert greedy(server) == pytest.approx(before, abs=1e-5)


@torch.inference_mode()
def probe_logprob(weights: Weights, token_ids: list[int]) -> float:
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(TINY)
    model.load_state_dict(weights, strict=False)
    logits_TV = model(input_ids=torch.tensor([token_ids])).logits[0, :-1]
    picked = logits_TV.log_softmax(dim=-1).gather(-1, torch.tensor(token_ids[1:])[:, None])
    return float(picked.sum())


def test_the_digest_at_the_start_is_that_of_the_files() -> None:
    with running_rollout_server() as fresh:
        assert fresh.info().weights == weights_pb2.WeightsId(digest=digest_of(tiny_weights()))


def without_one(header: Header) -> None:
    del header.manifest.tensors[3]


def with_one_more(header: Header) -> None:
    extra = header.manifest.tensors.add()
    extra.CopyFrom(header.manifest.tensors[0])
    extra.name = "lm_head.weight"


def twice(header: Header) -> None:
    header.manifest.tensors.add().CopyFrom(header.manifest.tensors[0])


def transposed(header: Header) -> None:
    tensor = next(entry for entry in header.manifest.tensors if "gate_proj" in entry.name)
    tensor.shape[:] = list(tensor.shape)[::-1]


def halved(header: Header) -> None:
    header.manifest.tensors[0].dtype = tensor_pb2.DATA_TYPE_BFLOAT16


def setting(**fields: object) -> Callable[[Header], None]:
    def change(header: Header) -> None:
        header.MergeFrom(Header(**fields))  # type: ignore[arg-type]

    return change


def of_kind(kind: weights_pb2.WeightsKind.ValueType) -> Callable[[Header], None]:
    def change(header: Header) -> None:
        header.manifest.kind = kind

    return change


def wrong_digest(header: Header) -> None:
    header.manifest.weights.digest = "0" * 64


def wrong_tensor_digest(header: Header) -> None:
    header.manifest.tensors[2].sha256 = "0" * 64


def no_digest(header: Header) -> None:
    header.manifest.weights.digest = ""


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (without_one, "MISSING_TENSOR"),
        (with_one_more, "UNKNOWN_TENSOR"),
        (twice, "DUPLICATE_ID"),
        (transposed, "SHAPE_MISMATCH"),
        (halved, "DTYPE_MISMATCH"),
        (wrong_digest, "DIGEST_MISMATCH"),
        (wrong_tensor_digest, "DIGEST_MISMATCH"),
        (no_digest, "INVALID_FIELD"),
        (of_kind(weights_pb2.WEIGHTS_KIND_UNSPECIFIED), "INVALID_FIELD"),
        (of_kind(weights_pb2.WEIGHTS_KIND_DELTA), "NOT_IMPLEMENTED"),
        (of_kind(weights_pb2.WEIGHTS_KIND_ADAPTER), "NOT_IMPLEMENTED"),
        (setting(in_flight=rollout_pb2.IN_FLIGHT_MODE_KEEP), "NOT_IMPLEMENTED"),
        (setting(uri="file"), "NOT_IMPLEMENTED"),
        (setting(ipc=rollout_pb2.IpcSource()), "NOT_IMPLEMENTED"),
        (setting(nccl=rollout_pb2.NcclSource()), "NOT_IMPLEMENTED"),
    ],
)
def test_an_update_that_does_not_fit_changes_nothing(
    server: RolloutServer, change: Callable[[Header], None], expected: str
) -> None:
    weights, numbers = server.info().weights, greedy(server)
    error = failure(server, update(tiny_weights(noise=0.05), version=99, change=change))
    assert reason(error) == expected
    assert server.info().weights == weights
    assert greedy(server) == pytest.approx(numbers, abs=1e-5)


def spoiled(messages: Messages) -> Iterator[tuple[str, Messages]]:
    """Streams that are cut or mixed up, and the reason that they fail for."""
    yield "STREAM_INCOMPLETE", []
    yield "STREAM_INCOMPLETE", messages[:1]
    yield "STREAM_INCOMPLETE", messages[:-1]
    yield "STREAM_OUT_OF_ORDER", messages[1:]
    yield "STREAM_OUT_OF_ORDER", [messages[0], *messages]
    yield "STREAM_OUT_OF_ORDER", [messages[0], messages[2], messages[1], *messages[3:]]
    yield "STREAM_OUT_OF_ORDER", [*messages, messages[-1]]


def test_a_stream_that_is_cut_or_mixed_up_changes_nothing(server: RolloutServer) -> None:
    weights, numbers = server.info().weights, greedy(server)
    for expected, messages in spoiled(update(tiny_weights(noise=0.05), version=99)):
        assert reason(failure(server, messages)) == expected
    assert server.info().weights == weights
    assert greedy(server) == pytest.approx(numbers, abs=1e-5)


def test_a_caller_that_goes_away_leaves_the_old_weights_and_a_free_desk(
    server: RolloutServer,
) -> None:
    weights = server.info().weights
    messages = update(tiny_weights(noise=0.05), version=99)
    gone = threading.Event()

    def half() -> Iterator[rollout_pb2.UpdateWeightsRequest]:
        yield from messages[: len(messages) // 2]
        gone.wait(TIMEOUT_S)

    call = server.stub.UpdateWeights.future(half(), timeout=TIMEOUT_S)
    eventually(lambda: is_busy(server))
    call.cancel()
    gone.set()
    eventually(lambda: not is_busy(server))
    assert server.info().weights == weights


def is_busy(server: RolloutServer) -> bool:
    """True if an update is under way: an empty one is then turned away as second."""
    manifest = weights_pb2.WeightsManifest()
    header = rollout_pb2.UpdateWeightsRequest(header=Header(manifest=manifest))
    return reason(failure(server, [header])) == "UPDATE_IN_PROGRESS"


def test_a_second_update_at_once_is_aborted(server: RolloutServer) -> None:
    messages = update(tiny_weights(), version=40)
    go_on = threading.Event()

    def slow() -> Iterator[rollout_pb2.UpdateWeightsRequest]:
        yield messages[0]
        go_on.wait(TIMEOUT_S)
        yield from messages[1:]

    first = in_background(lambda: send(server, slow()))
    eventually(lambda: is_busy(server))
    error = failure(server, update(tiny_weights(), version=41))
    assert error.code() is grpc.StatusCode.ABORTED
    go_on.set()
    first.join()
    assert server.info().weights.version == 40


def test_a_repeat_is_answered_from_the_first(server: RolloutServer) -> None:
    messages = update(tiny_weights(), version=50, request_id="push-50")
    first = send(server, messages)
    assert send(server, messages[:1]) == first
    send(server, update(tiny_weights(), version=51))
    assert send(server, messages[:1]) == first
    assert server.info().weights.version == 51
    other = update(tiny_weights(noise=0.1), version=52, request_id="push-50")
    assert reason(failure(server, other)) == "DUPLICATE_ID"


def test_an_update_that_takes_too_long_is_given_up() -> None:
    with running_rollout_server("update_timeout_s=0.2") as hurried:
        messages = update(tiny_weights())
        stalled = threading.Event()

        def stall() -> Iterator[rollout_pb2.UpdateWeightsRequest]:
            yield messages[0]
            stalled.wait(TIMEOUT_S)

        with pytest.raises(grpc.RpcError) as caught:
            send(hurried, stall())
        stalled.set()
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert reason(caught.value) == "DEADLINE_EXCEEDED"
        # Nor does a complete one wait for running samples for ever.
        running = hurried.endless(256)
        assert reason(failure(hurried, messages)) == "DEADLINE_EXCEEDED"
        assert hurried.info().weights.version == 0
        assert len(running.rest()) == 256


def test_running_samples_end_with_the_weights_that_they_began_with(server: RolloutServer) -> None:
    old = send(server, update(tiny_weights(), version=60)).weights
    running = server.endless(24)
    proof = send(server, update(tiny_weights(noise=0.02), version=61))
    assert proof.waiting.ToNanoseconds() > 0
    samples = running.rest()
    assert len(samples) == 24
    spans = [sample.weights_spans[0].weights for sample in samples]
    assert {len(sample.weights_spans) for sample in samples} == {1}
    assert spans == [old] * 8 + [proof.weights] * 16
    assert {len(sample.token_ids) for sample in samples} == {200}


def test_abort_ends_running_samples_with_what_they_have(server: RolloutServer) -> None:
    running = server.endless(24)
    proof = send(server, update(tiny_weights(noise=0.02), version=70, in_flight=ABORT))
    samples = running.rest()
    assert len(samples) == 24
    aborted = [s for s in samples if s.finish_reason == sampling_pb2.FINISH_REASON_ABORTED]
    assert len(aborted) == 8
    for sample in aborted:
        assert 0 < len(sample.token_ids) < 200
        assert len(sample.logprobs) == len(sample.entropies) == len(sample.token_ids)
        assert sample.weights_spans[0].weights.version < 70
    others = [sample for sample in samples if sample not in aborted]
    assert {sample.weights_spans[0].weights.version for sample in others} == {proof.weights.version}


def test_the_fence_follows_the_weights(server: RolloutServer) -> None:
    send(server, update(tiny_weights(), version=80, lineage="new"))

    def ask(lineage: str, version: int) -> int:
        request = rollout_pb2.GenerateRequest(
            prompts=text_prompts("1"),
            min_weights=weights_pb2.WeightsId(lineage=lineage, version=version),
        )
        return len(server.samples(request))

    assert ask("new", 80) == ask("new", 3) == 1
    for lineage, version in (("new", 81), ("line", 3), ("", 0)):
        with pytest.raises(grpc.RpcError) as caught:
            ask(lineage, version)
        assert reason(caught.value) == "WEIGHTS_MISMATCH"


def test_weights_that_give_no_numbers_fail_sample_by_sample(server: RolloutServer) -> None:
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in tiny_weights().items()}
    send(server, update(broken, version=90))
    events = server.events(
        rollout_pb2.GenerateRequest(prompts=text_prompts("1"), samples_per_prompt=2)
    )
    errors = [event.prompt_error for event in events]
    assert {error.reason for error in errors} == {"INTERNAL"}
    assert sorted(error.sample_index for error in errors) == [0, 1]
    send(server, update(tiny_weights(), version=91))
    assert server.one(PROMPTS[0], sampling_pb2.SamplingParams(temperature=0)).text
