"""The policy before a training step, as far as its samples need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from learner.policy import RowStatistics
from learner.samples import TrainingSample


@dataclass(slots=True)
class OldPolicy:
    """Log-probs and entropies by sample id, over the sample's own tokens."""

    logp: dict[str, torch.Tensor] = field(default_factory=dict)
    """Log-probs of the sample's tokens."""
    entropy: dict[str, torch.Tensor] = field(default_factory=dict)
    """Entropies at the sample's tokens."""

    def remember(self, samples: Sequence[TrainingSample], rows: RowStatistics) -> None:
        """Keeps the rows of samples that are not known yet."""
        for index, sample in enumerate(samples):
            if sample.id not in self.logp:
                mask_T = rows.mask_BT[index] > 0
                self.logp[sample.id] = rows.logp_BT[index][mask_T].detach()
                self.entropy[sample.id] = rows.entropy_BT[index][mask_T].detach()

    def remember_reported(self, samples: Sequence[TrainingSample], device: torch.device) -> None:
        """Keeps what the sampler reported, where it reported log-probs and exact entropies."""
        for sample in samples:
            if len(sample.rollout_logprobs) and len(sample.rollout_entropies):
                own = torch.as_tensor(sample.loss_mask, dtype=torch.bool)
                for kept, reported in (
                    (self.logp, sample.rollout_logprobs),
                    (self.entropy, sample.rollout_entropies),
                ):
                    values = torch.as_tensor(reported, dtype=torch.float32)
                    kept[sample.id] = values[own].to(device)

    def logp_rows(self, samples: Sequence[TrainingSample], mask_BT: torch.Tensor) -> torch.Tensor:
        """The samples' log-probs as rows, zeros where masked."""
        return _rows([self.logp[sample.id] for sample in samples], mask_BT)

    def entropy_rows(
        self, samples: Sequence[TrainingSample], mask_BT: torch.Tensor
    ) -> torch.Tensor:
        """The samples' entropies as rows, zeros where masked."""
        return _rows([self.entropy[sample.id] for sample in samples], mask_BT)

    def mean_entropy(self, samples: Sequence[TrainingSample]) -> float:
        """Mean over the samples' tokens, in nats."""
        return float(torch.cat([self.entropy[sample.id] for sample in samples]).mean())


def _rows(values: Sequence[torch.Tensor], mask_BT: torch.Tensor) -> torch.Tensor:
    flat = torch.cat(list(values))
    empty_BT = torch.zeros(mask_BT.shape, dtype=flat.dtype, device=flat.device)
    return empty_BT.masked_scatter(mask_BT > 0, flat)
