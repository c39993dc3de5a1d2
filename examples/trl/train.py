"""Trains the bundled tiny model to add, with TRL and our verifier, on a CPU.

make setup-bench
trimtab serve reward &
python examples/trl/train.py 20
"""

import sys

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from trimtab.data.arithmetic import problems
from trimtab.integrations.trl import TrimtabReward
from trimtab.model_path import BUNDLED_MODEL, resolve_model

steps = int(sys.argv[1])
sums = [{"prompt": p.prompt, "answer": p.answer} for p in problems(4096, seed=0, split="train")]
trainer = GRPOTrainer(
    model=str(resolve_model(BUNDLED_MODEL, allow_hub=False)),
    train_dataset=Dataset.from_list(sums),
    reward_funcs=TrimtabReward(verifier="numeric", references_field="answer"),
    args=GRPOConfig(
        output_dir="runs/trl",
        max_steps=steps,
        per_device_train_batch_size=64,
        num_generations=8,
        max_completion_length=24,
        learning_rate=5e-5,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
        report_to="none",
        logging_steps=1,
    ),
)
trainer.train()
for row in trainer.state.log_history:
    if "reward" in row:
        print(row["step"], "reward", row["reward"], "invalid", row["trimtab_numeric/invalid"])
