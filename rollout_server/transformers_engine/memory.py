"""How much memory key-value caches may take, so that a long context cannot exhaust the machine."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from rollout_server.transformers_engine.job import PromptGroup
from rollout_server.transformers_engine.rows import RowTable

_SHARE = 0.5
"""Of the free memory: a buffer that grows is held twice for a moment."""
_CGROUP = Path("/sys/fs/cgroup")


def cache_budget_bytes(device: torch.device) -> int:
    """Bytes that caches may take on the device."""
    if device.type == "cuda":
        free_bytes, _ = torch.cuda.mem_get_info(device)
        return int(free_bytes * _SHARE)
    free_bytes = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return int(min(free_bytes, _free_in_container()) * _SHARE)


def _free_in_container() -> int:
    try:
        limit = (_CGROUP / "memory.max").read_text().strip()
        used = int((_CGROUP / "memory.current").read_text())
    except (OSError, ValueError):
        return 1 << 62
    return (1 << 62) if limit == "max" else max(int(limit) - used, 0)


class MemoryPlan:
    """Decides how many rows may run beside each other if every one grows to its full length."""

    def __init__(self, table: RowTable, *, budget_bytes: int, token_bytes: int) -> None:
        """`token_bytes` is what one token of one row takes in all layers."""
        self._most_tokens = budget_bytes // token_bytes
        self._running = table.count
        self._prompt_length = int(table.column("prompt_end").max(initial=0))
        self._room = int(table.column("max_tokens").max(initial=0))

    def fits(self, group: PromptGroup, taken: int) -> int:
        """How many samples of the group may begin beside the running rows and those `taken`."""
        prompt_length = max(self._prompt_length, len(group.prompt.token_ids))
        room = max(self._room, group.prompt.sampling.max_tokens)
        others = self._running + taken
        count = self._most_tokens // (prompt_length + room) - others
        if count > 0 or others == 0:
            self._prompt_length, self._room = prompt_length, room
        # A sample alone always runs: its length is bounded by the context.
        return max(count, 0 if others else 1)
