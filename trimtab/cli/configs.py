"""Finds, reads and overrides the config that a command names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trimtab.config.base import override, read_yaml, validate
from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError

_PACKAGE = Path(__file__).parents[1]
_BUNDLED = (_PACKAGE / "assets" / "configs", _PACKAGE.parent / "configs")


def bundled_folders() -> list[Path]:
    """Where configs are looked for by name, nearest first."""
    return [Path("configs"), *_BUNDLED]


def resolve_config(name: str) -> Path | None:
    """The file that a path or a bundled name, as `demo`, stands for; None if there is none."""
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.name == name:
        for folder in bundled_folders():
            candidate = folder / f"{name.removesuffix('.yaml')}.yaml"
            if candidate.is_file():
                return candidate
    return None


def find_config(name: str) -> Path:
    """The file that a path or a bundled name stands for.

    Raises:
        ConfigError: there is none; lists the names there are.
    """
    path = resolve_config(name)
    if path is None:
        names = sorted({p.stem for folder in bundled_folders() for p in folder.glob("*.yaml")})
        raise ConfigError(
            f"there is no config file {name} (looked in {Path.cwd()}); "
            f"bundled ones: {', '.join(names)}"
        )
    return path


def load_run_config(path: Path | None, assignments: Sequence[str] = ()) -> RunConfig:
    """The run's config: the file's values, then each `key=value`; all defaults without a file.

    Raises:
        ConfigError: the file cannot be read, or a field does not hold.
    """
    values = read_yaml(path) if path is not None else {}
    source = str(path) if path is not None else "command line"
    return validate(RunConfig, override(values, assignments), source=source)
