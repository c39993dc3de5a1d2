"""`python -m reward_server`: serves the reward service."""

from __future__ import annotations

import sys

from reward_server.app import build
from trimtab.config.reward import RewardServerConfig
from trimtab.server.main import run_server

if __name__ == "__main__":
    sys.exit(run_server("reward", RewardServerConfig, build))
