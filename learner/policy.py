"""The model that is trained: loading, forward passes, its weights as bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from learner.samples import TrainingSample
from learner.vocabulary import token_statistics
from trimtab.config.run import RunModelConfig
from trimtab.errors import Reason, ServiceError
from trimtab.weights.torch_bytes import to_bytes, torch_dtype, unique_parameters
from trimtab.weights.transfer import TensorBytes


@dataclass(slots=True, kw_only=True)
class RowStatistics:
    """What a forward pass gives for B rows; [B, T], zeros where masked."""

    mask_BT: torch.Tensor
    """1 on tokens that the policy drew."""
    logp_BT: torch.Tensor
    """Their log-probs."""
    entropy_BT: torch.Tensor
    """Entropies of their positions."""
    s2_BT: torch.Tensor
    """Sums over the vocabulary of p^2 (ln p + entropy)."""


class Policy:
    """A causal language model on one device."""

    def __init__(self, model: Any, tokenizer: Any, device: torch.device) -> None:
        """Takes over a model that is on the device already."""
        self.model = model
        self.tokenizer = tokenizer
        self.device = device

    @classmethod
    def load(cls, folder: str, config: RunModelConfig, *, allow_hub: bool) -> Policy:
        """Loads model and tokenizer.

        Raises:
            ServiceError: MODEL_NOT_FOUND; the folder or hub id holds no model that loads.
        """
        device = _device(config.device)
        transformers_logging: Any = transformers.utils.logging
        transformers_logging.set_verbosity_error()
        transformers_logging.disable_progress_bar()
        try:
            model: Any = transformers.AutoModelForCausalLM.from_pretrained(
                folder,
                dtype=torch_dtype(config.dtype),
                local_files_only=not allow_hub,
                trust_remote_code=False,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                folder, local_files_only=not allow_hub, trust_remote_code=False
            )
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            first_line = str(error).strip().splitlines()[0] if str(error).strip() else ""
            raise ServiceError(
                Reason.MODEL_NOT_FOUND,
                f"cannot load {folder}: {first_line or type(error).__name__}",
                field="model.path",
            ) from error
        if config.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        model.config.use_cache = False
        # Dropout would make the policy that trains another one than the policy that sampled.
        model.eval()
        return cls(model.to(device), tokenizer, device)

    @property
    def context_length(self) -> int:
        """Most tokens of one sequence."""
        return int(getattr(self.model.config, "max_position_embeddings", 1 << 30))

    @property
    def vocabulary_size(self) -> int:
        """Number of logits."""
        return int(self.model.config.vocab_size)

    def statistics(
        self, samples: Sequence[TrainingSample], *, temperature: float, gradient: bool
    ) -> RowStatistics:
        """Log-probs and entropies of the samples' own tokens, padded to B rows."""
        tokens_BL, loss_mask_BL = self._padded(samples)
        first = min(sample.first_loss_index for sample in samples)
        length = tokens_BL.shape[1]
        keep = torch.arange(first - 1, length - 1, device=self.device)
        mask_BT = loss_mask_BL[:, first:]
        targets_BT = tokens_BL[:, first:]
        with contextlib.nullcontext() if gradient else torch.no_grad():
            # Padding is on the right, where causal attention never looks: no mask is needed.
            logits_BTV = self.model(
                input_ids=tokens_BL, logits_to_keep=keep, use_cache=False
            ).logits
            chosen = token_statistics(
                logits_BTV[mask_BT], targets_BT[mask_BT], temperature=temperature
            )
            return RowStatistics(
                mask_BT=mask_BT.float(),
                logp_BT=_scattered(chosen.logp, mask_BT),
                entropy_BT=_scattered(chosen.entropy, mask_BT),
                s2_BT=_scattered(chosen.s2, mask_BT),
            )

    def _padded(self, samples: Sequence[TrainingSample]) -> tuple[torch.Tensor, torch.Tensor]:
        length = max(len(sample.token_ids) for sample in samples)
        tokens_BL = torch.zeros(len(samples), length, dtype=torch.long)
        mask_BL = torch.zeros(len(samples), length, dtype=torch.bool)
        for row, sample in enumerate(samples):
            size = len(sample.token_ids)
            tokens_BL[row, :size] = torch.as_tensor(sample.token_ids)
            mask_BL[row, :size] = torch.as_tensor(sample.loss_mask)
        return tokens_BL.to(self.device), mask_BL.to(self.device)

    def weights(self, dtype: str) -> list[TensorBytes]:
        """A copy of the weights as they travel, tied tensors once."""
        parameters = unique_parameters(self.model)
        return [to_bytes(name, tensor, torch_dtype(dtype)) for name, tensor in parameters.items()]

    def save(self, folder: Path) -> None:
        """Writes an ordinary Hugging Face folder."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def _scattered(values_N: torch.Tensor, mask_BT: torch.Tensor) -> torch.Tensor:
    """The values at the mask's places, zeros elsewhere."""
    empty = torch.zeros(mask_BT.shape, dtype=values_N.dtype, device=values_N.device)
    return empty.masked_scatter(mask_BT, values_N)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ServiceError(
            Reason.CONFIG_INVALID,
            f"{name!r} is no device: use auto, cpu or cuda",
            field="model.device",
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ServiceError(
            Reason.CONFIG_INVALID,
            "there is no CUDA device here: use auto or cpu",
            field="model.device",
        )
    return device
