"""Finds the model that a config or a call names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trimtab.errors import Reason, ServiceError

BUNDLED_MODEL = "trimtab-tiny"
_BUNDLED_PATH = Path(__file__).parent / "assets" / "tiny"


def resolve_model(name: str, *, roots: Sequence[Path] | None = None, allow_hub: bool) -> str:
    """The folder of a model, or its id on the hub.

    `roots` limits folders that come from the wire; None trusts the name, as one of a config.

    Raises:
        ServiceError: MODEL_NOT_FOUND, or PATH_NOT_ALLOWED outside `roots`.
    """
    if name == BUNDLED_MODEL:
        return str(_BUNDLED_PATH)
    path = Path(name).expanduser()
    if path.exists():
        if roots is not None and not within_roots(path, roots):
            listed = ", ".join(str(root.resolve()) for root in roots)
            raise ServiceError(
                Reason.PATH_NOT_ALLOWED,
                f"{path} is outside the server's model_roots ({listed})",
                field="model.path",
            )
        _check_folder(path)
        return str(path)
    if allow_hub and name.count("/") <= 1 and not name.startswith((".", "/", "~")):
        return name
    hint = "" if allow_hub else "; to take it from the hub set allow_hub: true"
    raise ServiceError(
        Reason.MODEL_NOT_FOUND,
        f"there is no model folder {name!r} (looked in {Path.cwd()}){hint}",
        field="model.path",
    )


def within_roots(path: Path, roots: Sequence[Path]) -> bool:
    """True if the path, links followed, lies in or below one of the folders."""
    resolved = path.resolve()
    return any(resolved.is_relative_to(root.resolve()) for root in roots)


def _check_folder(path: Path) -> None:
    config = path / "config.json"
    problem = ""
    if not path.is_dir():
        problem = "is not a folder"
    elif not config.is_file():
        problem = "holds no config.json: give a Hugging Face model folder"
    else:
        try:
            json.loads(config.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            problem = f"has a config.json that cannot be read: {error}"
    if problem:
        raise ServiceError(Reason.MODEL_NOT_FOUND, f"{path} {problem}", field="model.path")
