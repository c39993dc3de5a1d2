"""Checkpoints: a Hugging Face folder and everything else that training goes on from."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trimtab.errors import Reason, ServiceError
from trimtab.records.files import write_atomically

_MANIFEST = "checkpoint.json"
_TRAINER = "trainer.pt"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint that is whole."""

    path: Path
    """A Hugging Face model folder."""
    step: int
    """Last step that it holds."""
    state: Mapping[str, Any]
    """What the driver keeps: the data cursor, the weights' id."""

    def trainer_state(self) -> dict[str, Any]:
        """Optimiser and random states.

        Raises:
            ServiceError: NO_CHECKPOINT; the file cannot be read.
        """
        try:
            state: dict[str, Any] = torch.load(
                self.path / _TRAINER, map_location="cpu", weights_only=True
            )
        except (OSError, RuntimeError, pickle.UnpicklingError) as error:
            raise ServiceError(
                Reason.NO_CHECKPOINT, f"{self.path / _TRAINER} cannot be read: {error}"
            ) from error
        return state


def checkpoint_path(root: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return root / f"step-{step:06d}"


def save_checkpoint(
    root: Path,
    step: int,
    *,
    save_model: Any,
    trainer_state: Mapping[str, Any],
    state: Mapping[str, Any],
    keep: int,
) -> Path:
    """Writes the checkpoint of a step, whole or not at all, and prunes older ones.

    `save_model` writes the model into a folder that it is given.
    """
    root.mkdir(parents=True, exist_ok=True)
    target = checkpoint_path(root, step)
    building = root / f".{target.name}.{os.getpid()}.tmp"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir()
    try:
        save_model(building)
        torch.save(dict(trainer_state), building / _TRAINER)
        sizes = {path.name: path.stat().st_size for path in building.iterdir()}
        manifest = {"step": step, "time": time.time(), "files": sizes, "state": dict(state)}
        write_atomically(building / _MANIFEST, json.dumps(manifest, indent=1).encode())
        for path in building.iterdir():
            _flush(path)
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    for old in list_checkpoints(root)[:-keep]:
        shutil.rmtree(old.path, ignore_errors=True)
    return target


def list_checkpoints(root: Path) -> list[Checkpoint]:
    """The checkpoints that are whole, oldest first."""
    found = []
    for path in sorted(root.glob("step-*")):
        checkpoint = _read(path)
        if checkpoint is not None:
            found.append(checkpoint)
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def latest_checkpoint(root: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole."""
    found = list_checkpoints(root)
    return found[-1] if found else None


def _read(path: Path) -> Checkpoint | None:
    """The checkpoint, or None if a file is missing or was cut."""
    try:
        manifest = json.loads((path / _MANIFEST).read_bytes())
        for name, size in manifest["files"].items():
            if (path / name).stat().st_size != size:
                return None
    except (OSError, ValueError, KeyError):
        return None
    return Checkpoint(path, int(manifest["step"]), manifest["state"])


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
