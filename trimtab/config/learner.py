"""Config of a learner server."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from trimtab.config.server import ServerConfig

DEFAULT_LEARNER_LISTEN = "127.0.0.1:50053"


class LearnerServerConfig(ServerConfig):
    """A learner server."""

    listen: str = DEFAULT_LEARNER_LISTEN
    """HOST:PORT; port 0: a free one. Beyond loopback it needs `tls` or `insecure`."""
    runs_dir: Path = Path("runs")
    """Folder in which runs are recorded."""
    model_roots: tuple[Path, ...] = (Path(),)
    """Folders below which a run's model may lie; default: the working directory."""
    data_roots: tuple[Path, ...] = (Path(),)
    """Folders below which a run's data may lie; default: the working directory."""
    allow_hub: bool = False
    """Lets runs name models by their id on the Hugging Face hub."""
    allowed_targets: tuple[str, ...] = ()
    """Hosts of rollout and reward servers that a run may name, `*` matching any part; loopback
    always may."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of torch; none: as many as there are cores."""
