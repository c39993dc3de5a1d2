"""Config of the problems that a run trains and evaluates on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from trimtab.config.base import Model


class DatasetConfig(Model):
    """A set of problems: a file, or a generator by name."""

    path: Path | None = None
    """A parquet or jsonl file."""
    generator: Literal["arithmetic"] | None = None
    """Problems that are made up: `arithmetic` asks `12+34+5=`."""
    split: Literal["train", "heldout"] = "train"
    """Which part of a generator's problems; the two share none."""
    count: int | None = Field(default=None, ge=1)
    """How many problems are used; none: all of a file, 4096 of a generator."""
    seed: int = 0
    """Which problems a generator makes."""
    prompt_field: str = "prompt"
    """Column with the prompt: a text, or a list of messages. Dots go into structures."""
    references_field: str = "reward_model.ground_truth"
    """Column with the right answer, or a list of them. Dots go into structures."""
    shuffle: bool = True
    """Draws in an order that changes with each pass; else from first to last."""

    @model_validator(mode="after")
    def _one_source(self) -> DatasetConfig:
        if (self.path is None) == (self.generator is None):
            raise ValueError("give either `path` or `generator`")
        return self


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", name):
        raise ValueError(
            f"{name!r} cannot be part of a file's name: use letters, digits, '.', '_' and '-'"
        )
    return name


DatasetName = Annotated[str, AfterValidator(_file_name)]


class DataConfig(Model):
    """What a run trains and evaluates on."""

    train: DatasetConfig | None = None
    """Problems to train on; needed unless the caller brings trajectories."""
    eval: dict[DatasetName, DatasetConfig] = {}
    """Problems to evaluate on, by name."""
