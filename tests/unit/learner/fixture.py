"""Two short rows over five tokens, with numbers worked out by hand in double precision."""

from __future__ import annotations

import torch

from learner.batch import TokenBatch
from learner.vocabulary import token_statistics

LOGITS = torch.tensor(
    [
        [[2, 0.5, 0, -1, -2], [0.3, 0.2, 0.1, 0, -0.1], [4, 0, 0, -1, -1], [1, 1, 0, -1, -3]],
        [[0, 1.5, 0.5, -0.5, -1], [3, 1, 0, 0, -2], [0.5, 0, -0.5, 1, 0.2], [0, 0, 0, 0, 0]],
    ],
    dtype=torch.float64,
)
TOKENS = torch.tensor([[0, 2, 0, 2], [1, 3, 4, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]], dtype=torch.float64)
OLD = torch.tensor([[-0.5, -1.4, -0.1, -2.2], [-0.7, -3.0, -2.4, 0]], dtype=torch.float64)
ADVANTAGES = torch.tensor([[1.0], [-1.0]], dtype=torch.float64) * MASK


def fixture_batch(rows: slice = slice(None), *, extra_columns: int = 0) -> TokenBatch:
    """The fixture, or some of its rows, with masked columns added on the right."""
    statistics = token_statistics(LOGITS[rows], TOKENS[rows], temperature=1.0)
    mask = MASK[rows]

    def padded(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(values * mask, (0, extra_columns))

    return TokenBatch(
        logp=padded(statistics.logp).detach().requires_grad_(True),
        old_logp=padded(OLD[rows]),
        advantages=padded(ADVANTAGES[rows]),
        mask=torch.nn.functional.pad(mask, (0, extra_columns)),
        entropy=padded(statistics.entropy),
        old_entropy=padded(statistics.entropy),
        s2=padded(statistics.s2),
    )


def valid(values_BT: torch.Tensor) -> list[float]:
    """The seven valid tokens' values in row order."""
    mask = torch.nn.functional.pad(MASK, (0, values_BT.shape[1] - MASK.shape[1]))
    numbers: list[float] = values_BT.detach()[mask > 0].tolist()
    return numbers
