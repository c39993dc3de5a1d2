"""Takes samples to the verifiers that judge them, wherever those are, and makes one reward."""

from trimtab.router.composition import SampleReward
from trimtab.router.router import RewardRouter, Scorable

__all__ = ["RewardRouter", "SampleReward", "Scorable"]
