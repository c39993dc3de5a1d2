"""Forward passes: whole prompts at first, then one token a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from rollout_server.transformers_engine.kv_cache import RowCache


@dataclass(frozen=True, slots=True)
class Prefilled:
    """What the forward pass over prompts left behind. Prompts are padded on the left."""

    layers: list[tuple[Tensor, Tensor]]
    """Keys and values of each layer, [P, heads, T, width of a head]."""
    logits_PV: Tensor
    """Logits after the last token of each prompt."""
    hidden_PD: Tensor | None
    """Last layer's state at the last token of each prompt, if asked for."""
    lengths: tuple[int, ...]
    """Tokens of each prompt."""

    @property
    def column_count(self) -> int:
        """T: tokens of the longest prompt."""
        return max(self.lengths)

    def only(self, index: int) -> Prefilled:
        """A copy of one prompt's part, without padding."""
        length = self.lengths[index]
        pick = slice(index, index + 1)
        return Prefilled(
            layers=[
                (keys[pick, :, -length:].clone(), values[pick, :, -length:].clone())
                for keys, values in self.layers
            ],
            logits_PV=self.logits_PV[pick].clone(),
            hidden_PD=None if self.hidden_PD is None else self.hidden_PD[pick].clone(),
            lengths=(length,),
        )


class ModelRunner:
    """Runs a causal language model of the transformers library."""

    def __init__(self, model: Any, *, device: torch.device) -> None:
        """`model` is on `device` and in evaluation mode; all its layers see the whole context."""
        self._model = model
        self._device = device
        layer_types = getattr(model.config.get_text_config(), "layer_types", None) or ()
        # Models with several kinds of layers take a mask of each; within the window all are equal.
        self._mask_kinds = tuple(sorted(set(layer_types)))

    def prefill(self, prompts: Sequence[Sequence[int]], *, hidden: bool) -> Prefilled:
        """Runs whole prompts at once."""
        lengths = tuple(len(prompt) for prompt in prompts)
        ids_PT, mask_PT = left_padded(prompts, device=self._device)
        padded = min(lengths) != max(lengths)
        positions_PT = (mask_PT.cumsum(dim=-1) - 1).clamp(min=0)
        cache: Any = DynamicCache(config=self._model.config)
        output = self._model(
            input_ids=ids_PT,
            attention_mask=mask_PT if padded else None,
            position_ids=positions_PT,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
            output_hidden_states=hidden,
        )
        return Prefilled(
            layers=[(layer.keys, layer.values) for layer in cache.layers],
            logits_PV=output.logits[:, -1],
            hidden_PD=output.hidden_states[-1][:, -1].float() if hidden else None,
            lengths=lengths,
        )

    def decode(
        self, token_ids_B: Tensor, first_B: Tensor, last_B: Tensor, cache: RowCache
    ) -> Tensor:
        """Runs one token a row and gives the logits [B, V].

        Row b's token goes to column `last_B[b]` and sees columns `first_B[b]` to `last_B[b]`.
        """
        used_T = int(last_B.max()) + 1
        columns_T = torch.arange(used_T, device=self._device)
        seen_BT = (columns_T >= first_B[:, None]) & (columns_T <= last_B[:, None])
        dtype = self._model.dtype
        mask_B11T = torch.where(seen_BT, 0.0, torch.finfo(dtype).min).to(dtype)[:, None, None]
        cache.begin_step(last_B, used_T)
        output = self._model(
            input_ids=token_ids_B[:, None],
            attention_mask=self._masks(mask_B11T),
            position_ids=(last_B - first_B)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        logits_BV: Tensor = output.logits[:, -1]
        return logits_BV

    def logprobs(self, token_ids: Sequence[int]) -> Tensor:
        """Log-probability of each token after the first, [len - 1], in nats, float32."""
        ids_1T = torch.tensor([list(token_ids)], device=self._device)
        logits_TV = self._model(input_ids=ids_1T, use_cache=False).logits[0, :-1].float()
        picked_T: Tensor = logits_TV.log_softmax(dim=-1).gather(-1, ids_1T[0, 1:, None])[:, 0]
        return picked_T

    def _masks(self, mask_B11T: Tensor) -> Tensor | dict[str, Tensor]:
        if len(self._mask_kinds) > 1:
            return dict.fromkeys(self._mask_kinds, mask_B11T)
        return mask_B11T


def left_padded(prompts: Sequence[Sequence[int]], *, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids and mask (int64, 1 where there is a token), both [P, T]; padding has id 0."""
    longest = max(len(prompt) for prompt in prompts)
    ids_PT = torch.zeros(len(prompts), longest, dtype=torch.int64)
    mask_PT = torch.zeros_like(ids_PT)
    for row, prompt in enumerate(prompts):
        ids_PT[row, longest - len(prompt) :] = torch.tensor(prompt)
        mask_PT[row, longest - len(prompt) :] = 1
    return ids_PT.to(device), mask_PT.to(device)
