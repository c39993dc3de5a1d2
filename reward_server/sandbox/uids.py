"""User ids of children."""

from __future__ import annotations


class Uids:
    """Lends each child one that no other child has at the time."""

    def __init__(self, first: int | None, count: int) -> None:
        """`first`: None where the zygote cannot change users, and children stay what it is."""
        self._first = first
        self._free = list(range(count))

    def take(self) -> int | None:
        """A free one; None: the zygote's own.

        Raises:
            OSError: there is none left.
        """
        if self._first is None:
            return None
        if not self._free:
            raise OSError("all user ids are taken: raise sandbox.uid_count")
        # The one that has been free for the longest: whoever had it is surely gone.
        return self._first + self._free.pop(0)

    def give_back(self, uid: int | None) -> None:
        """Frees one whose child has ended."""
        if self._first is not None and uid is not None:
            self._free.append(uid - self._first)
