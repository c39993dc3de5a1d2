"""Samples on their way into a training step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(slots=True, kw_only=True)
class TrainingSample:
    """One token sequence with its reward. Per-token lists are as long as `token_ids`."""

    id: str
    """Unique in one step."""
    group_id: str
    """Samples of one prompt share it."""
    token_ids: Sequence[int]
    """Prompt, replies and tool outputs."""
    loss_mask: Sequence[bool]
    """True on tokens that the policy drew; never on the first token."""
    reward: float | None
    """None if the sample is invalid."""
    rollout_logprobs: Sequence[float] = ()
    """As the sampler reported them; empty: unknown."""
    rollout_entropies: Sequence[float] = ()
    """As the sampler reported them, exact; empty: unknown."""
    given_advantages: Sequence[float] = ()
    """Advantages that the caller computed; empty: computed from rewards."""
    advantage: float | None = None
    """Set by training: the advantage against the group."""
    token_weights: Sequence[float] = field(default=())
    """Set by training: weight of each loss token in the last pass, in token order."""

    @property
    def valid(self) -> bool:
        """True if the sample may be trained on."""
        return self.reward is not None or bool(self.given_advantages)

    @property
    def first_loss_index(self) -> int:
        """Index of the first token that the policy drew."""
        return int(np.argmax(np.asarray(self.loss_mask, dtype=bool)))

    @property
    def num_loss_tokens(self) -> int:
        """Tokens that the policy drew."""
        return int(np.count_nonzero(self.loss_mask))


def micro_batches(samples: Sequence[TrainingSample], max_tokens: int) -> list[list[TrainingSample]]:
    """Samples of like length together, each batch within `max_tokens` padded tokens.

    A sample that is longer by itself gets a batch of its own.
    """
    batches: list[list[TrainingSample]] = []
    for sample in sorted(samples, key=lambda sample: len(sample.token_ids), reverse=True):
        # The first sample of a batch is its longest: it decides how wide all rows are.
        if batches and len(batches[-1][0].token_ids) * (len(batches[-1]) + 1) <= max_tokens:
            batches[-1].append(sample)
        else:
            batches.append([sample])
    return batches
