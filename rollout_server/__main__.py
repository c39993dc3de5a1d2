"""`python -m rollout_server`."""

from __future__ import annotations

import sys

from rollout_server.build import build
from trimtab.config.rollout import RolloutServerConfig
from trimtab.server.main import run_server


def main() -> int:
    """Serves until told to stop; gives the exit status."""
    return run_server("rollout", RolloutServerConfig, build)


if __name__ == "__main__":
    sys.exit(main())
