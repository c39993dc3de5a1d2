"""Math-Verify as its users run it: answers each line `[gold, response]` with 1 or 0.

The box comes first and the gold is boxed, which is the best of its set-ups on these files.
"""

from __future__ import annotations

import json
import resource
import sys

from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

MEMORY_BYTES = 4 << 30


def main() -> None:
    """Answers until its input ends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    configs = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())
    print("ready", flush=True)
    for line in sys.stdin:
        gold, response = json.loads(line)
        parsed = parse(f"\\boxed{{{gold}}}", configs)
        print(int(verify(parsed, parse(response, configs))), flush=True)


if __name__ == "__main__":
    main()
