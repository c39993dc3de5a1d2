"""`python -m learner`: serves the LearnerService."""

from __future__ import annotations

import os
import sys

from trimtab.config.learner import LearnerServerConfig
from trimtab.server.main import run_server


def main() -> int:
    """Serves until SIGTERM; gives the exit status."""
    # Threads of torch that wait must sleep: on a busy machine spinning ones made steps ten times
    # slower. Read when torch is loaded, so it is set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from learner.build import build

    return run_server("learner", LearnerServerConfig, build)


if __name__ == "__main__":
    sys.exit(main())
