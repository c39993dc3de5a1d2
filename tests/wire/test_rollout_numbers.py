"""What samples carry, against a plain forward pass, whatever batch they were in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.unit.rollout.reference import Params as Reference
from tests.unit.rollout.reference import Probs, entropy, final_distribution, softmax
from tests.wire.rollout_server_process import PROMPTS, RolloutServer, running_rollout_server
from trimtab.common.v1 import sampling_pb2
from trimtab.rollout.v1 import rollout_pb2
from trimtab.tensors import to_array

Params = sampling_pb2.SamplingParams
EOS = 2
EVERYTHING = rollout_pb2.Want(model_logprobs=True, kept_set_sizes=True, prompt_hidden_state=True)
MIX = (
    Params(),
    Params(temperature=0.6, min_tokens=12, max_tokens=15),
    Params(temperature=1.7, min_p=0.05, max_tokens=30),
    Params(typical_p=0.8, top_k=6),
    Params(temperature=1.2, min_p=0.01, typical_p=0.95, top_k=12, top_p=0.85),
    Params(temperature=0),
    Params(top_p=0.7, min_tokens=30, max_tokens=40),
)


@pytest.fixture(scope="module")
def server() -> Iterator[RolloutServer]:
    """Rows join and leave a small batch all the time."""
    with running_rollout_server("transformers.max_batch_size=8") as running:
        yield running


@pytest.fixture(scope="module")
def roomy() -> Iterator[RolloutServer]:
    with running_rollout_server() as running:
        yield running


def mixed_request(
    names: list[str], *, indices: tuple[int, ...] = (0, 1, 2), seed: int = 11
) -> rollout_pb2.GenerateRequest:
    """Prompts of several lengths with several parameters; a name tells which."""
    prompts = []
    for name in names:
        text, params = (int(part) for part in name.split("/"))
        prompts.append(rollout_pb2.Prompt(id=name, text=PROMPTS[text], sampling=MIX[params]))
    return rollout_pb2.GenerateRequest(
        prompts=prompts,
        sample_indices=indices,
        sampling=Params(seed=seed),
        want=EVERYTHING,
    )


NAMES = [f"{text}/{params}" for text in range(len(PROMPTS)) for params in range(len(MIX))]


@pytest.fixture(scope="module")
def samples(server: RolloutServer) -> list[rollout_pb2.Sample]:
    return list(server.samples(mixed_request(NAMES)).values())


@torch.inference_mode()
def full_forward(model: torch.nn.Module, sample: rollout_pb2.Sample) -> tuple[Probs, Probs]:
    """Logits at each drawn token, and the last layer's state at the last prompt token."""
    prompt_length = len(sample.prompt_token_ids)
    ids = torch.tensor([[*sample.prompt_token_ids, *sample.token_ids]])
    output = model(input_ids=ids, output_hidden_states=True)
    logits: Probs = output.logits[0, prompt_length - 1 : -1].double().numpy()
    hidden: Probs = output.hidden_states[-1][0, prompt_length - 1].double().numpy()
    return logits, hidden


def test_every_number_is_that_of_a_plain_forward_pass(
    samples: list[rollout_pb2.Sample],
) -> None:
    path = Path(rollout_pb2.__file__).parents[2] / "assets" / "tiny"
    # Threads that spin beside the server's would take most of the time.
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(path)
    assert len(samples) == 3 * len(NAMES)
    for sample in samples:
        params = MIX[int(sample.prompt_id.split("/")[1])]
        reference = Reference(
            temperature=params.temperature if params.HasField("temperature") else 1.0,
            min_p=params.min_p,
            typical_p=params.typical_p or 1.0,
            top_k=params.top_k,
            top_p=params.top_p or 1.0,
        )
        logits_GV, hidden = full_forward(model, sample)
        state = to_array(sample.prompt_hidden_state)
        np.testing.assert_allclose(state, hidden, atol=1e-4)
        for position, (token, logits_V) in enumerate(zip(sample.token_ids, logits_GV, strict=True)):
            plain = softmax(logits_V, reference.temperature or 1.0)
            forbidden = {EOS} if position < params.min_tokens else set()
            final = final_distribution(logits_V, reference, forbidden)
            assert sample.model_logprobs[position] == pytest.approx(np.log(plain[token]), abs=1e-4)
            assert sample.entropies[position] == pytest.approx(entropy(plain), abs=1e-4)
            assert sample.logprobs[position] == pytest.approx(np.log(final[token]), abs=1e-4)
            assert sample.kept_set_sizes[position] == np.count_nonzero(final)


def test_a_sample_is_the_same_alone_and_in_any_company(
    server: RolloutServer, roomy: RolloutServer, samples: list[rollout_pb2.Sample]
) -> None:
    first = {(sample.prompt_id, sample.sample_index): sample for sample in samples}
    elsewhere = roomy.samples(mixed_request(list(reversed(NAMES))))
    alone = server.samples(mixed_request(["3/2"], indices=(1,)))
    again = roomy.samples(mixed_request(["0/4", "3/2"], indices=(2, 0)))
    for found in (elsewhere, alone, again):
        for key, sample in found.items():
            assert sample.token_ids == first[key].token_ids
            assert sample.text == first[key].text
            assert sample.logprobs == pytest.approx(first[key].logprobs, abs=1e-4)


def test_seeds_tell_samples_apart(server: RolloutServer) -> None:
    def texts(request: rollout_pb2.GenerateRequest) -> list[str]:
        return [sample.text for _, sample in sorted(server.samples(request).items())]

    many = tuple(range(16))
    one = texts(mixed_request(["0/0"], indices=many, seed=1))
    assert texts(mixed_request(["0/0"], indices=many, seed=1)) == one
    assert texts(mixed_request(["0/0"], indices=many, seed=2)) != one
    assert len(set(one)) > 1
    unseeded = rollout_pb2.GenerateRequest(
        prompts=[rollout_pb2.Prompt(id="0/0", text=PROMPTS[0])], sample_indices=many
    )
    assert texts(unseeded) != texts(unseeded)
