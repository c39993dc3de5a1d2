"""What `trimtab train` was asked to do."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trimtab.cli.configs import find_config, load_run_config, resolve_config
from trimtab.config.run import RunConfig, ServeConfig
from trimtab.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run to open or to resume."""

    name: str
    """The run's name."""
    config: RunConfig
    """Its config."""
    resume: bool
    """Goes on from its last checkpoint."""
    again: str
    """The command that resumes it."""


def read_job(
    words: Sequence[str], *, name: str | None, resume: bool, options: Sequence[str] = ()
) -> Job:
    """The job of `CONFIG [NAME] [key=value]...`; a NAME only together with `--resume`.

    A run that is resumed without a CONFIG takes the one in its folder. `options` are repeated in
    the command that resumes.

    Raises:
        ConfigError: words are missing, too many or unknown, or the config does not hold.
    """
    plain = [word for word in words if "=" not in word or resolve_config(word)]
    assignments = [word for word in words if word not in plain]
    if resume and len(plain) == 1 and resolve_config(plain[0]) is None:
        name, plain = name or plain[0], []
    elif resume and len(plain) == 2:
        name, plain = name or plain[1], plain[:1]
    if len(plain) > 1:
        raise ConfigError(f"{plain[1]!r} is not key=value", source="command line")
    if plain:
        path = find_config(plain[0])
    elif resume and name:
        path = _recorded_config(name)
    else:
        raise ConfigError("name a config: a YAML file, or a bundled one, as `trimtab train demo`")
    config = load_run_config(path, assignments)
    name = name or config.name
    if name is None and resume:
        raise ConfigError("name the run to resume: --resume NAME (see `ls runs`)")
    if name is None:
        name = f"{path.stem}-{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    again = ["trimtab", "train", *plain, *assignments, "--resume", "--name", name, *options]
    return Job(name=name, config=config, resume=resume, again=shlex.join(again))


def _recorded_config(name: str) -> Path:
    path = ServeConfig().learner.runs_dir / name / "config.yaml"
    if not path.is_file():
        raise ConfigError(
            f"there is no run {name} to resume: {path} does not exist; "
            "if it lies elsewhere, give its config as well"
        )
    return path
