"""Attention of one new token a row without copying shared keys and values to every head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

GROUPED = "trimtab_grouped"
"""Name under which models can be told to use it."""


def register() -> None:
    """Makes `GROUPED` known to transformers."""
    AttentionInterface.register(GROUPED, grouped_attention)
    AttentionMaskInterface.register(GROUPED, sdpa_mask)


def grouped_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """As "sdpa". With one query a row, heads that share keys become queries of one head.

    Shapes: `query` [B, heads, Q, W], `key` and `value` [B, shared heads, T, W]; the result is
    [B, Q, heads, W].
    """
    rows, heads, queries, width = query.shape
    shared_heads = key.shape[1]
    if queries > 1 or heads == shared_heads or kwargs.get("position_bias") is not None:
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output
    result = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, shared_heads, heads // shared_heads, width),
        key,
        value,
        attn_mask=attention_mask,
        scale=scaling,
    )
    return result.reshape(rows, 1, heads, value.shape[-1]), None
