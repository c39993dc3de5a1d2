"""How torch's threads wait for each other; to be called before torch is imported."""

from __future__ import annotations

import os

_SPINS = "5000"


def let_waiting_threads_rest() -> None:
    """Makes OpenMP threads spin only briefly before they sleep, unless the user chose otherwise.

    By default they spin so long that a step becomes several times slower as soon as anything else
    runs on the cores; threads that sleep at once make it slower on a quiet machine too.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _SPINS)
