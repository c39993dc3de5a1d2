"""What a zygote's children do: a module with these two functions is an entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from reward_server.sandbox.jacket import Jacket
from reward_server.sandbox.memory import MemoryWatch


@dataclass(frozen=True, slots=True)
class Child:
    """What a forked child knows about itself."""

    fd: int
    """Its connection to the server; use `os.read` and `os.write`, the socket calls are closed."""
    jacket: Jacket
    """What it wears, its private folder as `writable_dir` included."""
    memory: MemoryWatch
    """Its peak."""


class Entry(Protocol):
    """The module, as `reward_server.worker`."""

    def prepare(self, settings: dict[str, Any]) -> Any:
        """Runs once in the zygote: imports and warms up whatever children share; gives their state.

        It must leave no thread behind, for the zygote forks, and no open file, for children close
        all they do not know. What is not loaded here of this package can be out of sight later.
        """
        ...

    def run(self, child: Child, state: Any) -> None:
        """Runs in the forked child, jacketed, standard streams closed, until `child.fd` closes."""
        ...
