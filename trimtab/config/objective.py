"""Config of a training objective: which advantage, which loss, which token weight."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from trimtab.config.base import Model

PresetName = Literal["grpo", "steer_paper", "steer_code_exp", "steer_code_linear"]

_CLIP_STEER = {"eps_low": 0.2, "eps_high": 0.28, "dual_clip": 10.0, "agg": "token-mean"}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "grpo": {},
    "steer_paper": {
        "loss": _CLIP_STEER,
        "token_weight": {
            "name": "steer",
            "omega_form": "theorem",
            "mapping": "exp",
            "lambda_min": 0.7,
            "lambda_max": 1.0,
            "metric_floor": 0.0,
            "apply_clip_indicator": True,
            "entropy_source": "current",
            "stat_scope": "mini",
        },
    },
    "steer_code_exp": {
        "loss": _CLIP_STEER,
        "token_weight": {
            "name": "steer",
            "omega_form": "released",
            "mapping": "exp",
            "lambda_min": 0.8,
            "lambda_max": 1.0,
            "metric_floor": 0.02,
            "apply_clip_indicator": False,
            "entropy_source": "old",
            "stat_scope": "micro",
        },
    },
    "steer_code_linear": {
        "loss": _CLIP_STEER,
        "token_weight": {
            "name": "steer",
            "omega_form": "released",
            "mapping": "linear",
            "lambda_min": 0.8,
            "lambda_max": 1.2,
            "metric_floor": 0.0,
            "apply_clip_indicator": False,
            "entropy_source": "old",
            "stat_scope": "micro",
        },
    },
}
"""What each preset sets; every value can be overridden beside it."""


class GrpoAdvantageConfig(Model):
    """Reward against the group's mean, in the group's standard deviations (arXiv 2402.03300)."""

    name: Literal["grpo"] = "grpo"
    """Which estimator."""
    eps: float = Field(default=1e-6, ge=0)
    """Added to the standard deviation."""
    std_ddof: Literal[0, 1] = 1
    """Degrees of freedom taken off in the standard deviation; 1: unbiased."""
    single_sample: Literal["zero", "keep_reward"] = "zero"
    """Advantage in a group with one valid sample."""


class PpoClipLossConfig(Model):
    """Clipped surrogate, asymmetric, with an optional second clip for negative advantages."""

    name: Literal["ppo_clip"] = "ppo_clip"
    """Which loss."""
    eps_low: float = Field(default=0.2, ge=0, le=1)
    """The ratio is clipped below 1 - eps_low."""
    eps_high: float = Field(default=0.2, ge=0)
    """The ratio is clipped above 1 + eps_high (arXiv 2503.14476 uses 0.28)."""
    dual_clip: float | None = Field(default=None, gt=1)
    """Largest ratio that counts where the advantage is negative (arXiv 1912.09729); none: any."""
    agg: Literal[
        "token-mean", "seq-mean-token-mean", "seq-mean-token-sum", "seq-mean-token-sum-norm"
    ] = "token-mean"
    """How token losses become one number."""
    norm_length: int | None = Field(default=None, ge=1)
    """The constant of seq-mean-token-sum-norm; the longest response that is allowed."""

    @model_validator(mode="after")
    def _norm_length_where_needed(self) -> PpoClipLossConfig:
        if self.agg == "seq-mean-token-sum-norm" and self.norm_length is None:
            raise ValueError("agg seq-mean-token-sum-norm needs norm_length, the longest response")
        return self


class SteerConfig(Model):
    """STEER: tokens that would change the entropy much get a smaller weight (arXiv 2510.10150)."""

    name: Literal["steer"] = "steer"
    """Which token weight."""
    omega_form: Literal["theorem", "released", "exact"] = "theorem"
    """The estimate of a token's entropy change: the paper's, the code's, or first order."""
    apply_clip_indicator: bool = True
    """Counts a token as 0 where clipping takes its gradient away."""
    mapping: Literal["exp", "linear"] = "exp"
    """How estimates become weights."""
    lambda_min: float = Field(default=0.7, gt=0, le=1)
    """Smallest weight."""
    lambda_max: float = Field(default=1.0, gt=0)
    """Largest weight; the unsigned exponential mapping ends at 1 whatever this is."""
    metric_floor: float = Field(default=0.0, ge=0)
    """The exponential mapping takes the largest estimate to be at least this."""
    entropy_source: Literal["current", "old"] = "current"
    """Whose entropy the estimate uses."""
    stat_scope: Literal["mini", "micro"] = "mini"
    """Over which tokens the extremes are taken: an optimiser step's, or a micro-batch's."""
    sign_mode: Literal["abs", "signed"] = "abs"
    """signed damps only tokens that lower the entropy."""


class ObjectiveConfig(Model):
    """A training objective. `preset` fills in what is not said beside it."""

    preset: PresetName | None = None
    """A published combination."""
    advantage: GrpoAdvantageConfig = GrpoAdvantageConfig()
    """How rewards become advantages."""
    loss: PpoClipLossConfig = PpoClipLossConfig()
    """The loss of a token, and how losses are summed up."""
    token_weight: SteerConfig | None = None
    """Weight of each token's loss; none: 1."""

    @model_validator(mode="before")
    @classmethod
    def _expand_preset(cls, values: Any) -> Any:
        if not isinstance(values, Mapping) or values.get("preset") not in PRESETS:
            return values
        return _merged(PRESETS[values["preset"]], values)


def _merged(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in top.items():
        below = merged.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        merged[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return merged
