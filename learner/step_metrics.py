"""Metrics of a step's samples: rewards, lengths, outcomes, mismatch."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from learner.collecting import ScoredSample
from trimtab.records import SampleRecord


def sample_metrics(
    records: Sequence[SampleRecord], usable: Sequence[ScoredSample], counts: Mapping[str, int]
) -> dict[str, float]:
    """By name; rewards are means over valid samples, shares are of all samples."""
    rewards = np.array([record.reward for record in records if record.reward is not None])
    lengths = np.array([len(record.token_ids) for record in records if len(record.token_ids)])
    groups: dict[str, list[float]] = defaultdict(list)
    for sample in usable:
        groups[sample.training.group_id].append(sample.training.reward or 0.0)
    total = max(len(records), 1)
    outcomes = Counter(record.outcome for record in records if record.outcome)
    metrics = {name: float(value) for name, value in counts.items()}
    metrics |= {f"outcome/{name}": count / total for name, count in outcomes.items()}
    metrics |= {
        "reward/mean": float(rewards.mean()) if rewards.size else 0.0,
        "reward/std": float(rewards.std()) if rewards.size else 0.0,
        "reward/frac_zero_std": _share(len(set(group)) == 1 for group in groups.values()),
        "samples/trained": float(len(usable)),
        "samples/total": float(len(records)),
        "samples/invalid_share": (len(records) - rewards.size) / total,
    }
    if lengths.size:
        metrics |= {
            "length/mean": float(lengths.mean()),
            "length/p95": float(np.percentile(lengths, 95)),
            "length/clipped_frac": _share(record.finish_reason == "length" for record in records),
        }
    entropies = [record.entropies for record in records if len(record.entropies)]
    if entropies:
        metrics["rollout/entropy"] = float(np.concatenate(entropies).mean())
    return metrics


def _share(flags: Iterable[bool]) -> float:
    values = list(flags)
    return sum(values) / len(values) if values else 0.0
