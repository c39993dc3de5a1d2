"""For verl: custom_reward_function.path=examples/verl/trimtab_reward.py (name: compute_score).

The environment says who judges: TRIMTAB_REWARD=HOST:PORT and, by data source,
TRIMTAB_VERIFIER=openai/gsm8k=numeric,*=math
"""

from trimtab.integrations.verl import compute_score, compute_score_async, compute_score_batch

__all__ = ["compute_score", "compute_score_async", "compute_score_batch"]
