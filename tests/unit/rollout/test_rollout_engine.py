"""The engine without a server: its failures, its caches, the models that it takes."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import GemmaConfig, GemmaForCausalLM, LlamaConfig, LlamaForCausalLM

from rollout_server.engine import (
    Event,
    FailedSample,
    FinishedSample,
    GenerateTask,
    InFlight,
    PromptTask,
    Sampling,
    WeightsRef,
)
from rollout_server.transformers_engine.engine import TransformersEngine
from rollout_server.transformers_engine.loading import LoadedModel, load_model
from trimtab.config.rollout import RolloutServerConfig
from trimtab.errors import ConfigError, ServiceError
from trimtab.rollout.v1 import rollout_pb2

TINY = Path(rollout_pb2.__file__).parents[2] / "assets" / "tiny"
POISON = 30
"""A token whose embedding is no number in some of the tests."""


def loaded_from(path: Path, **model: str) -> LoadedModel:
    config = {"model": {"path": str(path), "device": "cpu", **model}}
    return load_model(RolloutServerConfig.model_validate(config))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the bundled model, to be spoiled."""
    shutil.copytree(TINY, tmp_path / "model")
    return tmp_path / "model"


def small_llama(folder: Path, shared_heads: int = 2) -> LoadedModel:
    """A random model with the tokenizer of the bundled one."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=shared_heads,
        max_position_embeddings=64,
        tie_word_embeddings=False,
        eos_token_id=2,
    )
    make: Any = LlamaForCausalLM
    make(config).save_pretrained(folder)
    return loaded_from(folder)


class Engine:
    """An engine that is running, and the events of a task."""

    def __init__(self, loaded: LoadedModel) -> None:
        self.engine = TransformersEngine(loaded, max_batch_size=8, max_waiting_samples=1000)
        self.engine.start()

    async def run(self, *prompts: Sequence[int], length: int = 20) -> list[Event]:
        sampling = Sampling(temperature=0, min_tokens=length, max_tokens=length)
        tasks = [
            PromptTask(
                prompt_id=str(index),
                token_ids=tuple(prompt),
                sampling=sampling,
                sample_indices=(0,),
                seeds=(index,),
            )
            for index, prompt in enumerate(prompts)
        ]
        generation = self.engine.generate(GenerateTask(prompts=tasks))
        return [event async for event in generation.events()]

    async def samples(self, *prompts: Sequence[int], length: int = 20) -> list[FinishedSample]:
        events = await self.run(*prompts, length=length)
        samples = [event for event in events if isinstance(event, FinishedSample)]
        assert len(samples) == len(events)
        return sorted(samples, key=lambda sample: int(sample.prompt.prompt_id))


@pytest.fixture
async def poisoned(folder: Path) -> AsyncIterator[Engine]:
    loaded = small_llama(folder)
    with torch.no_grad():
        loaded.parameters["model.embed_tokens.weight"][POISON] = torch.nan
    running = Engine(loaded)
    yield running
    await running.engine.close()


async def test_what_is_no_number_stays_in_its_row(poisoned: Engine) -> None:
    # Prompts of very different lengths, so that short rows have columns that old rows filled.
    sound = [[5], [5, 6, 7] * 8, [8, 9], [4] * 25]
    before = await poisoned.samples(*sound)
    events = await poisoned.run(*[[POISON] * 30] * 8)
    assert all(isinstance(event, FailedSample) for event in events)
    # The poison is no likeliest token of this model, so that only prompts hold it.
    assert not any(POISON in sample.token_ids for sample in before)
    after = await poisoned.samples(*sound)
    assert [sample.token_ids for sample in after] == [sample.token_ids for sample in before]


async def test_a_death_of_the_thread_is_told_to_all(folder: Path) -> None:
    loaded = small_llama(folder)
    running = Engine(loaded)
    loaded.model.lm_head.weight.data = torch.zeros(3)
    with pytest.raises(ServiceError) as caught:
        await running.run([5])
    assert caught.value.reason == "ENGINE_DEAD"
    assert "the engine died" in await running.engine.failed
    with pytest.raises(ServiceError) as caught:
        await running.run([5])
    assert caught.value.reason == "ENGINE_DEAD"
    with pytest.raises(ServiceError):
        running.engine.exchange([], WeightsRef("", 1, ""), InFlight.WAIT)
    await running.engine.close()


@pytest.mark.parametrize("shared_heads", [1, 2, 4])
async def test_shared_heads_give_what_a_full_forward_gives(folder: Path, shared_heads: int) -> None:
    loaded = small_llama(folder, shared_heads)
    running = Engine(loaded)
    for sample in await running.samples([5, 6, 7], [8] * 20):
        ids = torch.tensor([[*sample.prompt.token_ids, *sample.token_ids]])
        with torch.inference_mode():
            logits = loaded.model(input_ids=ids).logits[0]
        start = len(sample.prompt.token_ids) - 1
        probs = logits[start:-1].softmax(dim=-1)
        entropies = torch.special.entr(probs).sum(dim=-1)
        assert sample.entropies == pytest.approx(entropies.tolist(), abs=1e-5)
    await running.engine.close()


async def test_a_large_prompt_group_keeps_its_first_pass(folder: Path) -> None:
    running = Engine(small_llama(folder))
    sampling = Sampling(min_tokens=9, max_tokens=9)
    task = PromptTask(
        prompt_id="group",
        token_ids=(5, 6, 7, 8),
        sampling=sampling,
        sample_indices=tuple(range(30)),
        seeds=tuple(range(30)),
    )
    events = [e async for e in running.engine.generate(GenerateTask(prompts=[task])).events()]
    together = {e.sample_index: e.token_ids for e in events if isinstance(e, FinishedSample)}
    assert sorted(together) == list(range(30))
    for seed in (0, 17, 29):
        alone = PromptTask(
            prompt_id="group",
            token_ids=task.token_ids,
            sampling=sampling,
            sample_indices=(seed,),
            seeds=(seed,),
        )
        generation = running.engine.generate(GenerateTask(prompts=[alone]))
        [event] = [event async for event in generation.events()]
        assert isinstance(event, FinishedSample)
        assert event.token_ids == together[seed]
    await running.engine.close()


def test_attention_windows_are_refused_unless_the_context_fits(folder: Path) -> None:
    settings = json.loads((folder / "config.json").read_text())
    window = {
        "model_type": "mistral",
        "architectures": ["MistralForCausalLM"],
        "sliding_window": 64,
    }
    (folder / "config.json").write_text(json.dumps({**settings, **window}))
    with pytest.raises(ConfigError, match="context_length: the model's attention window is 64"):
        loaded_from(folder)
    config = {"model": {"path": str(folder)}, "context_length": 64}
    assert load_model(RolloutServerConfig.model_validate(config)).context_length == 64


def test_other_models_than_llama_load(folder: Path) -> None:
    config = GemmaConfig(
        vocab_size=32,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=64,
        eos_token_id=[2, 3],
    )
    make: Any = GemmaForCausalLM
    make(config).save_pretrained(folder)
    (folder / "generation_config.json").unlink()
    loaded = loaded_from(folder)
    assert loaded.end_token_ids == (2, 3)
    assert loaded.tied_names == {"lm_head.weight"}


def test_the_config_chooses_the_type_of_the_weights(folder: Path) -> None:
    assert loaded_from(folder).dtype == torch.float32
    assert loaded_from(folder, dtype="bfloat16").dtype == torch.bfloat16


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def unknown_architecture(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "no-such-thing"}')


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def broken_weights(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"these are no weights")


def fewer_weights(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def other_shapes(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.zeros(3)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()


def no_folder(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "spoil",
    [
        no_folder,
        no_config,
        broken_config,
        unknown_architecture,
        no_weights,
        broken_weights,
        fewer_weights,
        other_shapes,
        no_tokenizer,
    ],
)
def test_a_folder_that_holds_no_model_is_told_in_one_line(folder: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(folder)
    with pytest.raises(ConfigError) as caught:
        loaded_from(folder)
    assert str(caught.value).startswith("model.path: ")
    assert str(folder) in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"context_length": 1000}, "context_length: 1000 is more than the 256"),
        ({"model": {"device": "cuda:99"}}, "model.device: "),
        ({"model": {"device": "nonsense"}}, "model.device: "),
        ({"model": {"path": "someone/something"}}, "allow_hub: true"),
    ],
)
def test_settings_that_cannot_be_are_told(settings: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_model(RolloutServerConfig.model_validate(settings))
    assert expected in str(caught.value)
