"""The client SDK: channels, and one client a service. Needs neither torch nor pydantic."""

from trimtab.client.channel import Tls, wait_until_serving
from trimtab.client.learner import LearnerClient
from trimtab.client.reward import Item, RewardClient
from trimtab.client.rollout import RolloutClient

__all__ = ["Item", "LearnerClient", "RewardClient", "RolloutClient", "Tls", "wait_until_serving"]
