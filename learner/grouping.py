"""Which samples are trained on: valid ones, in groups that have enough of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from learner.collecting import ScoredSample

TOO_FEW_VALID = "too_few_valid"


def keep_usable_groups(samples: Sequence[ScoredSample], min_valid: int) -> list[ScoredSample]:
    """The samples to train on; the records of all others say why not."""
    valid_in_group = Counter(
        sample.training.group_id for sample in samples if sample.training.valid
    )
    kept = []
    for sample in samples:
        if not sample.training.valid:
            sample.record.state, sample.record.drop_reason = "dropped", sample.record.outcome
        elif valid_in_group[sample.training.group_id] < min_valid:
            sample.record.state, sample.record.drop_reason = "dropped", TOO_FEW_VALID
        else:
            kept.append(sample)
    return kept
