"""What the sampler shall compute, written slowly and plainly in float64."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Probs = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Params:
    temperature: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def softmax(logits: Sequence[float] | Probs, temperature: float = 1.0) -> Probs:
    scaled = np.asarray(logits, dtype=np.float64) / temperature
    weights: Probs = np.exp(scaled - scaled.max())
    probs: Probs = weights / weights.sum()
    return probs


def entropy(probs: Probs) -> float:
    return -sum(float(p) * math.log(p) for p in probs if p > 0)


def keep(probs: Probs, tokens: Collection[int]) -> Probs:
    kept = np.array([p if token in tokens else 0.0 for token, p in enumerate(probs.tolist())])
    renormalised: Probs = kept / kept.sum()
    return renormalised


def smallest_set(probs: Probs, share: float, keys: Sequence[float]) -> set[int]:
    """The first tokens by key, then by id, whose mass reaches the share."""
    chosen: set[int] = set()
    mass = 0.0
    for token in sorted(np.flatnonzero(probs).tolist(), key=lambda token: (keys[token], token)):
        if mass >= share:
            break
        chosen.add(token)
        mass += float(probs[token])
    return chosen


def final_distribution(
    logits: Sequence[float] | Probs, params: Params, forbidden: Collection[int] = ()
) -> Probs:
    """The distribution that a token is drawn from."""
    masked = np.array([-math.inf if i in forbidden else z for i, z in enumerate(logits)])
    if params.temperature == 0:
        return keep(np.ones(len(masked)), {int(masked.argmax())})
    probs = softmax(masked, params.temperature)
    floor = params.min_p * probs.max()
    probs = keep(probs, [token for token, p in enumerate(probs) if p >= floor])
    if params.typical_p < 1:
        level = entropy(probs)
        distances = [abs(-math.log(p) - level) if p > 0 else math.inf for p in probs]
        probs = keep(probs, smallest_set(probs, params.typical_p, distances))
    if params.top_k:
        masses = probs.tolist()
        ranked = sorted(range(len(probs)), key=lambda token: (-masses[token], token))
        probs = keep(probs, ranked[: params.top_k])
    if params.top_p < 1:
        probs = keep(probs, smallest_set(probs, params.top_p, [-p for p in probs]))
    return probs
