"""For OpenRLHF: --remote_rm_url examples/openrlhf/trimtab_reward.py

The environment says who judges: TRIMTAB_REWARD=HOST:PORT, TRIMTAB_VERIFIER=math
"""

from trimtab.integrations.openrlhf import reward_func

__all__ = ["reward_func"]
