"""What a report needs of a run, read from its folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.config.base import read_yaml
from trimtab.errors import ConfigError
from trimtab.records import RunFolder
from trimtab.report.answers import Comparison, compare_answers

Series = list[tuple[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """A data set's first and last evaluation in a run."""

    dataset: str
    """As the config names it."""
    before: Mapping[str, Any]
    """The first row of `eval/metrics.jsonl`."""
    after: Mapping[str, Any] | None
    """The last row; None if there is only one."""
    answers: Comparison
    """What the samples of both say."""

    @property
    def k(self) -> int:
        """Samples of one problem."""
        return int(self.before.get("k", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """A run as its folder tells of it."""

    folder: RunFolder
    """Where it was read."""
    label: str
    """Tells it apart from the other runs of the report."""
    objective: str
    """Its objective in a few words."""
    model: str
    """The model that was trained."""
    state: str
    """How it stands, as "finished"."""
    seed: int | None
    """Root of what was drawn."""
    metrics: Sequence[Mapping[str, Any]]
    """The training steps."""
    evaluated: Sequence[Evaluated] = field(default=())
    """One entry a data set."""

    def series(self, name: str) -> Series:
        """A metric over the steps that recorded a finite value of it."""
        return [
            (int(row["step"]), float(row[name]))
            for row in self.metrics
            if is_number(row.get(name)) and is_number(row.get("step"))
        ]

    def total(self, name: str) -> float:
        """A metric's sum over the steps."""
        return math.fsum(value for _, value in self.series(name))


def is_number(value: object) -> bool:
    """True for a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def find_runs(path: Path) -> list[RunFolder]:
    """The run in this folder, or else those right below it, by name.

    Raises:
        ConfigError: there is none.
    """
    if not path.is_dir():
        raise ConfigError(f"there is no folder {path}")
    found = [RunFolder(path)] if _is_run(path) else []
    if not found:
        found = [RunFolder(child) for child in sorted(path.iterdir()) if _is_run(child)]
    if not found:
        raise ConfigError(
            f"{path} is not a run's folder and holds none: there is no state.json or metrics.jsonl"
        )
    return found


def _is_run(path: Path) -> bool:
    folder = RunFolder(path)
    return folder.state_path.is_file() or folder.metrics_path.is_file()


def read_runs(folders: Sequence[RunFolder]) -> list[RunData]:
    """The runs in the order given, each with a label of its own.

    Raises:
        ConfigError: a run's config cannot be read.
    """
    labels = _labels([folder.path.resolve() for folder in folders])
    return [_read(folder, label) for folder, label in zip(folders, labels, strict=True)]


def _labels(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    longest = max((len(path.parts) for path in paths), default=1)
    for count in range(1, longest + 1):
        labels = ["/".join(path.parts[-count:]) for path in paths]
        if len(set(labels)) == len(labels):
            return labels
    return [f"{path.name} ({number})" for number, path in enumerate(paths, start=1)]


def _read(folder: RunFolder, label: str) -> RunData:
    config = read_yaml(folder.config_path) if folder.config_path.is_file() else {}
    seed = config.get("seed")
    return RunData(
        folder=folder,
        label=label,
        objective=_objective(_mapping(config.get("objective"))),
        model=str(_mapping(config.get("model")).get("path", "")),
        state=str(folder.read_state().get("state", "")),
        seed=seed if isinstance(seed, int) else None,
        metrics=list(folder.metrics()),
        evaluated=_evaluated(folder),
    )


def _objective(config: Mapping[str, Any]) -> str:
    if config.get("preset"):
        return str(config["preset"])
    parts = [_mapping(config.get(part)).get("name") for part in ("advantage", "loss")]
    parts.append(_mapping(config.get("token_weight")).get("name"))
    return " + ".join(str(part) for part in parts if part)


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _evaluated(folder: RunFolder) -> list[Evaluated]:
    by_dataset: dict[str, list[dict[str, Any]]] = {}
    for row in folder.evaluations():
        if "dataset" in row and is_number(row.get("step")):
            by_dataset.setdefault(str(row["dataset"]), []).append(row)
    result = []
    for dataset, rows in by_dataset.items():
        first, last = rows[0], rows[-1]
        after = last if last["step"] != first["step"] else None
        paths = [folder.eval_samples_path(int(row["step"]), dataset) for row in (first, last)]
        result.append(
            Evaluated(
                dataset=dataset,
                before=first,
                after=after,
                answers=compare_answers(paths[0], paths[1] if after else None),
            )
        )
    return result
