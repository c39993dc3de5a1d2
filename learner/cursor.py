"""Goes through the problems, pass after pass, and can go on from any position."""

from __future__ import annotations

import random
from collections.abc import Sequence

from learner.wire import derived_seed
from trimtab.data.problems import Problem


class DataCursor:
    """Draws problems in an order that seed and position alone decide."""

    def __init__(self, problems: Sequence[Problem], *, seed: int, shuffle: bool) -> None:
        """Begins at position 0."""
        self._problems = problems
        self._seed = seed
        self._shuffle = shuffle
        self._order: list[int] = []
        self._order_pass = -1
        self.position = 0
        """Problems drawn so far."""

    def take(self, count: int) -> dict[str, Problem]:
        """The next problems by a prompt id that no other draw has."""
        taken = {}
        for _ in range(count):
            number, index = divmod(self.position, len(self._problems))
            taken[f"p{self.position}"] = self._problems[self._order_of(number)[index]]
            self.position += 1
        return taken

    def _order_of(self, number: int) -> list[int]:
        if number != self._order_pass:
            self._order = list(range(len(self._problems)))
            if self._shuffle:
                random.Random(derived_seed(self._seed, "order", number)).shuffle(self._order)
            self._order_pass = number
        return self._order
