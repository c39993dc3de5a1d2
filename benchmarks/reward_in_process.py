"""Verdicts a second of the in-process step of `math`, on one core, beside Math-Verify.

Every run is a fresh process, and its rate counts processor time. `integers`: a short response with
one boxed integer; `integers_2kb` and `integers_16kb`: behind so much text; `formulas`: some like
those of MATH, all of them different; `mixed`: one of them in three items, as in MATH-500. Each is
answered once right and once with another one's answer. `decided` is the share that needs no worker.

    python benchmarks/reward_in_process.py
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median

from reward_common import alternating, medians, write

WORKLOADS = ("integers", "integers_2kb", "integers_16kb", "formulas", "mixed")
OUR_ITEMS = 10_000
RIVAL_ITEMS = 200
FORMULAS = (
    r"\frac{{{a}}}{{{b}}}", r"{a}\sqrt{{{c}}}", r"\frac{{{a}\sqrt{{{c}}}}}{{{b}}}", "{a}+{b}i",
    "{a}x^2-{b}x+{c}", "(x-{a})(x+{b})", "({a},{b})", r"[{a},{a}{b})", r"\frac{{{a}\pi}}{{{b}}}",
    "{a}.{b}", r"\{{{a},{b},{c}\}}", r"{a}\pm\sqrt{{{c}}}", "y={a}x+{b}", r"{a}^\circ",
    r"\begin{{pmatrix}}{a}\\{b}\\-{c}\end{{pmatrix}}", r"\frac{{{a}n+{b}}}{{{c}}}", "{a}k+{b}",
    r"(-\infty,-{a})\cup({b},\infty)", r"{a}\frac{{{b}}}{{1{b}}}", r"{a}\ln {c}",
)  # fmt: skip


def formula(draw: random.Random) -> str:
    """An answer that is no plain integer."""
    a, b, c = draw.randint(2, 99), draw.randint(2, 99), draw.choice((2, 3, 5, 7, 11, 13))
    return draw.choice(FORMULAS).format(a=a, b=b, c=c)


def pairs(workload: str, count: int) -> list[tuple[str, str]]:
    """References and responses, half of them right."""
    draw = random.Random(1)
    share = {"formulas": 1.0, "mixed": 1 / 3}.get(workload, 0.0)
    golds = [
        formula(draw) if draw.random() < share else str(draw.randint(0, 99_999))
        for _ in range(count // 2)
    ]
    kilobytes = int(workload.partition("_")[2].removesuffix("kb") or 0)
    step = "We add both sides, so $3x + 4 = 19$ and therefore $x = 5$ holds.\n"
    steps = step * (kilobytes * 1024 // len(step))
    others = golds[1:] + golds[:1]
    answered = [*zip(golds, golds, strict=True), *zip(golds, others, strict=True)]
    draw.shuffle(answered)
    return [(gold, f"{steps}So the answer is $\\boxed{{{found}}}$.") for gold, found in answered]


def measure_ours(workload: str) -> dict[str, float]:
    """Verdicts a second of `quick`, in this process."""
    from reward_server.verifiers import build_verifiers
    from reward_server.verifiers.base import Item, Verdict
    from trimtab.config.verifiers import MathVerifierConfig

    verifier = build_verifiers({"math": MathVerifierConfig().model_dump()})["math"]
    items = [
        Item(id=str(index), response=response, references=(gold,))
        for index, (gold, response) in enumerate(pairs(workload, OUR_ITEMS))
    ]
    for item in items[:100]:
        verifier.quick(item)
    started_s = time.process_time()
    decided = sum(isinstance(verifier.quick(item), Verdict) for item in items)
    elapsed_s = time.process_time() - started_s
    return {"rate": len(items) / elapsed_s, "decided": decided / len(items)}


def measure_rival(workload: str) -> dict[str, float]:
    """Verdicts a second of Math-Verify with the box first and a boxed gold, in this process."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    configs = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())

    def score(gold: str, response: str) -> bool:
        return bool(verify(parse(f"\\boxed{{{gold}}}", configs), parse(response, configs)))

    examples = pairs(workload, RIVAL_ITEMS)
    for example in examples[:20]:
        score(*example)
    started_s = time.process_time()
    for example in examples[20:]:
        score(*example)
    return {"rate": (len(examples) - 20) / (time.process_time() - started_s), "decided": 1.0}


MEASURES: dict[str, Callable[[str], dict[str, float]]] = {
    "ours": measure_ours,
    "math_verify": measure_rival,
}


def in_fresh_process(who: str, workload: str, decided: dict[str, float]) -> float:
    """The rate, and the share that was decided in `decided`."""
    command = [sys.executable, __file__, "--measure", who, workload]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = json.loads(output)
    decided[who] = found["decided"]
    return float(found["rate"])


def main() -> None:
    """Measures, prints, writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        who, workload = options.measure
        print(json.dumps(MEASURES[who](workload)))
        return
    results: dict[str, object] = {}
    for workload in WORKLOADS:
        print(workload)
        decided: dict[str, float] = {}
        runs: dict[str, Callable[[], float]] = {
            who: partial(in_fresh_process, who, workload, decided) for who in MEASURES
        }
        values = alternating(runs, options.rounds)
        ratios = [a / b for a, b in zip(values["ours"], values["math_verify"], strict=True)]
        results[workload] = {
            "ratio": round(median(ratios), 1),
            "decided": round(decided["ours"], 4),
            **medians(values),
        }
    write("reward_in_process", {"what": "verdicts a second of processor time", **results})


if __name__ == "__main__":
    main()
