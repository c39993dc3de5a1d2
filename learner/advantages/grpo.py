"""Group-relative advantages (GRPO, arXiv 2402.03300)."""

from __future__ import annotations

from typing import Literal

import torch


def grpo_advantages(
    rewards_B: torch.Tensor,
    valid_B: torch.Tensor,
    group_ids_B: torch.Tensor,
    *,
    eps: float = 1e-6,
    std_ddof: int = 1,
    single_sample: Literal["zero", "keep_reward"] = "zero",
) -> torch.Tensor:
    """(reward - mean) / (std + eps) within each group of valid samples; shape [B].

    Invalid samples get 0 and count in no mean. A group with one valid sample gets 0, or its
    reward if `single_sample` says so; a group of equal rewards gets 0.
    """
    advantages_B = torch.zeros_like(rewards_B)
    for group in torch.unique(group_ids_B):
        rows = (group_ids_B == group) & valid_B.bool()
        members = rewards_B[rows]
        if members.numel() >= 2:
            centred = members - members.mean()
            std = members.std(correction=std_ddof)
            # Equal rewards can leave a rounding error over a tiny std; they carry no signal.
            equal = members.max() == members.min()
            advantages_B[rows] = torch.zeros_like(centred) if equal else centred / (std + eps)
        elif members.numel() == 1 and single_sample == "keep_reward":
            advantages_B[rows] = members
    return advantages_B
