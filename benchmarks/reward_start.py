"""Seconds from starting a reward server to SERVING, beside importing Math-Verify.

python benchmarks/reward_start.py
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

from reward_common import alternating, medians, serving, write

RUNS = 5


def ours() -> float:
    """Seconds to SERVING, with the default config."""
    with serving() as server:
        return server.start_s


def rival() -> float:
    """Seconds that a fresh process takes to import Math-Verify."""
    started_s = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import math_verify"], check=True)
    return time.perf_counter() - started_s


def main() -> None:
    """Measures, prints, writes."""
    values = alternating({"serving": ours, "import_math_verify": rival}, RUNS, unit=" s")
    print(f"median {median(values['serving']):.2f} s")
    write("reward_start", {"what": "seconds", **medians(values)})


if __name__ == "__main__":
    main()
