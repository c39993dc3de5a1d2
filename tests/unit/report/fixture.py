"""Made-up runs, written as the learner writes them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from pathlib import Path

from trimtab.records import RunFolder, SampleRecord
from trimtab.records.files import write_atomically

K = 4


def make_run(
    path: Path, *, preset: str = "grpo", steps: int = 20, gain: float = 0.4, drop: float = 0.3
) -> RunFolder:
    """A run whose accuracy rises by `gain` and whose entropy falls by `drop`."""
    folder = RunFolder(path)
    config = f"seed: 7\nmodel: {{path: trimtab-tiny}}\nobjective: {{preset: {preset}}}\n"
    write_atomically(folder.config_path, config.encode())
    folder.write_state({"state": "finished", "step_count": steps})
    generator = random.Random(preset)
    _evaluate(folder, 0, 0.25, entropy=0.5)
    for step in range(1, steps + 1):
        change = -drop / steps * generator.uniform(0.5, 1.5)
        folder.append_metrics(
            step,
            {
                "reward/mean": 0.25 + gain * step / steps,
                "policy/entropy": 0.5 - drop * (step - 1) / max(steps - 1, 1),
                "entropy/change_predicted": change * 0.01,
                "entropy/change_measured": change,
                "samples/total": 256.0,
                "time/step_s": 2.0,
            },
        )
        folder.write_samples(step, [_trained(step, index) for index in range(2)])
    _evaluate(folder, steps, 0.25 + gain, entropy=0.5 - drop)
    return folder


def _evaluate(folder: RunFolder, step: int, accuracy: float, *, entropy: float) -> None:
    records = [
        _record(step, f"e{problem}", index, correct=(problem * K + index) / (8 * K) < accuracy)
        for problem in range(8)
        for index in (*range(K), -1)
    ]
    metrics: Mapping[str, float] = {
        "mean_at_k": accuracy,
        "pass_at_k": math.sqrt(accuracy),
        "greedy": accuracy,
        "entropy": entropy,
        "k": float(K),
        "num_prompts": 8.0,
        "invalid_share": 0.0,
    }
    folder.write_eval_samples(step, "heldout", records)
    folder.append_evaluation(step, "heldout", metrics)


def _record(step: int, prompt_id: str, index: int, *, correct: bool) -> SampleRecord:
    return SampleRecord(
        step=step,
        prompt_id=prompt_id,
        sample_index=index,
        state="evaluated",
        prompt="12+34+5=",
        response="46+5=51" if correct else "46+5=<b>50</b>",
        references=("51",),
        outcome="correct" if correct else "incorrect",
        reward=1.0 if correct else 0.0,
    )


def _trained(step: int, index: int) -> SampleRecord:
    record = _record(step, f"{step}.0", index, correct=index == 0)
    record.state = "trained"
    record.token_ids = [1, 2, 3]
    record.logprobs = record.entropies = [-0.1, -0.2, -0.3]
    record.token_weights = [1.0, 0.9, 0.7]
    return record
