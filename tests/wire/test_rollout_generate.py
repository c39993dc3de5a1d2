"""Generate, rule by rule, on a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from google.protobuf import struct_pb2
from google.rpc import error_details_pb2

from tests.wire.rollout_server_process import (
    PROMPTS,
    TIMEOUT_S,
    RolloutServer,
    reason,
    running_rollout_server,
    text_prompts,
    unpack_detail,
)
from trimtab.common.v1 import message_pb2, sampling_pb2, weights_pb2
from trimtab.rollout.v1 import rollout_pb2

Params = sampling_pb2.SamplingParams
Prompt = rollout_pb2.Prompt
GREEDY = Params(temperature=0)


@pytest.fixture(scope="module")
def server() -> Iterator[RolloutServer]:
    with running_rollout_server() as running:
        yield running


def refused(server: RolloutServer, request: rollout_pb2.GenerateRequest) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as caught:
        server.events(request)
    return caught.value


def test_every_sample_of_every_prompt_comes_once(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(*PROMPTS), samples_per_prompt=3, sampling=Params(max_tokens=24)
    )
    samples = server.samples(request)
    assert sorted(samples) == [(str(p), i) for p in range(len(PROMPTS)) for i in range(3)]
    for sample in samples.values():
        assert len(sample.logprobs) == len(sample.entropies) == len(sample.token_ids) <= 24
        assert not sample.model_logprobs
        assert not sample.kept_set_sizes
        assert not sample.HasField("prompt_hidden_state")
        assert sample.entropy_kind == sampling_pb2.ENTROPY_KIND_EXACT
        assert [span.first_token for span in sample.weights_spans] == [0]
        assert sample.weights_spans[0].weights == server.info().weights
        assert sample.timing.generating.ToNanoseconds() > 0


def test_only_what_is_wanted_is_sent(server: RolloutServer) -> None:
    want = rollout_pb2.Want(
        logprobs=False,
        entropies=False,
        model_logprobs=True,
        kept_set_sizes=True,
        prompt_hidden_state=True,
    )
    request = rollout_pb2.GenerateRequest(prompts=text_prompts(PROMPTS[0]), want=want)
    sample = server.samples(request)["0", 0]
    assert not sample.logprobs
    assert not sample.entropies
    assert sample.entropy_kind == sampling_pb2.ENTROPY_KIND_ABSENT
    assert len(sample.model_logprobs) == len(sample.kept_set_sizes) == len(sample.token_ids)
    assert list(sample.prompt_hidden_state.shape) == [128]
    assert len(sample.prompt_hidden_state.data) == 4 * 128


def test_nothing_asked_for_gives_nothing(server: RolloutServer) -> None:
    assert server.events(rollout_pb2.GenerateRequest(samples_per_prompt=5)) == []


def test_sample_indices_replace_the_count(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(*PROMPTS[:2]), samples_per_prompt=9, sample_indices=[7, 2]
    )
    assert sorted(server.samples(request)) == [("0", 2), ("0", 7), ("1", 2), ("1", 7)]


def test_progress_is_sent_if_wanted(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts(*PROMPTS),
        samples_per_prompt=2,
        sampling=Params(max_tokens=40, seed=1),
        want=rollout_pb2.Want(progress=True),
    )
    progress = [e.progress for e in server.events(request) if e.HasField("progress")]
    assert progress
    assert {count.total_count for count in progress} == {10}
    finished = [count.finished_count for count in progress]
    generated = [count.generated_token_count for count in progress]
    assert finished == sorted(finished)
    assert generated == sorted(generated)


@pytest.mark.parametrize(
    ("prompt", "expected", "hint"),
    [
        (Prompt(id="x"), "INVALID_FIELD", "no input"),
        (Prompt(id="x", text=""), "INVALID_FIELD", "empty"),
        (Prompt(id="x", token_ids=rollout_pb2.TokenIds()), "INVALID_FIELD", "empty"),
        (Prompt(id="x", segments=rollout_pb2.Segments()), "INVALID_FIELD", "empty"),
        (Prompt(id="x", text="1" * 256), "PROMPT_TOO_LONG", "256 tokens, the context of 256"),
        (
            Prompt(id="x", token_ids=rollout_pb2.TokenIds(token_ids=[5, 32])),
            "TOKEN_OUT_OF_RANGE",
            "token 32 at position 1",
        ),
        (
            Prompt(id="x", chat=rollout_pb2.Chat(messages=[message_pb2.Message(role="user")])),
            "NO_CHAT_TEMPLATE",
            "give text",
        ),
        (
            Prompt(id="x", text="1", sampling=Params(stop_token_ids=[99])),
            "TOKEN_OUT_OF_RANGE",
            "stop token 99",
        ),
        *(
            (Prompt(id="x", text="1", sampling=params), "INVALID_FIELD", hint)
            for params, hint in (
                (Params(temperature=-0.5), "temperature"),
                (Params(temperature=float("nan")), "temperature"),
                (Params(top_p=0), "top_p"),
                (Params(top_p=1.5), "top_p"),
                (Params(typical_p=0), "typical_p"),
                (Params(min_p=-0.1), "min_p"),
                (Params(max_tokens=0), "max_tokens"),
                (Params(min_tokens=9, max_tokens=8), "min_tokens"),
                (Params(stop=["a", ""]), "stop"),
                (Params(stop_token_ids=range(32), min_tokens=1), "min_tokens"),
            )
        ),
    ],
)
def test_a_bad_prompt_fails_alone(
    server: RolloutServer, prompt: Prompt, expected: str, hint: str
) -> None:
    error = server.error(prompt)
    assert error.reason == expected
    assert hint in error.detail


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (rollout_pb2.GenerateRequest(prompts=[Prompt(text="1")]), "INVALID_FIELD"),
        (
            rollout_pb2.GenerateRequest(prompts=[Prompt(id="a", text="1")] * 2),
            "DUPLICATE_ID",
        ),
        (
            rollout_pb2.GenerateRequest(prompts=text_prompts("1"), sample_indices=[1, 1]),
            "DUPLICATE_ID",
        ),
        (
            rollout_pb2.GenerateRequest(prompts=text_prompts("1", "2"), samples_per_prompt=2**31),
            "TOO_MANY_ITEMS",
        ),
    ],
)
def test_a_request_that_does_not_hold_fails_as_a_whole(
    server: RolloutServer, request_: rollout_pb2.GenerateRequest, expected: str
) -> None:
    error = refused(server, request_)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert reason(error) == expected


@pytest.mark.parametrize(
    "asked",
    [weights_pb2.WeightsId(lineage="other"), weights_pb2.WeightsId(version=1)],
)
def test_other_weights_than_asked_for_are_refused_at_once(
    server: RolloutServer, asked: weights_pb2.WeightsId
) -> None:
    error = refused(
        server, rollout_pb2.GenerateRequest(prompts=text_prompts("1"), min_weights=asked)
    )
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert reason(error) == "WEIGHTS_MISMATCH"


def test_the_weights_that_serve_satisfy_the_fence(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=text_prompts("1"), min_weights=weights_pb2.WeightsId()
    )
    assert len(server.samples(request)) == 1


def test_tokens_segments_and_text_of_one_prompt_are_alike(server: RolloutServer) -> None:
    ids = list(server.one(PROMPTS[0]).prompt_token_ids)
    halves = [rollout_pb2.Segment(token_ids=part) for part in (ids[:3], ids[3:])]
    request = rollout_pb2.GenerateRequest(
        prompts=[
            Prompt(id="text", text=PROMPTS[0]),
            Prompt(id="tokens", token_ids=rollout_pb2.TokenIds(token_ids=ids)),
            Prompt(id="segments", segments=rollout_pb2.Segments(segments=halves)),
        ],
        sampling=GREEDY,
    )
    samples = server.samples(request)
    assert len({sample.text for sample in samples.values()}) == 1
    assert all(list(sample.prompt_token_ids) == ids for sample in samples.values())


def test_the_room_left_clips_max_tokens(server: RolloutServer) -> None:
    sample = server.one("1" * 250, Params(max_tokens=100, min_tokens=50))
    assert len(sample.token_ids) == 6
    assert sample.finish_reason == sampling_pb2.FINISH_REASON_LENGTH


def test_the_longest_prompt_has_room_for_one_token(server: RolloutServer) -> None:
    assert len(server.one("1" * 255).token_ids) == 1


def test_the_end_token_is_sent_and_is_no_text(server: RolloutServer) -> None:
    sample = server.one(PROMPTS[0], GREEDY)
    assert sample.finish_reason == sampling_pb2.FINISH_REASON_EOS
    assert sample.token_ids[-1] == 2
    assert len(sample.text) == len(sample.token_ids) - 1


def test_stop_strings_and_tokens_end_a_sample(server: RolloutServer) -> None:
    whole = server.one(PROMPTS[0], GREEDY)
    text, equals = whole.text, whole.token_ids[whole.text.index("=")]
    two = text[1:3]
    request = rollout_pb2.GenerateRequest(
        prompts=[
            Prompt(id="string", text=PROMPTS[0], sampling=Params(stop=[two, "zz"])),
            Prompt(id="token", text=PROMPTS[0], sampling=Params(stop_token_ids=[equals])),
            Prompt(
                id="string at the limit", text=PROMPTS[0], sampling=Params(max_tokens=3, stop=[two])
            ),
            Prompt(id="limit", text=PROMPTS[0], sampling=Params(max_tokens=3)),
        ],
        sampling=GREEDY,
    )
    samples = {key[0]: sample for key, sample in server.samples(request).items()}
    for name in ("string", "string at the limit"):
        assert samples[name].text == text[:1]
        assert samples[name].token_ids == whole.token_ids[:3]
        assert samples[name].finish_reason == sampling_pb2.FINISH_REASON_STOP
    assert samples["token"].text == text.partition("=")[0]
    assert samples["token"].token_ids[-1] == equals
    assert samples["token"].finish_reason == sampling_pb2.FINISH_REASON_STOP
    assert samples["limit"].text == text[:3]
    assert samples["limit"].finish_reason == sampling_pb2.FINISH_REASON_LENGTH


def test_min_tokens_puts_off_the_end(server: RolloutServer) -> None:
    sample = server.one(PROMPTS[0], Params(min_tokens=30, max_tokens=32, stop_token_ids=[9]))
    assert not {2, 9} & set(sample.token_ids[:30])


def test_an_override_merges_field_by_field(server: RolloutServer) -> None:
    base = Params(temperature=0, max_tokens=5, stop=["="])
    request = rollout_pb2.GenerateRequest(
        prompts=[
            Prompt(id="plain", text=PROMPTS[0]),
            Prompt(id="shorter", text=PROMPTS[0], sampling=Params(max_tokens=1)),
            Prompt(id="unstopped", text=PROMPTS[0], sampling=Params(stop=["zz"])),
        ],
        sampling=base,
    )
    samples = {key[0]: sample for key, sample in server.samples(request).items()}
    assert "=" not in samples["plain"].text
    assert samples["shorter"].token_ids == samples["plain"].token_ids[:1]
    assert len(samples["unstopped"].token_ids) == 5


def test_what_is_not_offered_says_so(server: RolloutServer) -> None:
    stub = server.stub
    calls: list[Callable[[], object]] = [
        lambda: stub.Pause(rollout_pb2.PauseRequest(), timeout=TIMEOUT_S),
        lambda: stub.Resume(rollout_pb2.ResumeRequest(), timeout=TIMEOUT_S),
        lambda: stub.Sleep(rollout_pb2.SleepRequest(), timeout=TIMEOUT_S),
        lambda: stub.WakeUp(rollout_pb2.WakeUpRequest(), timeout=TIMEOUT_S),
        lambda: list(stub.ScoreTokens(rollout_pb2.ScoreTokensRequest(), timeout=TIMEOUT_S)),
    ]
    for call in calls:
        with pytest.raises(grpc.RpcError) as caught:
            call()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert reason(caught.value) == "NOT_IMPLEMENTED"


def test_template_arguments_need_a_template(server: RolloutServer) -> None:
    arguments = struct_pb2.Struct()
    arguments.update({"chat_template": "{{ 1 }}"})
    chat = rollout_pb2.Chat(
        messages=[message_pb2.Message(role="user", content="hi")], template_kwargs=arguments
    )
    assert server.error(Prompt(id="x", chat=chat)).reason == "NO_CHAT_TEMPLATE"


def test_a_full_queue_turns_callers_away_with_a_delay() -> None:
    limits = ("transformers.max_batch_size=2", "max_waiting_samples=8", "max_samples_per_call=9")
    with running_rollout_server(*limits) as server:
        assert server.info().max_samples_per_call == 8
        busy = server.endless(8)
        error = refused(
            server,
            rollout_pb2.GenerateRequest(prompts=text_prompts("1"), samples_per_prompt=8),
        )
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert reason(error) == "OVERLOADED"
        retry = error_details_pb2.RetryInfo()
        assert unpack_detail(error, retry)
        assert retry.retry_delay.ToMilliseconds() > 0
        too_many = rollout_pb2.GenerateRequest(prompts=text_prompts("1"), samples_per_prompt=9)
        assert reason(refused(server, too_many)) == "TOO_MANY_ITEMS"
        busy.call.cancel()
