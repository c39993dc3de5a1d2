"""The three-service loop beside TRL's GRPOTrainer on the same work, block by block in turn.

Work of an iteration: 32 prompts x 8 samples of at most 24 tokens on the bundled model, T = 1, one
pass in four optimiser steps of 64 samples, no KL term. Both train with the same threads; ours are
three processes that take turns (`max_staleness: 0`), and generation takes one thread by itself.
Every iteration is timed by the wall clock from record to record, so that ours includes scoring,
pushing weights and writing the run folder.

    make bench            or   python benchmarks/loop_vs_trl.py --pairs 5 --iterations 12
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

WARM_UP = 3
PHASES = ("time/generate_s", "time/collect_s", "time/train_s", "time/publish_s", "time/step_s")
RESULTS = Path(__file__).parent / "results" / "loop_vs_trl.json"


def our_config(iterations: int, threads: int) -> dict[str, Any]:
    """The run's config."""
    return {
        "data": {"train": {"generator": "arithmetic", "count": 32 * iterations}},
        "rollout": {
            "targets": ["127.0.0.1:50151"],
            "samples_per_prompt": 8,
            "sampling": {"max_tokens": 24},
        },
        "reward": {"target": "127.0.0.1:50152"},
        "rewards": {"numeric": {}},
        "objective": {
            "preset": "grpo",
            "loss": {"eps_low": 0.2, "eps_high": 0.28, "agg": "token-mean"},
        },
        "train": {
            "steps": iterations,
            "prompts_per_step": 32,
            "epochs": 1,
            "mini_batches": 4,
            "max_staleness": 0,
            "optimizer": {"lr": 5e-5},
        },
        "checkpoint": {"every": iterations},
        "serve": {
            "reward": {
                "workers": 1,
                "verifiers": {"numeric": {"type": "numeric", "extract": "after_last_equals"}},
            },
            "learner": {"listen": "127.0.0.1:50153", "threads": threads},
        },
    }


def run_ours(iterations: int, threads: int) -> dict[str, Any]:
    """Seconds of each iteration, and of its phases."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "bench.yaml"
        path.write_text(yaml.safe_dump(our_config(iterations, threads)), encoding="utf-8")
        command = [sys.executable, "-m", "trimtab.cli", "train", str(path), "--name", "bench"]
        subprocess.run(command, check=True, cwd=scratch, env=environment(), capture_output=True)
        lines = (Path(scratch) / "runs/bench/metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    times_s = [datetime.fromisoformat(row["time"]).timestamp() for row in rows]
    return {
        "iterations_s": between(times_s),
        "phases_s": {
            name.removeprefix("time/"): statistics.median(row[name] for row in rows[WARM_UP:])
            for name in PHASES
        },
        "last_reward": rows[-1]["reward/mean"],
    }


def run_trl(iterations: int, threads: int) -> dict[str, Any]:
    """Seconds of each iteration."""
    script = Path(__file__).with_name("trl_loop.py")
    done = subprocess.run(
        [sys.executable, str(script), str(iterations), str(threads)],
        check=True,
        capture_output=True,
        text=True,
        env=environment(),
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    result = json.loads(line.removeprefix("RESULT "))
    return {"iterations_s": between(result["times_s"]), "last_reward": result["rewards"][-1]}


def environment() -> dict[str, str]:
    """No network on either side; how threads wait is each side's own default."""
    return os.environ | {"HF_HUB_OFFLINE": "1"}


def between(times_s: list[float]) -> list[float]:
    """Differences of neighbours after the warm-up."""
    return [b - a for a, b in itertools.pairwise(times_s[WARM_UP - 1 :])]


def main() -> None:
    """Runs the pairs, prints them, writes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=12, help="of a block, warm-up included")
    parser.add_argument("--threads", type=int, default=2, help="of torch on either side")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    pairs = []
    for number in range(options.pairs):
        order = [("ours", run_ours), ("trl", run_trl)]
        pair = {}
        for name, run in order if number % 2 == 0 else reversed(order):
            pair[name] = run(options.iterations, options.threads)
            pair[name]["median_s"] = statistics.median(pair[name]["iterations_s"])
        ratio = pair["trl"]["median_s"] / pair["ours"]["median_s"]
        pairs.append({**pair, "ratio": ratio})
        phases = " ".join(f"{k}={v:.3f}" for k, v in pair["ours"]["phases_s"].items())
        print(
            f"pair {number + 1}: ours {pair['ours']['median_s']:.3f} s, "
            f"TRL {pair['trl']['median_s']:.3f} s, ratio {ratio:.2f}   [{phases}]",
            flush=True,
        )
    ratios = [pair["ratio"] for pair in pairs]
    summary = {
        "what": "seconds of an iteration of 256 samples; ratio = TRL / ours",
        "median_ratio": statistics.median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "ours_median_s": statistics.median(pair["ours"]["median_s"] for pair in pairs),
        "trl_median_s": statistics.median(pair["trl"]["median_s"] for pair in pairs),
        "threads": options.threads,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": {name: version(name) for name in ("torch", "transformers", "trl", "grpcio")},
        "pairs": pairs,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    print(f"median ratio {summary['median_ratio']:.2f} (TRL / ours); written to {options.out}")


if __name__ == "__main__":
    main()
