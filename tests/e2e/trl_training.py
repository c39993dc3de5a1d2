"""Trains the bundled model with TRL's GRPOTrainer and our rewards; prints what TRL logged.

python trl_training.py sync|async TARGET FOLDER STEPS
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from trimtab.data.arithmetic import problems
from trimtab.integrations.trl import AsyncTrimtabReward, TrimtabReward
from trimtab.model_path import BUNDLED_MODEL, resolve_model

UNREADABLE_EVERY = 4
BATCH = 32
GROUP = 8


def recorded(kind: str, target: str, given: list[list[float | None]]) -> Any:
    """Our reward function of a kind, whose replies are kept."""
    options: Any = {"verifier": "numeric", "references_field": "answer"}
    if kind == "sync":
        reward = TrimtabReward(target, **options)

        def call(**columns: Any) -> list[float | None]:
            given.append(reward(**columns))
            return given[-1]

        call.__name__ = reward.__name__
        return call

    waiting = AsyncTrimtabReward(target, **options)

    async def wait(**columns: Any) -> list[float | None]:
        given.append(await waiting(**columns))
        return given[-1]

    wait.__name__ = waiting.__name__
    return wait


def rows(count: int) -> list[dict[str, Any]]:
    """Sums with their answers, of which some cannot be read."""
    made = problems(count, seed=0, split="train")
    return [
        {
            "prompt": problem.prompt,
            "answer": problem.answer if index % UNREADABLE_EVERY else "as you like it",
        }
        for index, problem in enumerate(made)
    ]


def main(kind: str, target: str, folder: str, steps: int) -> None:
    torch.set_num_threads(1)
    path = resolve_model(BUNDLED_MODEL, allow_hub=False)
    model = AutoModelForCausalLM.from_pretrained(path)
    before = {name: value.clone() for name, value in model.named_parameters()}
    given: list[list[float | None]] = []
    trainer = GRPOTrainer(
        model=model,
        processing_class=AutoTokenizer.from_pretrained(path),
        reward_funcs=recorded(kind, target, given),
        train_dataset=Dataset.from_list(rows(BATCH // GROUP * steps)),
        args=GRPOConfig(
            output_dir=folder,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            per_device_train_batch_size=BATCH,
            num_generations=GROUP,
            max_steps=steps,
            max_completion_length=24,
            temperature=1.0,
            beta=0.0,
            learning_rate=5e-5,
            save_strategy="no",
            report_to="none",
            logging_steps=1,
            disable_tqdm=True,
            dataloader_num_workers=0,
            seed=0,
        ),
    )
    trainer.train()
    moved = sum(
        float((value - before[name]).abs().sum()) for name, value in model.named_parameters()
    )
    outcomes = list(trainer._logs["extra"]["trimtab_numeric_outcome"])
    result = {
        "given": given,
        "logged": trainer.state.log_history,
        "outcomes": outcomes,
        "moved": moved,
    }
    sys.stdout.write(f"RESULT {json.dumps(result)}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
