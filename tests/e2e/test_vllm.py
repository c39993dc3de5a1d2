"""vLLM loads the bundled model and says the same as transformers."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from trimtab.data.arithmetic import problems
from trimtab.model_path import BUNDLED_MODEL, resolve_model

PYTHON = Path(".venv-vllm/bin/python")
MODEL = resolve_model(BUNDLED_MODEL, allow_hub=False)
MAX_TOKENS = 24
TIMEOUT_S = 280
PROGRAM = """
import json, sys
import vllm

def main():
    model, prompts, max_tokens = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    engine = vllm.LLM(model=model, dtype="float32", enforce_eager=True, max_model_len=64)
    sampling = vllm.SamplingParams(temperature=0, max_tokens=max_tokens)
    answers = [list(reply.outputs[0].token_ids) for reply in engine.generate(prompts, sampling)]
    print("ANSWERS", json.dumps(answers), flush=True)

if __name__ == "__main__":
    main()
"""

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(not PYTHON.exists(), reason="`make setup-vllm` has not been run"),
]


def vllm_answers(prompts: Sequence[str], program: Path) -> list[list[int]]:
    """Token ids by vLLM, in a session of its own of which nothing is left."""
    program.write_text(PROGRAM)
    process = subprocess.Popen(
        [PYTHON, program, MODEL, json.dumps(prompts), str(MAX_TOKENS)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={
            **os.environ,
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "HF_HUB_OFFLINE": "1",
        },
    )
    try:
        said, _ = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
        assert members(process.pid) == []
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    (line,) = [line for line in said.splitlines() if line.startswith("ANSWERS ")]
    answers: list[list[int]] = json.loads(line.removeprefix("ANSWERS "))
    return answers


def members(session: int) -> list[str]:
    """Processes of a session that still run."""
    listed = subprocess.run(
        ["ps", "-o", "stat=,pid=,args=", "-s", str(session)], capture_output=True, text=True
    )
    return [line for line in listed.stdout.splitlines() if not line.startswith("Z")]


@torch.inference_mode()
def transformers_answers(prompts: Sequence[str]) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model: Any = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32)
    answers = []
    for prompt in prompts:
        inputs = tokenizer(prompt, return_tensors="pt")
        whole = model.generate(**inputs, do_sample=False, max_new_tokens=MAX_TOKENS)
        answers.append(whole[0, inputs["input_ids"].shape[1] :].tolist())
    return answers


def test_greedy_answers_are_those_of_transformers(tmp_path: Path) -> None:
    prompts = [problem.prompt for problem in problems(8, seed=3, split="heldout")]
    expected = transformers_answers(prompts)
    assert all(expected)
    assert vllm_answers(prompts, tmp_path / "program.py") == expected
