"""How much a policy-gradient step on one token changes the entropy at its position.

All estimates are per unit of learning rate, in nats, for a softmax row whose own logits move.
Derivation: H's derivative by logit v is -p_v (ln p_v + H) (arXiv 2510.10150, section 3).
"""

from __future__ import annotations

import torch

_SMALLEST = 1e-8


def sampled_logit_response(logp: torch.Tensor, entropy: torch.Tensor) -> torch.Tensor:
    """p (1 - p) (ln p + H): the response to the sampled token's logit alone."""
    p = logp.exp()
    return p * (1 - p) * (logp + entropy)


def full_response(logp: torch.Tensor, entropy: torch.Tensor, s2: torch.Tensor) -> torch.Tensor:
    """p (ln p + H) - S2: the response when a gradient step moves all logits of the row."""
    return logp.exp() * (logp + entropy) - s2


def theorem_change(
    logp: torch.Tensor, entropy: torch.Tensor, advantages: torch.Tensor, ratio: torch.Tensor
) -> torch.Tensor:
    """The estimate of the paper's theorem: -A r p (1 - p) (ln p + H)."""
    return -advantages * ratio * sampled_logit_response(logp, entropy)


def released_change(
    logp: torch.Tensor, old_logp: torch.Tensor, entropy: torch.Tensor, advantages: torch.Tensor
) -> torch.Tensor:
    """What the authors' code computes: A / p_old where the theorem has A p / p_old."""
    p = logp.exp().clamp(_SMALLEST, 1 - _SMALLEST)
    response = p * (1 - p) * (p.log() + entropy)
    return -advantages / old_logp.exp().clamp(_SMALLEST, 1.0) * response


def exact_change(
    logp: torch.Tensor,
    entropy: torch.Tensor,
    s2: torch.Tensor,
    advantages: torch.Tensor,
    ratio: torch.Tensor,
) -> torch.Tensor:
    """First order with all logits of the row: -A r (p (ln p + H) - S2)."""
    return -advantages * ratio * full_response(logp, entropy, s2)


def predicted_mean_change(
    loss_gradient_BT: torch.Tensor,
    logp_BT: torch.Tensor,
    entropy_BT: torch.Tensor,
    s2_BT: torch.Tensor,
    mask_BT: torch.Tensor,
    num_tokens: float,
) -> torch.Tensor:
    """Change of the mean entropy per unit of learning rate under plain gradient descent.

    `loss_gradient_BT` is the derivative of the step's loss by `logp_BT`; rows are taken to move
    independently, so optimiser and shared parameters add a factor of their own.
    """
    response_BT = full_response(logp_BT, entropy_BT, s2_BT)
    return (loss_gradient_BT * response_BT * mask_BT).sum() / num_tokens
