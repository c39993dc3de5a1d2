"""Where things lie in a run's folder."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trimtab.errors import Reason, ServiceError
from trimtab.records.files import append_json_line, read_json_lines, write_atomically
from trimtab.records.samples import SampleRecord, write_samples

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9._-]{0,99}){0,4}")
_SAMPLES_NAME = re.compile(r"step-(\d{6,})[-.]")


class RunFolder:
    """`runs/<name>/`: config, metrics, samples, evaluations, checkpoints, state."""

    def __init__(self, path: Path) -> None:
        """Names the folder; nothing is created yet."""
        self.path = path

    @classmethod
    def below(cls, root: Path, name: str) -> RunFolder:
        """The folder of the run `name`.

        Raises:
            ServiceError: INVALID_FIELD; the name could leave the root or is no file name.
        """
        if not _NAME.fullmatch(name):
            raise ServiceError(
                Reason.INVALID_FIELD,
                f"{name!r} is no name of a run: use letters, digits, '.', '_' and '-', "
                "parts separated by '/'",
                field="name",
            )
        return cls(root / name)

    @property
    def state_path(self) -> Path:
        """The run's state; a folder with this file is a run."""
        return self.path / "state.json"

    @property
    def config_path(self) -> Path:
        """The resolved config."""
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        """One line a training step, one column a metric."""
        return self.path / "metrics.jsonl"

    @property
    def eval_metrics_path(self) -> Path:
        """One line an evaluation of a data set."""
        return self.path / "eval" / "metrics.jsonl"

    @property
    def weights_path(self) -> Path:
        """One line a training step: lineage and digest of the weights that it left."""
        return self.path / "weights.jsonl"

    @property
    def tensorboard_path(self) -> Path:
        """Event files for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def checkpoints_path(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def samples_path(self, step: int) -> Path:
        """The samples of a training step."""
        return self.path / "samples" / f"step-{step:06d}.parquet"

    def eval_samples_path(self, step: int, dataset: str) -> Path:
        """The samples of an evaluation."""
        return self.path / "eval" / f"step-{step:06d}-{dataset}.parquet"

    def rescored_path(self, name: str) -> Path:
        """What judging the samples again gave."""
        return self.path / "rescored" / f"{name}.parquet"

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Replaces the state."""
        write_atomically(self.state_path, json.dumps(state, indent=1).encode())

    def read_state(self) -> dict[str, Any]:
        """The state as it was last written; empty if there is none."""
        try:
            state = json.loads(self.state_path.read_bytes())
        except (OSError, ValueError):
            return {}
        return state if isinstance(state, dict) else {}

    def append_metrics(self, step: int, metrics: Mapping[str, float]) -> str:
        """Records a training step; gives the time of the record in ISO 8601."""
        now = _now()
        append_json_line(self.metrics_path, {"step": step, "time": now, **metrics})
        return now

    def append_evaluation(self, step: int, dataset: str, metrics: Mapping[str, float]) -> str:
        """Records an evaluation of a data set after a step; gives the time in ISO 8601."""
        now = _now()
        row = {"step": step, "dataset": dataset, "time": now, **metrics}
        append_json_line(self.eval_metrics_path, row)
        return now

    def append_weights(self, step: int, lineage: str, digest: str) -> None:
        """Records which weights a training step left."""
        append_json_line(self.weights_path, {"step": step, "lineage": lineage, "digest": digest})

    def weights(self) -> Iterator[dict[str, Any]]:
        """The weights after each recorded step."""
        return read_json_lines(self.weights_path)

    def metrics(self) -> Iterator[dict[str, Any]]:
        """The recorded training steps."""
        return read_json_lines(self.metrics_path)

    def evaluations(self) -> Iterator[dict[str, Any]]:
        """The recorded evaluations."""
        return read_json_lines(self.eval_metrics_path)

    def write_samples(self, step: int, records: Sequence[SampleRecord]) -> None:
        """Records a training step's samples."""
        write_samples(self.samples_path(step), records)

    def write_eval_samples(self, step: int, dataset: str, records: Sequence[SampleRecord]) -> None:
        """Records an evaluation's samples."""
        write_samples(self.eval_samples_path(step, dataset), records)

    def roll_back(self, step: int) -> int:
        """Moves what was recorded after `step` to `rolled_back/<n>/`; gives the last step of it.

        Gives `step` itself if nothing was recorded after it.
        """
        tables = {
            path: list(read_json_lines(path))
            for path in (self.metrics_path, self.eval_metrics_path, self.weights_path)
        }
        late_files = [
            path
            for pattern in ("samples/step-*.parquet", "eval/step-*.parquet")
            for path in self.path.glob(pattern)
            if (found := _SAMPLES_NAME.match(path.name)) and int(found[1]) > step
        ]
        late_rows = any(row["step"] > step for rows in tables.values() for row in rows)
        if not late_rows and not late_files:
            return step
        last = max((int(row["step"]) for row in tables[self.metrics_path]), default=0)
        archive = self._next_archive()
        for path in late_files:
            target = archive / path.relative_to(self.path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(path, target)
        for path, rows in tables.items():
            self._split_lines(path, rows, step, archive)
        write_atomically(
            archive / "rollback.json",
            json.dumps({"step": step, "rolled_back_step": max(last, step)}).encode(),
        )
        return max(last, step)

    def rollbacks(self) -> list[dict[str, Any]]:
        """What resumes took back, oldest first: `step` and `rolled_back_step`."""
        paths = sorted(self.path.glob("rolled_back/*/rollback.json"), key=_archive_number)
        return [json.loads(path.read_bytes()) for path in paths]

    def _next_archive(self) -> Path:
        numbers = [
            int(path.name) for path in self.path.glob("rolled_back/*") if path.name.isdigit()
        ]
        archive = self.path / "rolled_back" / str(max(numbers, default=0) + 1)
        archive.mkdir(parents=True)
        return archive

    def _split_lines(
        self, path: Path, rows: Sequence[Mapping[str, Any]], step: int, archive: Path
    ) -> None:
        late = [row for row in rows if row["step"] > step]
        if late:
            kept = [row for row in rows if row["step"] <= step]
            write_atomically(archive / path.relative_to(self.path), _lines(late))
            write_atomically(path, _lines(kept))


def _lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _archive_number(path: Path) -> int:
    return int(path.parent.name)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
