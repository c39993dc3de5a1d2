"""The running samples as columns of arrays, so that a step costs no Python per row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from rollout_server.engine import Sampling, WeightsRef
from rollout_server.transformers_engine.job import Job, PromptGroup
from rollout_server.transformers_engine.sampler import Draw, Measure, SamplerRows
from rollout_server.transformers_engine.stop import StopSearch

_FIRST_WIDTH_G = 32
_NO_TOKEN = -1

Indices = npt.NDArray[np.int64]


@dataclass(slots=True, kw_only=True)
class RunningSample:
    """What is known of a sample besides its columns."""

    job: Job
    group: PromptGroup
    sample_index: int
    seed: int
    weights: WeightsRef
    started_s: float
    """Monotonic time of its first step."""
    stop_search: StopSearch | None
    prompt_hidden_state: npt.NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Generated:
    """The tokens of one row and what was measured of them; all as long as the sample."""

    token_ids: list[int]
    logprobs: list[float]
    model_logprobs: list[float]
    entropies: list[float]
    kept_set_sizes: list[int]


class RowTable:
    """Samples in rows 0 to `count`, without gaps."""

    def __init__(self, capacity_B: int) -> None:
        """`capacity_B` is the most rows that there can be."""
        self.samples: list[RunningSample] = []
        self._floats = {
            name: np.zeros(capacity_B, dtype=np.float32)
            for name in ("temperature", "min_p", "typical_p", "top_p")
        }
        self._integers = {
            name: np.zeros(capacity_B, dtype=np.int64)
            for name in ("top_k", "min_tokens", "max_tokens", "generated", "first", "prompt_end")
        }
        self._seeds_B = np.zeros(capacity_B, dtype=np.uint64)
        self._has_stop_B = np.zeros(capacity_B, dtype=np.bool_)
        self._wants_B3 = np.zeros((capacity_B, 3), dtype=np.bool_)
        self._failed_B = np.zeros(capacity_B, dtype=np.bool_)
        self._stop_ids_BS = np.full((capacity_B, 1), _NO_TOKEN, dtype=np.int64)
        self._tokens_BG = np.zeros((capacity_B, _FIRST_WIDTH_G), dtype=np.int64)
        self._measured_4BG = np.zeros((4, capacity_B, _FIRST_WIDTH_G), dtype=np.float32)

    @property
    def count(self) -> int:
        """Rows in use."""
        return len(self.samples)

    def column(self, name: str, rows: slice | None = None) -> Indices:
        """A view of an integer column."""
        column_B: Indices = self._integers[name][rows or slice(0, self.count)]
        return column_B

    def add(self, samples: Sequence[RunningSample], first_B: Indices, length_T: int) -> None:
        """Appends rows whose prompts fill the columns `first_B` to `length_T` of the cache."""
        start = self.count
        self.samples.extend(samples)
        for row, sample in enumerate(samples, start):
            self._set(row, sample.group.prompt.sampling)
            self._seeds_B[row] = sample.seed
            self._has_stop_B[row] = sample.stop_search is not None
            want = sample.job.task.want
            self._wants_B3[row] = (want.model_logprobs, want.entropies, want.kept_set_sizes)
        rows = slice(start, self.count)
        self._integers["generated"][rows] = 0
        self._integers["first"][rows] = first_B
        self._integers["prompt_end"][rows] = length_T

    def _set(self, row: int, sampling: Sampling) -> None:
        for name, floats in self._floats.items():
            floats[row] = getattr(sampling, name)
        for name in ("top_k", "min_tokens", "max_tokens"):
            self._integers[name][row] = getattr(sampling, name)
        ids = sampling.stop_token_ids
        if len(ids) > self._stop_ids_BS.shape[1]:
            missing = len(ids) - self._stop_ids_BS.shape[1]
            self._stop_ids_BS = np.pad(
                self._stop_ids_BS, ((0, 0), (0, missing)), constant_values=_NO_TOKEN
            )
        self._stop_ids_BS[row] = _NO_TOKEN
        self._stop_ids_BS[row, : len(ids)] = ids

    def remove(self, removed: Indices) -> tuple[Indices, Indices]:
        """Drops rows (ascending); gives which rows moved from where to where to close the gaps."""
        left = self.count - len(removed)
        gone = np.zeros(self.count, dtype=np.bool_)
        gone[removed] = True
        to_B = removed[removed < left]
        from_B = np.flatnonzero(~gone[left:]) + left
        arrays: tuple[npt.NDArray[Any], ...] = (
            *self._floats.values(),
            *self._integers.values(),
            self._seeds_B,
            self._has_stop_B,
            self._wants_B3,
            self._failed_B,
            self._stop_ids_BS,
            self._tokens_BG,
        )
        for array in arrays:
            array[to_B] = array[from_B]
        self._measured_4BG[:, to_B] = self._measured_4BG[:, from_B]
        for target, source in zip(to_B.tolist(), from_B.tolist(), strict=True):
            self.samples[target] = self.samples[source]
        del self.samples[left:]
        return from_B, to_B

    def record(self, rows: slice, draw: Draw) -> None:
        """Appends a token to each of the rows."""
        position_B = self._integers["generated"][rows]
        if position_B.max() >= self._tokens_BG.shape[1]:
            width = self._tokens_BG.shape[1]
            self._tokens_BG = np.pad(self._tokens_BG, ((0, 0), (0, width)))
            self._measured_4BG = np.pad(self._measured_4BG, ((0, 0), (0, 0), (0, width)))
        row_B = np.arange(rows.start, rows.stop)
        self._tokens_BG[row_B, position_B] = draw.token_ids_B.cpu().numpy()
        logprobs_B = draw.logprobs_B.cpu().numpy()
        self._failed_B[rows] = np.isnan(logprobs_B)
        measured = (
            draw.logprobs_B,
            draw.model_logprobs_B,
            draw.entropies_B,
            draw.kept_set_sizes_B,
        )
        for plane, values_B in enumerate(measured):
            if values_B is not None:
                self._measured_4BG[plane, row_B, position_B] = values_B.cpu().numpy()
        self._integers["generated"][rows] += 1

    def last_tokens(self, rows: slice) -> Indices:
        """The newest token of each row."""
        newest_B = self._integers["generated"][rows] - 1
        tokens_B: Indices = self._tokens_BG[np.arange(rows.start, rows.stop), newest_B]
        return tokens_B

    def generated(self, row: int) -> Generated:
        """What one row has generated."""
        length = int(self._integers["generated"][row])
        logprobs, model_logprobs, entropies, kept = self._measured_4BG[:, row, :length].tolist()
        return Generated(
            token_ids=self._tokens_BG[row, :length].tolist(),
            logprobs=logprobs,
            model_logprobs=model_logprobs,
            entropies=entropies,
            kept_set_sizes=[int(size) for size in kept],
        )

    def failed(self, rows: slice) -> npt.NDArray[np.bool_]:
        """Rows whose last distribution was none."""
        return self._failed_B[rows]

    def seeds(self, rows: slice) -> npt.NDArray[np.uint64]:
        """Each row's seed."""
        return self._seeds_B[rows]

    def stop_ids(self, rows: slice) -> Indices:
        """Each row's stop tokens, [B, S], filled up with -1."""
        stop_ids_BS: Indices = self._stop_ids_BS[rows]
        return stop_ids_BS

    def rows_with_stop(self, rows: slice) -> Indices:
        """Rows that look for stop strings."""
        with_stop: Indices = np.flatnonzero(self._has_stop_B[rows]) + rows.start
        return with_stop

    def sampler_rows(self, rows: slice, device: torch.device) -> SamplerRows:
        """The parameters of the rows; those that are neutral in every row are left out."""

        def used(column_B: npt.NDArray[np.generic], neutral: float) -> torch.Tensor | None:
            if (column_B == neutral).all():
                return None
            return torch.from_numpy(column_B.copy()).to(device)

        return SamplerRows(
            temperature_B=used(self._floats["temperature"][rows], 1.0),
            min_p_B=used(self._floats["min_p"][rows], 0.0),
            typical_p_B=used(self._floats["typical_p"][rows], 1.0),
            top_k_B=used(self._integers["top_k"][rows], 0),
            top_p_B=used(self._floats["top_p"][rows], 1.0),
        )

    def measure(self, rows: slice) -> Measure:
        """What any of the rows wants measured."""
        any_3: npt.NDArray[np.bool_] = np.any(self._wants_B3[rows], axis=0)
        return Measure(
            model_logprobs=bool(any_3[0]), entropies=bool(any_3[1]), kept_set_sizes=bool(any_3[2])
        )
