"""How token losses become one number, with the denominators of the whole optimiser step."""

from __future__ import annotations

import torch

from learner.batch import TokenBatch


def aggregate(
    losses_BT: torch.Tensor, batch: TokenBatch, mode: str, norm_length: int | None = None
) -> torch.Tensor:
    """The scalar loss; micro-batches of one optimiser step add up to the step's loss.

    `token-mean` (arXiv 2503.14476), `seq-mean-token-mean` (arXiv 2402.03300),
    `seq-mean-token-sum`, `seq-mean-token-sum-norm` (arXiv 2503.20783; `norm_length` is its
    constant).

    Raises:
        ValueError: the mode is not known, or its constant is missing.
    """
    masked_BT = losses_BT * batch.mask
    if mode == "token-mean":
        return masked_BT.sum() / batch.num_tokens
    if mode == "seq-mean-token-mean":
        lengths_B = batch.mask.sum(dim=1).clamp(min=1)
        return (masked_BT.sum(dim=1) / lengths_B).sum() / batch.num_sequences
    if mode == "seq-mean-token-sum":
        return masked_BT.sum() / batch.num_sequences
    if mode == "seq-mean-token-sum-norm" and norm_length is not None:
        return masked_BT.sum() / (batch.num_sequences * norm_length)
    raise ValueError(f"cannot aggregate with mode {mode!r} and norm_length {norm_length}")
