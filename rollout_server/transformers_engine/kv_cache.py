"""Keys and values of the running rows, in buffers that are allocated ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache

_COLUMN_STEP = 64
"""Columns are allocated in multiples of this."""


class RowCache(Cache):
    """One row a sample; row b holds its tokens in columns `first_B[b]` to `last_B[b]`.

    A model's forward pass over one new token a row calls `update` in each layer. Layout of each
    buffer: [rows, columns, heads, width of a head], so that a token's entry is one stretch.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []
        self._rows_B = torch.empty(0, dtype=torch.int64)
        self._last_B = torch.empty(0, dtype=torch.int64)
        self._used_T = 0

    def ensure(
        self,
        row_count: int,
        column_count: int,
        like: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:
        """Makes room, keeping what is there.

        `like` gives each layer's keys and values [P, H, T, W]; needed as long as there are none.
        """
        if not self._keys:
            self._keys = [_empty(keys) for keys, _ in like]
            self._values = [_empty(values) for _, values in like]
        rows, columns = self.capacity
        if row_count <= rows and column_count <= columns:
            return
        if row_count > rows:
            rows = max(row_count, 2 * rows)
        if column_count > columns:
            needed = max(column_count, columns + columns // 2)
            columns = -(-needed // _COLUMN_STEP) * _COLUMN_STEP
        for buffers in (self._keys, self._values):
            for layer, old in enumerate(buffers):
                new = old.new_zeros(rows, columns, *old.shape[2:])
                new[: old.shape[0], : old.shape[1]] = old
                buffers[layer] = new

    def shrink(self, column_count: int) -> None:
        """Frees buffers with more columns than this; nothing in them may be in use."""
        if self.capacity[1] > column_count:
            self._keys, self._values = [], []

    def clear(self, rows_B: Tensor) -> None:
        """Zeroes rows. What is masked counts nothing only if it is a number."""
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[rows_B] = 0

    @property
    def capacity(self) -> tuple[int, int]:
        """Rows and columns that are allocated."""
        return (self._keys[0].shape[0], self._keys[0].shape[1]) if self._keys else (0, 0)

    def put(self, rows_B: Tensor, source_B: Tensor, layers: list[tuple[Tensor, Tensor]]) -> None:
        """Copies prompt `source_B[i]` of keys and values [P, H, T, W] to row `rows_B[i]`."""
        for layer, (keys, values) in enumerate(layers):
            columns = keys.shape[2]
            self._keys[layer][rows_B, :columns] = keys.transpose(1, 2)[source_B]
            self._values[layer][rows_B, :columns] = values.transpose(1, 2)[source_B]

    def move(self, from_B: Tensor, to_B: Tensor, column_count: int) -> None:
        """Copies rows over others, to close the gaps that finished rows leave."""
        for buffers in (self._keys, self._values):
            for buffer in buffers:
                buffer[to_B, :column_count] = buffer[from_B, :column_count]

    def begin_step(self, last_B: Tensor, used_T: int) -> None:
        """Sets where the next forward pass writes; it reads columns up to `used_T`."""
        self._rows_B = torch.arange(len(last_B), device=last_B.device)
        self._last_B = last_B
        self._used_T = used_T

    def update(
        self,
        key_states: Tensor,
        value_states: Tensor,
        layer_idx: int,
        *_: Any,
        **__: Any,
    ) -> tuple[Tensor, Tensor]:
        """Stores one token a row, [B, H, 1, W], and gives all columns in use, [B, H, T, W]."""
        rows, used = len(self._rows_B), self._used_T
        keys, values = self._keys[layer_idx], self._values[layer_idx]
        keys[self._rows_B, self._last_B] = key_states[:, :, 0]
        values[self._rows_B, self._last_B] = value_states[:, :, 0]
        return keys[:rows, :used].transpose(1, 2), values[:rows, :used].transpose(1, 2)

    def get_seq_length(self, layer_idx: int = 0) -> int:  # noqa: ARG002
        """Columns in use, the one being written excluded."""
        return max(self._used_T - 1, 0)

    def get_query_offset(self, layer_idx: int | None = None) -> int:  # noqa: ARG002
        """As `get_seq_length`; masks and positions are given, so it names no row's position."""
        return max(self._used_T - 1, 0)

    def get_mask_sizes(self, query_length: int, layer_idx: int | None = None) -> tuple[int, int]:  # noqa: ARG002
        """Columns that a query sees, and the first of them."""
        return self._used_T, 0


def _empty(states: Tensor) -> Tensor:
    """A buffer without rows for states [P, H, T, W]."""
    _, heads, _, width = states.shape
    return states.new_empty(0, 0, heads, width)
