"""From logits to what objectives need of each token."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class TokenStatistics:
    """One value a token, of softmax(logits / temperature); nats."""

    logp: torch.Tensor
    """Log-prob of the token; the gradient flows through it."""
    entropy: torch.Tensor
    """Entropy over the vocabulary; no gradient."""
    s2: torch.Tensor
    """Sum over the vocabulary of p^2 (ln p + entropy); no gradient."""


def token_statistics(
    logits: torch.Tensor, tokens: torch.Tensor, *, temperature: float
) -> TokenStatistics:
    """The statistics of each token, in float32 at least.

    `logits` is [..., V] and `tokens` [...]; results are [...].
    """
    scaled = logits if logits.dtype == torch.float64 else logits.float()
    if temperature != 1.0:
        scaled = scaled / temperature
    log_norm = torch.logsumexp(scaled, dim=-1)
    logp = scaled.gather(-1, tokens.unsqueeze(-1)).squeeze(-1) - log_norm
    with torch.no_grad():
        log_probs = scaled - log_norm.unsqueeze(-1)
        probs = log_probs.exp()
        # A logit of -inf has probability 0 and adds nothing; 0 * -inf would add NaN.
        log_probs.clamp_(min=torch.finfo(log_probs.dtype).min)
        entropy = -(probs * log_probs).sum(dim=-1)
        s2 = (probs.square() * (log_probs + entropy.unsqueeze(-1))).sum(dim=-1)
    return TokenStatistics(logp=logp, entropy=entropy, s2=s2)
