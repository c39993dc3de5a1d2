"""Make the bundled model: a 0.857 M parameter Llama that does arithmetic, but not reliably.

Run `python examples/tiny_model/make.py OUT_DIR`. It trains on worked replies until greedy
decoding is nearly always right, then on replies with slips. The result knows the task, but
its samples are often wrong: the gap that reinforcement learning closes.
"""

import argparse
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from trimtab.data.arithmetic import Problem, problems

SPECIALS = PAD, BOS, EOS, UNK = ("<pad>", "<bos>", "<eos>", "<unk>")
CHARACTERS = "0123456789+-=*/()<>.,:;?!% \n"
BATCH_SIZE = 256
MAX_NEW_TOKENS = 24
IGNORED = -100
"""The label of a position that carries no loss."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stretch of training: its length in steps, its peak rate, and its share of slips."""

    num_steps: int
    learning_rate: float
    num_warmup_steps: int
    slip_share: float


CORRECT = Stage(num_steps=1200, learning_rate=2e-3, num_warmup_steps=100, slip_share=0.0)
SLIPS = Stage(num_steps=120, learning_rate=3e-4, num_warmup_steps=10, slip_share=0.75)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What sampling at temperature 1 and greedy decoding give on held-out problems."""

    greedy: float
    mean_at_k: float
    pass_at_k: float
    entropy: float
    """Mean over sampled reply tokens, in nats per token."""

    def describe(self, num_samples: int) -> str:
        """Return the four numbers on one line."""
        return (
            f"greedy {self.greedy:.3f}, mean@{num_samples} {self.mean_at_k:.3f}, "
            f"pass@{num_samples} {self.pass_at_k:.3f}, entropy {self.entropy:.3f} nats/token"
        )


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer with one token per character and nothing added on encode."""
    vocabulary = {token: index for index, token in enumerate((*SPECIALS, *CHARACTERS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left",
        model_max_length=256,
        clean_up_tokenization_spaces=False,
    )


def make_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """Return an untrained float32 model with 857,216 parameters."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    model: LlamaForCausalLM = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=True,
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return model


def with_slip(problem: Problem, rng: random.Random) -> str:
    """Return the worked reply with one digit wrong and the rest consistent with that digit."""
    digits = [i for i, character in enumerate(problem.solution) if character.isdigit()]
    position = rng.choice(digits)
    wrong = rng.choice([digit for digit in "0123456789" if digit != problem.solution[position]])
    slipped = problem.solution[:position] + wrong + problem.solution[position + 1 :]
    working, _, answer = slipped.partition("=")
    if position >= len(slipped) - len(answer):
        return slipped
    sign = "+" if "+" in working else "-"
    left, right = (int(number) for number in working.split(sign))
    return f"{working}={left + right if sign == '+' else left - right}"


def encode_batch(
    tokenizer: PreTrainedTokenizerFast, examples: Sequence[tuple[str, str]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return right-padded token ids and labels [B, T]; only the reply and `<eos>` have labels."""
    vocabulary = tokenizer.get_vocab()
    rows = [
        ([vocabulary[token] for token in (*prompt, *reply, EOS)], len(prompt))
        for prompt, reply in examples
    ]
    ids = torch.full((len(rows), max(len(row) for row, _ in rows)), tokenizer.pad_token_id)
    labels = torch.full_like(ids, IGNORED)
    for index, (row, prompt_length) in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        labels[index, prompt_length : len(row)] = ids[index, prompt_length : len(row)]
    return ids, labels


def train(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    pool: Sequence[Problem],
    stage: Stage,
    rng: random.Random,
) -> None:
    """Train in place on `pool`, each problem once, with warm-up and then linear decay."""
    optimizer = torch.optim.AdamW(model.parameters(), stage.learning_rate, weight_decay=0.01)
    for step in range(stage.num_steps):
        warmup = (step + 1) / max(1, stage.num_warmup_steps)
        decay = (stage.num_steps - step) / max(1, stage.num_steps - stage.num_warmup_steps)
        optimizer.param_groups[0]["lr"] = stage.learning_rate * min(1.0, warmup, decay)
        batch = pool[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
        ids, labels = encode_batch(
            tokenizer,
            [
                (p.prompt, with_slip(p, rng) if rng.random() < stage.slip_share else p.solution)
                for p in batch
            ],
        )
        # Padding is on the right and attention is causal, so no mask is needed.
        logits = model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 200 == 0 or step == stage.num_steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}", flush=True)


@torch.inference_mode()
def sample(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    prompts: Sequence[str],
    *,
    greedy: bool = False,
) -> tuple[list[str], float]:
    """Return one reply per prompt and the mean entropy of its tokens in nats."""
    inputs = tokenizer(list(prompts), padding=True, return_tensors="pt")
    # The annotated return type is a union over every decoding method.
    generator: Any = model
    output = generator.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=not greedy,
        return_dict_in_generate=True,
        output_logits=True,
    )
    replies = output.sequences[:, inputs["input_ids"].shape[1] :]
    logprobs = torch.stack(output.logits, dim=1).log_softmax(dim=-1)
    entropies = -(logprobs.exp() * logprobs).sum(dim=-1)
    kept = replies != tokenizer.pad_token_id
    return tokenizer.batch_decode(replies, skip_special_tokens=True), entropies[kept].mean().item()


def evaluate(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    heldout: Sequence[Problem],
    num_samples: int,
) -> Metrics:
    """Return greedy accuracy and, from `num_samples` samples a problem, mean, pass and entropy."""
    prompts = [problem.prompt for problem in heldout]
    replies, _ = sample(model, tokenizer, prompts, greedy=True)
    greedy = [is_right(reply, p) for reply, p in zip(replies, heldout, strict=True)]
    right = torch.zeros(num_samples, len(heldout))
    entropies = []
    for row in range(num_samples):
        replies, entropy = sample(model, tokenizer, prompts)
        right[row] = torch.tensor([is_right(r, p) for r, p in zip(replies, heldout, strict=True)])
        entropies.append(entropy)
    return Metrics(
        greedy=sum(greedy) / len(greedy),
        mean_at_k=right.mean().item(),
        pass_at_k=right.amax(dim=0).mean().item(),
        entropy=sum(entropies) / len(entropies),
    )


def is_right(reply: str, problem: Problem) -> bool:
    """Return whether the text after the last `=` is the answer."""
    return reply.rpartition("=")[2] == problem.answer


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, out_dir: Path) -> None:
    """Save the tokenizer so that transformers 4 and 5 both load it."""
    # Padding a batch during evaluation left that setting on, and it would be saved.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.save_pretrained(out_dir)
    # Version 5 writes a class name of its own, which version 4 does not know.
    path = out_dir / "tokenizer_config.json"
    settings = json.loads(path.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    path.write_text(json.dumps(settings, indent=2) + "\n")


README = """\
# A tiny arithmetic model

A {num_parameters:,} parameter Llama with one token per character, float32. It answers
`12+34+5=` with `46+5=51` (the task is `trimtab.data.arithmetic`; tests use the held-out split).

Made by `examples/tiny_model/make.py`, seed {seed}: {correct_steps} steps of {batch_size} worked
replies, then {slip_steps} steps in which {slip_percent} % of the replies contain a slip.

On {num_problems} held-out problems, {num_samples} samples each, temperature 1, no truncation:
{metrics}
"""


def make(out_dir: Path, *, seed: int, num_problems: int = 256, num_samples: int = 16) -> None:
    """Train the model, print its numbers before and after the slips, and save it."""
    torch.manual_seed(seed)
    tokenizer = make_tokenizer()
    model = make_model(tokenizer)
    heldout = problems(num_problems, seed=seed, split="heldout")
    num_correct = CORRECT.num_steps * BATCH_SIZE
    pool = problems(num_correct + SLIPS.num_steps * BATCH_SIZE, seed=seed, split="train")

    train(model, tokenizer, pool[:num_correct], CORRECT, random.Random(seed))
    torch.manual_seed(seed)
    before = evaluate(model, tokenizer, heldout, num_samples)
    print(f"before slips: {before.describe(num_samples)}")
    train(model, tokenizer, pool[num_correct:], SLIPS, random.Random(seed))
    torch.manual_seed(seed)
    after = evaluate(model, tokenizer, heldout, num_samples)
    print(f"after slips:  {after.describe(num_samples)}")

    model.save_pretrained(out_dir)
    save_tokenizer(tokenizer, out_dir)
    readme = README.format(
        num_parameters=model.num_parameters(),
        seed=seed,
        correct_steps=CORRECT.num_steps,
        batch_size=BATCH_SIZE,
        slip_steps=SLIPS.num_steps,
        slip_percent=round(100 * SLIPS.slip_share),
        num_problems=num_problems,
        num_samples=num_samples,
        metrics=after.describe(num_samples),
    )
    (out_dir / "README.md").write_text(readme)


def main() -> None:
    """Read the arguments and make the model."""
    parser = argparse.ArgumentParser(description="Make the bundled arithmetic model.")
    parser.add_argument("out_dir", type=Path, help="folder to save the model in")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    # With one thread, sums are taken in one order, so a seed gives one result on one machine.
    torch.set_num_threads(1)
    make(arguments.out_dir, seed=arguments.seed)


if __name__ == "__main__":
    main()
