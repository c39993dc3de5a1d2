"""What a forked process takes away from itself, once, before it reads any model text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from reward_server.sandbox import kernel, landlock, seccomp, user
from reward_server.sandbox.rlimits import limit_resources

PARTS = ("user", "limits", "landlock", "seccomp", "namespaces", "cgroup")
"""What a jacket is made of; `sandbox.parts` of the config can leave some out."""
DEFAULT_UIDS = (60600, 500)
"""First and count: ids that no Linux distribution gives to anybody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jacket:
    """How tight it is."""

    memory_bytes: int
    """Address space."""
    writable_dir: Path | None = None
    """The only folder that can be written to; the zygote fills it in for a child that gets one."""
    file_bytes: int = 0
    """Largest file that can be written; 0: nothing can be written to files."""
    folder_bytes: int = 64 << 20
    """What fits into `writable_dir`, where mounting is allowed."""
    open_files: int = 32
    """Most open descriptors."""
    threads: int = 0
    """Threads beside the main one. Processes cannot be started in any case."""
    readable: tuple[Path, ...] = ()
    """Files and folders that can be read; the zygote adds the Python installation."""
    parts: tuple[str, ...] = PARTS
    """Which parts are put on."""
    uids: tuple[int, int] = DEFAULT_UIDS
    """First user id and number of ids for children, one each, if the zygote runs as root."""
    siblings: int = 64
    """Children at a time, for which the cgroup that they share is sized."""
    user_processes: int | None = None
    """Processes and threads that the zygote's user may have when a child without a user of its own
    starts a thread; the zygote fills it in."""
    uid: int | None = None
    """The child's own user, if it has one; the zygote fills it in."""

    def to_settings(self) -> dict[str, Any]:
        """The jacket as JSON holds it."""
        plain = asdict(self)
        plain["writable_dir"] = None if self.writable_dir is None else str(self.writable_dir)
        plain["readable"] = [str(path) for path in self.readable]
        return plain

    @classmethod
    def from_settings(cls, plain: Mapping[str, Any]) -> Jacket:
        """The inverse of `to_settings`."""
        writable = plain["writable_dir"]
        return cls(
            **{
                **plain,
                "writable_dir": None if writable is None else Path(writable),
                "readable": tuple(Path(path) for path in plain["readable"]),
                "parts": tuple(plain["parts"]),
                "uids": tuple(plain["uids"]),
            }
        )


def put_on(jacket: Jacket) -> dict[str, str]:
    """Jackets this process, for good; gives the parts that do not sit, with the reasons.

    Namespaces, the cgroup and the change of user come before, see `nest.py`. Whatever this raises
    must end the process: it may be half dressed.
    """
    missing: dict[str, str] = {}

    def wear(part: str, put: Callable[[], None]) -> None:
        if part not in jacket.parts:
            missing[part] = "left out by sandbox.parts"
            return
        try:
            put()
        except OSError as error:
            missing[part] = kernel.explained(error)

    wear("limits", lambda: _limit(jacket))
    wear("user", user.renounce_privileges)
    wear("landlock", lambda: landlock.restrict(jacket.readable, jacket.writable_dir))
    wear("seccomp", lambda: seccomp.install(threads=jacket.threads > 0))
    return missing


def _limit(jacket: Jacket) -> None:
    refused = limit_resources(
        memory_bytes=jacket.memory_bytes,
        file_bytes=jacket.file_bytes,
        open_files=jacket.open_files,
        processes=_processes(jacket),
    )
    if refused:
        raise OSError("; ".join(refused))


def _processes(jacket: Jacket) -> int | None:
    if jacket.threads == 0:
        return 0
    # The kernel counts those of the user, which may be the server's as well.
    return jacket.user_processes if jacket.uid is None else 1 + jacket.threads
