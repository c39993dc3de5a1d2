"""Reads a server's config from a file and from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from trimtab.config.base import override, read_yaml, validate
from trimtab.config.server import ServerConfig
from trimtab.errors import ConfigError

S = TypeVar("S", bound=ServerConfig)


def load_server_config(
    model: type[S], service: str, path: Path | None, assignments: Sequence[str]
) -> S:
    """The config of `service`: the file's values, then each `key=value`.

    A run's config may be given as well: its part `serve.<service>` counts then.

    Raises:
        ConfigError: the file cannot be read, or a field does not hold.
    """
    values = read_yaml(path) if path is not None else {}
    source = str(path) if path is not None else "command line"
    if "serve" in values:
        source = f"{source}: serve.{service}"
        values = _server_values(values, service, path)
    return validate(model, override(values, assignments), source=source)


def _server_values(values: dict[str, Any], service: str, path: Path | None) -> dict[str, Any]:
    section = values["serve"] or {}
    part = section.get(service) or {} if isinstance(section, dict) else None
    if not isinstance(part, dict):
        raise ConfigError("must be a mapping", field=f"serve.{service}", source=str(path))
    return part
