"""TRL's side of `loop_vs_trl.py`: GRPOTrainer on the arithmetic task; prints JSON times."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from trimtab.data.arithmetic import problems
from trimtab.model_path import BUNDLED_MODEL, resolve_model

UPDATES = 4


class Stopwatch(TrainerCallback):
    """Notes the time after every iteration's last optimiser step."""

    def __init__(self) -> None:
        """No times yet."""
        self.times_s: list[float] = []

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Called by the trainer after each optimiser step."""
        if state.global_step % UPDATES == 0:
            self.times_s.append(time.perf_counter())


def reward(completions: list[str], answer: list[str], **_: Any) -> list[float]:
    """1 if what follows the last `=` is the answer."""
    return [
        float("=" in text and text.rpartition("=")[2].strip() == right)
        for text, right in zip(completions, answer, strict=True)
    ]


def main(iterations: int, threads: int) -> None:
    """Trains and prints one JSON line."""
    torch.set_num_threads(threads)
    folder = resolve_model(BUNDLED_MODEL, allow_hub=False)
    made = problems(32 * iterations, seed=0, split="train")
    stopwatch = Stopwatch()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trainer = GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        processing_class=tokenizer,
        reward_funcs=reward,
        train_dataset=Dataset.from_list([{"prompt": p.prompt, "answer": p.answer} for p in made]),
        callbacks=[stopwatch],
        args=GRPOConfig(
            output_dir="build/trl",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=64,
            steps_per_generation=UPDATES,
            num_generations=8,
            num_iterations=1,
            max_steps=UPDATES * iterations,
            max_completion_length=24,
            temperature=1.0,
            top_p=1.0,
            top_k=0,
            beta=0.0,
            epsilon=0.2,
            epsilon_high=0.28,
            loss_type="dapo",
            learning_rate=5e-5,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            save_strategy="no",
            report_to="none",
            logging_steps=UPDATES,
            disable_tqdm=True,
            dataloader_num_workers=0,
            seed=0,
        ),
    )
    trainer.train()
    rewards = [row["reward"] for row in trainer.state.log_history if "reward" in row]
    steps = [row["step_time"] for row in trainer.state.log_history if "step_time" in row]
    result = {"times_s": stopwatch.times_s, "rewards": rewards, "step_times_s": steps}
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
