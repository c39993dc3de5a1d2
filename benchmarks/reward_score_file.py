"""`trimtab score` over files of integer answers: seconds end to end, and the command's memory.

python benchmarks/reward_score_file.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from reward_common import serving, write

ROWS = (25_000, 100_000, 400_000)
RUNS = 3
_GROUP_ROWS = 25_000
_SCHEMA = pa.schema([("response", pa.string()), ("answer", pa.string())])


def rows(count: int) -> Iterator[dict[str, str]]:
    """Sums, six of ten right."""
    draw = random.Random(1)
    for _ in range(count):
        a, b = draw.randrange(1000), draw.randrange(1000)
        said = a + b + (draw.random() < 0.4)
        text = f"We add {a} and {b}, first the units, then the tens. It is \\boxed{{{said}}}."
        yield {"response": text, "answer": str(a + b)}


def write_rows(path: Path, count: int) -> None:
    """A parquet file of that many rows."""
    made = rows(count)
    with pq.ParquetWriter(path, _SCHEMA) as writer:
        for start in range(0, count, _GROUP_ROWS):
            group = [next(made) for _ in range(min(_GROUP_ROWS, count - start))]
            writer.write_table(pa.Table.from_pylist(group, schema=_SCHEMA))


def measured(file: Path, target: str) -> dict[str, float]:
    """One run of the command against a server that is there."""
    out = file.with_name("verdicts.parquet")
    command = [sys.executable, "-m", "trimtab.cli", "score", str(file), "--out", str(out)]
    started_s = time.perf_counter()
    process = subprocess.Popen([*command, "--reward", target], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started_s
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    count = pq.read_metadata(out).num_rows
    return {
        "wall_s": round(wall_s, 2),
        "rows_per_s": round(count / wall_s),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mb": round(usage.ru_maxrss / 1024),
    }


def main() -> None:
    """Measures, prints, writes."""
    results: dict[str, Any] = {"what": "trimtab score, integer answers, parquet, end to end"}
    with tempfile.TemporaryDirectory() as folder:
        for count in ROWS:
            file = Path(folder) / f"{count}.parquet"
            write_rows(file, count)
            found = []
            for _ in range(RUNS):
                with serving() as server:
                    found.append(measured(file, server.target))
                print(count, found[-1], flush=True)
            found.sort(key=lambda run: run["wall_s"])
            results[str(count)] = {"median": found[RUNS // 2], "all": found}
    write("reward_score_file", results)


if __name__ == "__main__":
    main()
