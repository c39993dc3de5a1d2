"""The samples that a run recorded, read back one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from trimtab.errors import ConfigError
from trimtab.records import RunFolder
from trimtab.scoring.files import unreadable
from trimtab.scoring.rows import Row

_NAME = re.compile(r"step-(\d{6,})(?:-(.+))?\.parquet")
_BATCH_ROWS = 256
_COLUMNS = (
    "step", "prompt_id", "sample_index", "state", "prompt", "response", "references", "token_ids",
    "outcome", "reward", "components", "extracted_answer", "verifier_version",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SampleFile:
    """A file of samples in a run's folder."""

    path: Path
    """Where it is."""
    name: str
    """The path within the run's folder."""
    step: int
    """The training step, or that after which the evaluation was done."""
    dataset: str
    """The evaluation's data set; empty for a training step."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A recorded sample."""

    file: SampleFile
    """Where it is recorded."""
    values: Mapping[str, Any]
    """The recorded columns that matter here."""
    token_count: int
    """Tokens that were generated."""

    @property
    def components(self) -> dict[str, float]:
        """The reward's parts by verifier."""
        return dict(self.values["components"] or ())

    def row(self, number: int) -> Row:
        """The sample as the learner had it judged."""
        values = self.values
        return Row(
            number=number,
            response=values["response"] or "",
            references=values["references"] or (),
            prompt=values["prompt"] or "",
            metadata={"token_count": self.token_count},
        )


def sample_files(folder: RunFolder, *, first: int = 0, last: int | None = None) -> list[SampleFile]:
    """The run's files of samples from step `first` to `last`: training first, by step.

    Raises:
        ConfigError: there is none.
    """
    found = []
    for part in ("samples", "eval"):
        for path in (folder.path / part).glob("step-*.parquet"):
            if match := _NAME.fullmatch(path.name):
                file = SampleFile(path, f"{part}/{path.name}", int(match[1]), match[2] or "")
                found.append(file)
    if not found:
        raise ConfigError(
            f"{folder.path} records no samples: there is neither samples/step-*.parquet "
            "nor eval/step-*.parquet"
        )
    wanted = [file for file in found if first <= file.step and (last is None or file.step <= last)]
    if not wanted:
        steps = sorted({file.step for file in found})
        raise ConfigError(
            f"{folder.path} records no samples of these steps, only of {steps[0]} to {steps[-1]}",
            field="--steps",
        )
    return sorted(wanted, key=lambda file: (bool(file.dataset), file.step, file.dataset))


def count_samples(files: Sequence[SampleFile]) -> int:
    """How many samples the files hold.

    Raises:
        ConfigError: a file cannot be read.
    """
    count = 0
    for file in files:
        try:
            count += pq.read_metadata(file.path).num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file.path, error) from error
    return count


def check_references(files: Sequence[SampleFile]) -> None:
    """Returns if there is a sample with references.

    Raises:
        ConfigError: there is none, or a file cannot be read.
    """
    for file in files:
        try:
            references = pq.read_table(file.path, columns=["references"])["references"]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise unreadable(file.path, error) from error
        if pc.any(pc.greater(pc.list_value_length(references), 0)).as_py():
            return
    raise ConfigError(
        "no sample has references, as in a run whose caller brings the trajectories: nothing "
        "can be compared; --no-references is for verifiers that need none"
    )


def samples(files: Sequence[SampleFile]) -> Iterator[Sample]:
    """Every sample of the files that was judged, in order, in bounded memory.

    Raises:
        ConfigError: a file cannot be read, or is no file of samples.
    """
    for file in files:
        try:
            with pq.ParquetFile(file.path) as opened:
                missing = set(_COLUMNS) - set(opened.schema_arrow.names)
                if missing:
                    raise ConfigError(
                        f"{file.path} lacks the columns {', '.join(sorted(missing))}: "
                        "it is no file of samples"
                    )
                for batch in opened.iter_batches(_BATCH_ROWS, columns=list(_COLUMNS)):
                    counts = pc.list_value_length(batch["token_ids"]).to_pylist()
                    rows = batch.drop_columns(["token_ids"]).to_pylist()
                    for values, count in zip(rows, counts, strict=True):
                        # A prompt that was refused leaves a row without an outcome.
                        if values["outcome"]:
                            yield Sample(file, values, count or 0)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file.path, error) from error
