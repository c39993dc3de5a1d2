"""What the numbers of the runs say, in sentences, and how sure they are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from trimtab.report.runs import Evaluated, RunData, Series

_MIN_POINTS = 3
_ALIKE = 0.05


def entropy_changes(run: RunData) -> list[tuple[float, float]]:
    """Predicted and measured change of the entropy, one pair a step that recorded both."""
    measured = dict(run.series("entropy/change_measured"))
    return [
        (predicted, measured[step])
        for step, predicted in run.series("entropy/change_predicted")
        if step in measured
    ]


def pearson(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Correlation of the pairs; None for fewer than three, or where one side is constant."""
    if len(pairs) < _MIN_POINTS:
        return None
    values = np.asarray(pairs, dtype=np.float64)
    values -= values.mean(axis=0)
    norms = np.sqrt((values**2).sum(axis=0))
    if not norms.all():
        return None
    return float((values[:, 0] * values[:, 1]).sum() / norms.prod())


def paired_difference(
    first: Mapping[str, float], second: Mapping[str, float]
) -> tuple[float, float] | None:
    """Mean of second - first over the problems of both, and its standard error."""
    shared = sorted(first.keys() & second.keys())
    if len(shared) < 2:
        return None
    differences = np.array([second[name] - first[name] for name in shared])
    error = float(differences.std(ddof=1)) / math.sqrt(len(shared))
    return float(differences.mean()), error


def findings(runs: Sequence[RunData]) -> list[str]:
    """A paragraph on reward and entropy of each run, and one on how much the runs differ."""
    paragraphs = [_joined([_reward_sentence(run), _entropy_sentence(run)]) for run in runs]
    differences = []
    names = list(dict.fromkeys(item.dataset for run in runs for item in run.evaluated))
    for first, second in itertools.combinations(runs, 2):
        differences += [_difference_sentence(first, second, name) for name in names]
        differences.append(_entropy_difference_sentence(first, second))
    told = _joined(differences)
    if told:
        paragraphs.append(
            f"{told} Each run is one draw of the training's own luck, which these margins leave "
            "out: only repeats with other seeds can tell a method's effect from it."
        )
    return [paragraph for paragraph in paragraphs if paragraph]


def _joined(sentences: Sequence[str]) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def _reward_sentence(run: RunData) -> str:
    told = []
    for item in run.evaluated:
        if item.after is None:
            continue
        before, after = _number(item.before, "mean_at_k"), _number(item.after, "mean_at_k")
        if before is None or after is None:
            continue
        difference = paired_difference(item.answers.accuracy_before, item.answers.accuracy_after)
        margin = ""
        if difference is not None:
            margin = f" ({after - before:+.3f}, standard error over problems {difference[1]:.3f})"
        told.append(
            f"mean@{item.k} on {item.dataset} {_moved(before, after)} from {before:.3f} to "
            f"{after:.3f}{margin}"
        )
    if told:
        return f"{run.label}: {'; '.join(told)}."
    ends = _ends(run.series("reward/mean"))
    if ends is None:
        return f"{run.label} recorded no rewards."
    return (
        f"{run.label}: the reward of training samples {_moved(*ends)} from {ends[0]:.3f} to "
        f"{ends[1]:.3f} (means of the first and last tenth of the steps)."
    )


def _entropy_sentence(run: RunData) -> str:
    ends = _ends(run.series("policy/entropy"))
    if ends is None:
        return ""
    before, after = ends
    share = f", {abs(after - before) / before:.0%}" if before > 0 else ""
    return (
        f"The policy's entropy in training {_moved(before, after)} from {before:.3f} to "
        f"{after:.3f} nats a token ({after - before:+.3f}{share}; means of the first and last "
        "tenth of the steps)."
    )


def _difference_sentence(first: RunData, second: RunData, dataset: str) -> str:
    items = [_item(run, dataset) for run in (first, second)]
    if items[0] is None or items[1] is None:
        return ""
    if items[0].after is None or items[1].after is None:
        return ""
    difference = paired_difference(items[0].answers.accuracy_after, items[1].answers.accuracy_after)
    if difference is None:
        return ""
    mean, error = difference
    names = f"{second.label} minus {first.label}"
    start = f"After training, mean@{items[0].k} on {dataset} differs by {mean:+.3f} ({names})"
    if abs(mean) <= 2 * error:
        return (
            f"{start}, which is within two standard errors over problems ({2 * error:.3f}): "
            "these runs do not tell the objectives apart in accuracy."
        )
    return f"{start}, which is more than two standard errors over problems ({2 * error:.3f})."


def _entropy_difference_sentence(first: RunData, second: RunData) -> str:
    ends = [_ends(run.series("policy/entropy")) for run in (first, second)]
    if ends[0] is None or ends[1] is None:
        return ""
    changes = [after - before for before, after in (ends[0], ends[1])]
    gap = changes[1] - changes[0]
    largest = max(abs(change) for change in changes)
    if abs(gap) < _ALIKE * largest or largest == 0:
        return (
            f"The training entropy of both changed alike: by {changes[0]:+.3f} ({first.label}) and "
            f"{changes[1]:+.3f} nats a token ({second.label})."
        )
    higher, lower = (second, first) if gap > 0 else (first, second)
    return (
        f"{higher.label} kept {abs(gap):.3f} nats a token more of its training entropy than "
        f"{lower.label}, which is {abs(gap) / largest:.0%} of the larger change."
    )


def _moved(before: float, after: float) -> str:
    if abs(after - before) < 0.0005:
        return "stayed"
    return "rose" if after > before else "fell"


def _ends(series: Series) -> tuple[float, float] | None:
    """Means of the first and of the last tenth of the steps."""
    if not series:
        return None
    count = max(1, len(series) // 10)
    values = [value for _, value in series]
    return float(np.mean(values[:count])), float(np.mean(values[-count:]))


def _item(run: RunData, dataset: str) -> Evaluated | None:
    return next((item for item in run.evaluated if item.dataset == dataset), None)


def _number(row: Mapping[str, object], name: str) -> float | None:
    value = row.get(name)
    return float(value) if isinstance(value, int | float) else None
