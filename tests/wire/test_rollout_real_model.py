"""A real model: byte-level tokens, a chat template, half precision."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.wire.rollout_server_process import RolloutServer, running_rollout_server
from trimtab.common.v1 import message_pb2, sampling_pb2
from trimtab.rollout.v1 import rollout_pb2

MODEL = os.environ.get("TRIMTAB_TEST_MODEL", "")
Params = sampling_pb2.SamplingParams

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.skipif(not MODEL, reason="TRIMTAB_TEST_MODEL names no model"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[RolloutServer]:
    with running_rollout_server(f"model.path={MODEL}") as running:
        yield running


def chat(prompt_id: str, content: str, **sampling: object) -> rollout_pb2.Prompt:
    return rollout_pb2.Prompt(
        id=prompt_id,
        chat=rollout_pb2.Chat(messages=[message_pb2.Message(role="user", content=content)]),
        sampling=Params(**sampling),  # type: ignore[arg-type]
    )


def test_it_answers_and_ends(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=[chat("capital", "What is the capital of France?", temperature=0, max_tokens=40)]
    )
    sample = server.samples(request)["capital", 0]
    assert "Paris" in sample.text
    assert sample.finish_reason == sampling_pb2.FINISH_REASON_EOS
    assert "<|im_end|>" not in sample.text
    assert server.info().chat_template_digest


def test_stop_strings_cut_between_and_inside_tokens(server: RolloutServer) -> None:
    question = "Count from one to ten in words."
    whole = server.samples(
        rollout_pb2.GenerateRequest(prompts=[chat("whole", question, temperature=0, max_tokens=40)])
    )["whole", 0]
    middle = whole.text[len(whole.text) // 2 :][:5]
    stopped = server.samples(
        rollout_pb2.GenerateRequest(
            prompts=[chat("cut", question, temperature=0, max_tokens=40, stop=[middle])]
        )
    )["cut", 0]
    assert stopped.finish_reason == sampling_pb2.FINISH_REASON_STOP
    assert stopped.text == whole.text[: whole.text.index(middle)]
    assert stopped.token_ids == whole.token_ids[: len(stopped.token_ids)]


def test_filters_hold_over_a_large_vocabulary(server: RolloutServer) -> None:
    request = rollout_pb2.GenerateRequest(
        prompts=[
            chat("top_p", "Name a colour.", top_p=0.9, max_tokens=12),
            chat("top_k", "Name a colour.", top_k=5, max_tokens=12),
            chat("typical", "Name a colour.", typical_p=0.5, max_tokens=12),
        ],
        samples_per_prompt=4,
        sampling=Params(seed=5),
        want=rollout_pb2.Want(kept_set_sizes=True, model_logprobs=True),
    )
    for (name, _), sample in server.samples(request).items():
        assert all(size >= 1 for size in sample.kept_set_sizes)
        if name == "top_k":
            assert max(sample.kept_set_sizes) <= 5
        for drawn, plain in zip(sample.logprobs, sample.model_logprobs, strict=True):
            assert plain - 1e-4 <= drawn <= 1e-4
