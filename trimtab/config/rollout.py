"""Config of a rollout server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from trimtab.config.base import Model
from trimtab.config.server import ServerConfig

DEFAULT_ROLLOUT_LISTEN = "127.0.0.1:50051"


class ModelConfig(Model):
    """Which model, and how it is held."""

    path: str = "trimtab-tiny"
    """A Hugging Face folder, a hub id if `allow_hub`, or `trimtab-tiny`, the bundled model."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Element type of the weights; auto: as the model's files say."""
    device: str = "auto"
    """"cpu", "cuda", "cuda:1"; auto: cuda where there is one."""
    allow_hub: bool = False
    """Lets `path` be the id of a model on the Hugging Face hub."""


class TransformersEngineConfig(Model):
    """The engine that runs the model by the transformers library."""

    max_batch_size: int = Field(default=256, ge=1)
    """Most sequences that are generated at once."""
    threads: int | None = Field(default=None, ge=1)
    """Threads of torch; none: one for a small model, else as many as there are cores."""
    attn_implementation: Literal["sdpa", "eager"] = "sdpa"
    """Attention kernel."""


class RolloutServerConfig(ServerConfig):
    """A rollout server."""

    listen: str = DEFAULT_ROLLOUT_LISTEN
    """HOST:PORT; port 0: a free one. Beyond loopback it needs `tls` or `insecure`."""
    model: ModelConfig = ModelConfig()
    """Which model."""
    engine: Literal["transformers"] = "transformers"
    """What generates."""
    transformers: TransformersEngineConfig = TransformersEngineConfig()
    """Options of the transformers engine."""
    context_length: int | None = Field(default=None, ge=2)
    """Most tokens of prompt and sample together; none: what the model was made for."""
    max_waiting_samples: int = Field(default=65536, ge=1)
    """Samples that may wait before calls are turned away."""
    max_samples_per_call: int = Field(default=65536, ge=1)
    """Most samples of one call."""
    weights_roots: tuple[Path, ...] = (Path(),)
    """Folders that LoadWeights may read below; default: the working directory."""
    update_timeout_s: float = Field(default=300.0, gt=0)
    """Longest time that an update of weights may take, its transfer included."""
