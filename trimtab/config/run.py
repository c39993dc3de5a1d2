"""Config of a training run: the one YAML file that users write."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field, model_validator

from trimtab.config.base import Model
from trimtab.config.data import DataConfig
from trimtab.config.learner import LearnerServerConfig
from trimtab.config.objective import ObjectiveConfig
from trimtab.config.reward import RewardServerConfig
from trimtab.config.rollout import RolloutServerConfig
from trimtab.config.routes import ClientTlsConfig, RewardConfig


class RunModelConfig(Model):
    """The model that is trained."""

    path: str = "trimtab-tiny"
    """A Hugging Face folder, a hub id if `allow_hub`, or `trimtab-tiny`, the bundled model."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Element type in which the learner holds and trains the weights."""
    device: str = "auto"
    """"cpu", "cuda", "cuda:1"; auto: cuda where there is one."""
    allow_hub: bool = False
    """Lets `path` be the id of a model on the Hugging Face hub; the server must allow it too."""
    gradient_checkpointing: bool = False
    """Recomputes activations in the backward pass to save memory."""


class SamplingConfig(Model):
    """How samples are drawn."""

    temperature: float = Field(default=1.0, ge=0)
    """Divides the logits; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Mass of the likeliest tokens that are kept."""
    top_k: int = Field(default=0, ge=0)
    """Number of the likeliest tokens that are kept; 0: all."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Share of the likeliest token's probability below which tokens are dropped."""
    typical_p: float = Field(default=1.0, gt=0, le=1)
    """Mass of the locally typical tokens that are kept (arXiv 2202.00666)."""
    max_tokens: int | None = Field(default=None, ge=1)
    """Most tokens of a sample; none: the room left in the context."""
    min_tokens: int = Field(default=0, ge=0)
    """Tokens before which a sample cannot end."""
    stop: tuple[str, ...] = ()
    """Texts that end a sample."""
    stop_token_ids: tuple[int, ...] = ()
    """Tokens that end a sample, besides the model's end token."""

    @property
    def truncates(self) -> bool:
        """True if some tokens of the model's distribution cannot be drawn."""
        return self.top_p < 1 or self.top_k > 0 or self.min_p > 0 or self.typical_p < 1


class RolloutPeerConfig(Model):
    """The rollout servers of a run."""

    targets: tuple[str, ...] = ("127.0.0.1:50051",)
    """gRPC targets; `dns:///name:port` stands for every address of the name."""
    tls: ClientTlsConfig | None = None
    """TLS files; none: plaintext."""
    samples_per_prompt: int = Field(default=8, ge=1)
    """Size of a group."""
    sampling: SamplingConfig = SamplingConfig()
    """How samples are drawn."""
    timeout_s: float = Field(default=600.0, gt=0)
    """Deadline of one call."""
    patience_s: float = Field(default=120.0, ge=0)
    """How long the run waits for a server that is gone before it stops."""
    min_replicas: int = Field(default=1, ge=1)
    """Servers that must have the new weights before generation goes on."""

    @model_validator(mode="after")
    def _some_target(self) -> RolloutPeerConfig:
        if not self.targets:
            raise ValueError("name at least one target")
        return self


class RewardPeerConfig(Model):
    """The run's own reward server."""

    target: str = "127.0.0.1:50052"
    """gRPC target; `dns:///name:port` is called address by address in turn."""
    tls: ClientTlsConfig | None = None
    """TLS files; none: plaintext."""


class RewardsConfig(Model):
    """The verifiers that make up a sample's reward, by name, and what a failure means."""

    model_config = ConfigDict(
        extra="allow", frozen=True, validate_default=True, use_attribute_docstrings=True
    )
    __pydantic_extra__: dict[str, RewardConfig] = Field(init=False)

    on_item_failure: Literal["exclude", "incorrect"] = "exclude"
    """What becomes of an item whose own text made the verifier fail: left out, or reward 0."""

    @property
    def verifiers(self) -> dict[str, RewardConfig]:
        """The verifiers in the order of the file; the first decides the outcome."""
        return dict(self.__pydantic_extra__)

    @model_validator(mode="after")
    def _some_verifier(self) -> RewardsConfig:
        if not self.__pydantic_extra__:
            raise ValueError("name at least one verifier, as `rewards: {math: {}}`")
        return self


class OptimizerConfig(Model):
    """AdamW (arXiv 1711.05101)."""

    lr: float = Field(default=1e-6, ge=0)
    """Learning rate after the warm-up."""
    warmup_steps: int = Field(default=0, ge=0)
    """Optimiser steps over which the learning rate rises linearly."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay of the first and of the second moment."""
    eps: float = Field(default=1e-8, gt=0)
    """Added to the root of the second moment."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled decay of the weights."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are scaled down to this norm."""


class TrainConfig(Model):
    """How a run trains."""

    steps: int = Field(default=100, ge=0)
    """Training steps: each generates, scores, trains and pushes once."""
    prompts_per_step: int = Field(default=32, ge=1)
    """Groups of one step."""
    epochs: int = Field(default=1, ge=1)
    """Passes over a step's samples."""
    mini_batches: int = Field(default=1, ge=1)
    """Optimiser steps of one pass."""
    micro_batch_tokens: int = Field(default=16384, ge=1)
    """Most tokens, padding included, of one forward and backward pass."""
    optimizer: OptimizerConfig = OptimizerConfig()
    """Optimiser."""
    old_logprobs: Literal["auto", "recompute", "rollout"] = "auto"
    """Log-probs and entropies of the policy before the step: computed again by the learner, or
    those that came with the samples; auto: the latter where both sides use float32."""
    max_staleness: Literal[0] = 0
    """Versions that a sample may be behind the weights that it trains; 0: generation and training
    take turns."""
    min_valid: int = Field(default=2, ge=2)
    """A group with fewer valid samples is dropped."""
    max_invalid_steps: int = Field(default=5, ge=1)
    """Steps in a row without one usable group after which the run stops."""


class CheckpointConfig(Model):
    """When checkpoints are written."""

    every: int = Field(default=20, ge=1)
    """Steps between checkpoints; the last step always writes one."""
    keep: int = Field(default=2, ge=1)
    """Checkpoints that are kept."""


class EvaluationConfig(Model):
    """When and how a run is evaluated."""

    every: int = Field(default=0, ge=0)
    """Steps between evaluations; 0: none on the way."""
    at_start: bool = True
    """Evaluates before the first step."""
    at_end: bool = True
    """Evaluates after the last step."""
    samples_per_prompt: int = Field(default=16, ge=1)
    """k of mean@k and pass@k."""
    sampling: SamplingConfig = SamplingConfig()
    """How evaluation samples are drawn; a greedy pass is always added."""
    max_invalid_share: float = Field(default=0.01, ge=0, le=1)
    """An evaluation with a larger share of samples that could not be scored fails."""


class ServeConfig(Model):
    """Configs of the servers that the command line starts for this run."""

    rollout: RolloutServerConfig = RolloutServerConfig()
    """The rollout server."""
    reward: RewardServerConfig = RewardServerConfig()
    """The reward server."""
    learner: LearnerServerConfig = LearnerServerConfig()
    """The learner server."""


class RunConfig(Model):
    """A training run."""

    name: str | None = None
    """Folder below the server's folder of runs; none: the config's name and the time."""
    seed: int = Field(default=0, ge=0)
    """Root of everything that is drawn."""
    model: RunModelConfig = RunModelConfig()
    """The model that is trained."""
    data: DataConfig = DataConfig()
    """Problems."""
    rollout: RolloutPeerConfig = RolloutPeerConfig()
    """Generation."""
    reward: RewardPeerConfig = RewardPeerConfig()
    """The run's own reward server."""
    rewards: RewardsConfig = RewardsConfig.model_validate({"math": {}})
    """What makes up a reward."""
    objective: ObjectiveConfig = ObjectiveConfig()
    """What is optimised."""
    train: TrainConfig = TrainConfig()
    """Training."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Checkpoints."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Evaluation."""
    serve: ServeConfig | None = None
    """Servers that the command line starts; not read by a running server."""

    @model_validator(mode="after")
    def _on_policy_needs_untruncated_sampling(self) -> RunConfig:
        sampling = self.rollout.sampling
        if sampling.truncates:
            raise ValueError(
                "rollout.sampling truncates the distribution (top_p, top_k, min_p or typical_p), "
                "and no importance correction is configured: training on it would be biased"
            )
        if sampling.temperature == 0:
            raise ValueError("rollout.sampling.temperature must be above 0 for training")
        return self
