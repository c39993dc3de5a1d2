"""The running batch: prompts come in, every step draws a token a row, finished rows leave."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from rollout_server.engine import Event, FailedSample, Finish, FinishedSample, WeightsRef
from rollout_server.transformers_engine.job import Job, PromptGroup
from rollout_server.transformers_engine.kv_cache import RowCache
from rollout_server.transformers_engine.model import ModelRunner, Prefilled
from rollout_server.transformers_engine.randomness import uniforms
from rollout_server.transformers_engine.rows import Indices, RowTable, RunningSample
from rollout_server.transformers_engine.sampler import draw
from rollout_server.transformers_engine.stop import Decode, StopSearch, cut
from trimtab.errors import Reason, ServiceError

Events = list[tuple[Job, Event]]

_NOT_ENDED = 0
_FINISHES = (None, Finish.EOS, Finish.STOP, Finish.LENGTH, Finish.ABORTED)
_FAILED = len(_FINISHES)
_FIRST_COLUMNS = 64
"""Columns of the cache that are allocated ahead for what a new row may generate."""


class Batch:
    """Rows of samples with their caches. Its methods give what has happened to which job."""

    def __init__(
        self,
        runner: ModelRunner,
        *,
        decode: Decode,
        end_token_ids: Sequence[int],
        capacity: int,
        device: torch.device,
    ) -> None:
        """`capacity` is the most rows; `decode` gives the text of tokens without special ones."""
        self.table = RowTable(capacity)
        self._runner = runner
        self._decode = decode
        self._end_ids = np.array(sorted(end_token_ids), dtype=np.int64)
        self._device = device
        self._cache = RowCache()

    @property
    def count(self) -> int:
        """Samples that are being generated."""
        return self.table.count

    def begin(
        self, taken: Sequence[tuple[PromptGroup, int]], prefilled: Prefilled, weights: WeightsRef
    ) -> Events:
        """Adds so many samples of each prompt and draws their first token."""
        started_s = time.monotonic()
        counts = [begins for _, begins in taken]
        source_B = np.repeat(np.arange(len(taken)), counts)
        first_B = prefilled.column_count - np.array(prefilled.lengths)[source_B]
        samples: list[RunningSample] = []
        for index, (group, begins) in enumerate(taken):
            hidden = None if prefilled.hidden_PD is None else prefilled.hidden_PD[index]
            samples += self._samples(group, begins, weights, started_s, hidden)
        rows = slice(self.count, self.count + len(samples))
        if self.count == 0:
            self._cache.shrink(8 * (prefilled.column_count + _FIRST_COLUMNS))
        self._cache.ensure(rows.stop, prefilled.column_count + _FIRST_COLUMNS, prefilled.layers)
        source = torch.from_numpy(source_B).to(self._device)
        self._cache.put(
            torch.arange(rows.start, rows.stop, device=self._device), source, prefilled.layers
        )
        self.table.add(samples, first_B, prefilled.column_count)
        return self._draw(rows, prefilled.logits_PV[source])

    def step(self) -> Events:
        """Draws the next token of every row."""
        rows = slice(0, self.count)
        last_B = self.table.column("prompt_end") + self.table.column("generated") - 1
        self._cache.ensure(rows.stop, int(last_B.max()) + 1)
        logits_BV = self._runner.decode(
            torch.from_numpy(self.table.last_tokens(rows)).to(self._device),
            torch.from_numpy(self.table.column("first").copy()).to(self._device),
            torch.from_numpy(last_B).to(self._device),
            self._cache,
        )
        return self._draw(rows, logits_BV)

    def abort(self) -> Events:
        """Ends every sample with what it has."""
        return self._leave(np.full(self.count, _FINISHES.index(Finish.ABORTED)), 0)

    def drop_cancelled(self) -> None:
        """Removes the rows of cancelled jobs."""
        cancelled = [row for row, sample in enumerate(self.table.samples) if sample.job.cancelled]
        self._remove(np.array(cancelled, dtype=np.int64))

    def forget(self) -> None:
        """Frees the caches; no row may be in use."""
        self._cache.shrink(0)

    def generated_by_job(self, job: Job) -> int:
        """Tokens that the running samples of a job have by now."""
        generated = self.table.column("generated")
        return sum(
            int(generated[row]) for row, own in enumerate(self.table.samples) if own.job is job
        )

    def _samples(
        self,
        group: PromptGroup,
        begins: int,
        weights: WeightsRef,
        started_s: float,
        hidden_D: torch.Tensor | None,
    ) -> list[RunningSample]:
        chosen = range(group.next_sample, group.next_sample + begins)
        group.next_sample += begins
        group.job.waiting_count -= begins
        stop = group.prompt.sampling.stop
        host_D = None if hidden_D is None else hidden_D.cpu().numpy()
        return [
            RunningSample(
                job=group.job,
                group=group,
                sample_index=group.prompt.sample_indices[index],
                seed=group.prompt.seeds[index],
                weights=weights,
                started_s=started_s,
                stop_search=StopSearch(stop, self._decode) if stop else None,
                prompt_hidden_state=host_D,
            )
            for index in chosen
        ]

    def _draw(self, rows: slice, logits_BV: torch.Tensor) -> Events:
        positions_B = self.table.column("generated", rows)
        drawn = draw(
            logits_BV,
            self.table.sampler_rows(rows, self._device),
            torch.from_numpy(uniforms(self.table.seeds(rows), positions_B)).to(self._device),
            forbidden_BV=self._forbidden(rows, logits_BV.shape[1]),
            measure=self.table.measure(rows),
        )
        self.table.record(rows, drawn)
        return self._leave(self._endings(rows), rows.start)

    def _forbidden(self, rows: slice, vocabulary_size: int) -> torch.Tensor | None:
        """End and stop tokens of the rows that are still below their `min_tokens`."""
        short_B = self.table.column("generated", rows) < self.table.column("min_tokens", rows)
        if not short_B.any():
            return None
        forbidden_BV = np.zeros((rows.stop - rows.start, vocabulary_size + 1), dtype=np.bool_)
        forbidden_BV[:, self._end_ids] = True
        # The filler -1 lands in the column that is cut off.
        np.put_along_axis(forbidden_BV, self.table.stop_ids(rows), True, axis=1)
        forbidden_BV[~short_B] = False
        return torch.from_numpy(forbidden_BV[:, :vocabulary_size]).to(self._device)

    def _endings(self, rows: slice) -> Indices:
        """For each row the index of its `Finish` in `_FINISHES`, or 0, or `_FAILED`."""
        tokens_B = self.table.last_tokens(rows)
        ending_B = np.full(len(tokens_B), _NOT_ENDED, dtype=np.int64)
        full_B = self.table.column("generated", rows) >= self.table.column("max_tokens", rows)
        ending_B[full_B] = _FINISHES.index(Finish.LENGTH)
        stopped_B = (tokens_B[:, None] == self.table.stop_ids(rows)).any(axis=1)
        for row in self.table.rows_with_stop(rows).tolist():
            search = self.table.samples[row].stop_search
            assert search is not None
            stopped_B[row - rows.start] |= search.push(int(tokens_B[row - rows.start]))
        ending_B[stopped_B] = _FINISHES.index(Finish.STOP)
        ending_B[np.isin(tokens_B, self._end_ids)] = _FINISHES.index(Finish.EOS)
        ending_B[self.table.failed(rows)] = _FAILED
        return ending_B

    def _leave(self, ending_B: Indices, start: int) -> Events:
        ended = np.flatnonzero(ending_B)
        events: Events = []
        for index in ended.tolist():
            sample = self.table.samples[start + index]
            code = int(ending_B[index])
            event = self._failed(sample) if code == _FAILED else self._finished(start + index, code)
            sample.job.finished_count += 1
            events.append((sample.job, event))
        failed = np.flatnonzero(ending_B == _FAILED)
        if len(failed):
            self._cache.clear(torch.from_numpy(failed + start).to(self._device))
        self._remove(ended + start)
        return events

    def _remove(self, removed: npt.NDArray[np.int64]) -> None:
        if not len(removed):
            return
        from_B, to_B = self.table.remove(removed)
        if len(from_B):
            used = self.table.column("prompt_end") + self.table.column("generated")
            self._cache.move(
                torch.from_numpy(from_B).to(self._device),
                torch.from_numpy(to_B).to(self._device),
                int(used.max()),
            )

    def _finished(self, row: int, code: int) -> FinishedSample:
        sample = self.table.samples[row]
        generated = self.table.generated(row)
        finish = _FINISHES[code]
        assert finish is not None
        want = sample.job.task.want
        sample.job.generated_token_count += len(generated.token_ids)
        return FinishedSample(
            prompt=sample.group.prompt,
            sample_index=sample.sample_index,
            token_ids=generated.token_ids,
            text=self._text(sample, generated.token_ids, finish),
            finish=finish,
            weights=sample.weights,
            logprobs=generated.logprobs if want.logprobs else None,
            model_logprobs=generated.model_logprobs if want.model_logprobs else None,
            entropies=generated.entropies if want.entropies else None,
            kept_set_sizes=generated.kept_set_sizes if want.kept_set_sizes else None,
            prompt_hidden_state=sample.prompt_hidden_state,
            waiting_s=sample.started_s - sample.job.arrived_s,
            generating_s=time.monotonic() - sample.started_s,
        )

    def _text(self, sample: RunningSample, token_ids: list[int], finish: Finish) -> str:
        """The text before the stop string; an end or stop token is no part of it."""
        sampling = sample.group.prompt.sampling
        ends = finish is Finish.EOS or token_ids[-1] in sampling.stop_token_ids
        return cut(self._decode(token_ids[:-1] if ends else token_ids), sampling.stop)

    def _failed(self, sample: RunningSample) -> FailedSample:
        return FailedSample(
            prompt_id=sample.group.prompt.prompt_id,
            sample_index=sample.sample_index,
            error=ServiceError(
                Reason.INTERNAL,
                "the model gave logits that are not numbers under weights "
                f"{sample.weights.lineage!r} version {sample.weights.version}: push sound weights",
            ),
        )
