"""Policy losses by name: the loss of a token, and how losses are summed up. One file each."""

from learner.losses.aggregate import aggregate
from learner.losses.ppo_clip import ClipOutput, ppo_clip

__all__ = ["ClipOutput", "aggregate", "ppo_clip"]
