"""`python -m learner`: serves the LearnerService."""

from __future__ import annotations

import os
import sys

from trimtab.config.learner import LearnerServerConfig
from trimtab.server.main import run_server
from trimtab.server.torch_threads import let_waiting_threads_rest


def main() -> int:
    """Serves until SIGTERM; gives the exit status."""
    let_waiting_threads_rest()
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    # What was set above counts only if it is set before torch is imported.
    from learner.build import build

    return run_server("learner", LearnerServerConfig, build)


if __name__ == "__main__":
    sys.exit(main())
