"""A reward function for OpenRLHF: a file that holds `reward_func` is its `--remote_rm_url`.

OpenRLHF wants a number for every response. One that is itself to blame for having no verdict gets
0, with `invalid` 1 in the logs; anything else raises NoVerdict.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trimtab.end_tokens import END_TOKENS
from trimtab.integrations.environment import shared_caller, verifier_for
from trimtab.integrations.openrlhf_shape import items_of, reply_of
from trimtab.integrations.policy import verdicts_of


def reward_func(
    queries: Sequence[str], prompts: Sequence[str], labels: Sequence[Any], **_: Any
) -> dict[str, Any]:
    """Rewards, scores within [0, 1] and logs; blocks, and threads may call it at once.

    Raises:
        NoVerdict: a response could not be judged.
        RemoteError: the server refuses the call, or stays out of reach.
        LabelError: a label holds no right answer.
    """
    items = items_of(queries, prompts, labels, verifier=verifier_for("*"), end_tokens=END_TOKENS)
    results = shared_caller().score(items)
    return reply_of(verdicts_of(results, on_item_failure="zero", on_machinery_failure="error"))
