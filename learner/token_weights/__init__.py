"""Weights of token losses by name. One file each."""

from learner.token_weights.steer import Extremes, steer_metric, steer_weights

__all__ = ["Extremes", "steer_metric", "steer_weights"]
