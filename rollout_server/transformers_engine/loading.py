"""Reads a model, its tokenizer and its limits from the folder that the config names."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from rollout_server.transformers_engine.attention import GROUPED, register
from trimtab.config.rollout import RolloutServerConfig
from trimtab.errors import ConfigError, ServiceError
from trimtab.model_path import resolve_model
from trimtab.weights.digest import tensor_digest, weights_digest
from trimtab.weights.torch_bytes import to_bytes, torch_dtype, unique_parameters

_FEW_PARAMETERS = 20_000_000
"""Below this a forward pass is too short for several threads to help each other."""
_LOAD_ERRORS = (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError)
"""What transformers raises for folders that do not hold a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model that is ready to run."""

    name: str
    """As the config names it."""
    model: Any
    tokenizer: Any
    device: torch.device
    threads: int
    context_length: int
    vocabulary_size: int
    """Number of logits."""
    end_token_ids: tuple[int, ...]
    parameters: Mapping[str, Tensor]
    """By Hugging Face name, tied ones once."""
    tied_names: frozenset[str]
    """Names that share memory with one of `parameters`."""

    @property
    def dtype(self) -> torch.dtype:
        """Element type of the weights."""
        return next(iter(self.parameters.values())).dtype

    def decode(self, token_ids: Sequence[int]) -> str:
        """Their text, special tokens left out."""
        text: str = self.tokenizer.backend_tokenizer.decode(token_ids, skip_special_tokens=True)
        return text

    def digest(self) -> str:
        """Digest of the live weights, computed from their memory."""
        return weights_digest(
            {
                name: tensor_digest(to_bytes(name, tensor, tensor.dtype).data)
                for name, tensor in self.parameters.items()
            }
        )

    def probe_token_ids(self, count: int) -> tuple[int, ...]:
        """Tokens spread over the vocabulary, the same for every state of the weights."""
        return tuple(index * self.vocabulary_size // count for index in range(count))


def load_model(config: RolloutServerConfig) -> LoadedModel:
    """Loads what `config.model` names.

    Raises:
        ConfigError: there is no such model, its files are broken or incomplete, or it has layers
            that this engine cannot run.
    """
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    logging.captureWarnings(True)
    try:
        path = resolve_model(config.model.path, allow_hub=config.model.allow_hub)
    except ServiceError as error:
        raise ConfigError(error.message, field="model.path") from error
    device = _device(config.model.device)
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        settings = AutoConfig.from_pretrained(path, trust_remote_code=False)
        context_length = _context_length(settings, config.context_length)
        _check_layers(settings, context_length)
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=_dtype(config.model.dtype),
            attn_implementation=config.transformers.attn_implementation,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except _LOAD_ERRORS as error:
        raise _unreadable(path, error) from error
    model, report = loaded
    _check_complete(path, report, tokenizer)
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    if config.transformers.attn_implementation == "sdpa":
        register()
        model.set_attn_implementation(GROUPED)
    model = model.to(device).eval().requires_grad_(False)
    parameters = unique_parameters(model)
    every_name = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    return LoadedModel(
        name=config.model.path,
        model=model,
        tokenizer=tokenizer,
        device=device,
        threads=config.transformers.threads or _threads(model.num_parameters()),
        context_length=context_length,
        vocabulary_size=model.get_output_embeddings().weight.shape[0],
        end_token_ids=_end_token_ids(model, tokenizer),
        parameters=parameters,
        tied_names=frozenset(every_name - set(parameters)),
    )


def _check_complete(path: str, report: Mapping[str, Any], tokenizer: Any) -> None:
    missing = sorted(report["missing_keys"])
    if missing:
        raise ConfigError(
            f"{path} lacks weights of the model, {missing[0]!r} and {len(missing) - 1} more: "
            "the folder is incomplete",
            field="model.path",
        )
    if getattr(tokenizer, "backend_tokenizer", None) is None:
        raise ConfigError(
            f"{path} has no tokenizer.json: save the tokenizer in that form", field="model.path"
        )


def _unreadable(path: str, error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())
    return ConfigError(f"cannot load {path}: {reason[:300]}", field="model.path")


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{name!r} cannot be used: {reason}", field="model.device") from error
    return device


def _dtype(name: str) -> torch.dtype | str:
    return name if name == "auto" else torch_dtype(name)


def _threads(parameter_count: int) -> int:
    cores = len(os.sched_getaffinity(0))
    return 1 if parameter_count < _FEW_PARAMETERS else cores


def _context_length(settings: Any, wanted: int | None) -> int:
    made_for = getattr(settings.get_text_config(), "max_position_embeddings", None)
    if wanted is None:
        if made_for is None:
            raise ConfigError(
                "the model does not say what it was made for: set it", field="context_length"
            )
        return int(made_for)
    if made_for is not None and wanted > made_for:
        raise ConfigError(
            f"{wanted} is more than the {made_for} tokens that the model was made for",
            field="context_length",
        )
    return wanted


def _check_layers(settings: Any, context_length: int) -> None:
    """Refuses layers whose state is not the keys and values of the whole context."""
    text = settings.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    other = kinds - {"full_attention", "sliding_attention"}
    if other or settings.is_encoder_decoder:
        described = ", ".join(sorted(other)) or "an encoder"
        raise ConfigError(
            f"the transformers engine cannot run a model with {described}", field="model.path"
        )
    window = getattr(text, "sliding_window", None)
    slides = "sliding_attention" in kinds or not kinds
    if slides and window is not None and context_length > window:
        raise ConfigError(
            f"the model's attention window is {window} tokens: set context_length to at most that",
            field="context_length",
        )


def _end_token_ids(model: Any, tokenizer: Any) -> tuple[int, ...]:
    """The model's end tokens: of its generation config, else its config, else its tokenizer."""
    for source in (model.generation_config, model.config, tokenizer):
        ids = getattr(source, "eos_token_id", None)
        if ids is not None:
            return (ids,) if isinstance(ids, int) else tuple(ids)
    return ()
