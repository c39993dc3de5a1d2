"""All checks, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from trimtab.conformance import (
    batches,
    cases,
    deadlines,
    errors,
    info,
    load,
    repeats,
    results,
    sizes,
    streams,
    text,
)
from trimtab.conformance.model import Check
from trimtab.conformance.options import Options
from trimtab.errors import ConfigError

# What every result must keep to, and what refusals tell, is judged over all calls: last. What may
# leave a server in a bad state comes late.
CHECKS: tuple[Check, ...] = (
    *info.CHECKS,
    *batches.CHECKS,
    *text.CHECKS,
    *repeats.CHECKS,
    *streams.CHECKS,
    cases.known_answers,
    *sizes.CHECKS,
    *deadlines.CHECKS,
    *load.CHECKS,
    *errors.CHECKS,
    *results.CHECKS,
)
"""Every check."""


def selected(options: Options) -> Sequence[Check]:
    """The checks that the options ask for.

    Raises:
        ConfigError: a name fits no check, or none is left.
    """
    for option, patterns in (("--only", options.only), ("--skip", options.skip)):
        for pattern in patterns:
            if not any(fnmatchcase(check.name, pattern) for check in CHECKS):
                known = ", ".join(check.name for check in CHECKS)
                raise ConfigError(f"no check is named {pattern!r}; there are {known}", field=option)
    chosen = [check for check in CHECKS if _is_wanted(check, options)]
    if not chosen:
        raise ConfigError("no check is left to run: see --only, --skip, --quick and --cases")
    return chosen


def _is_wanted(check: Check, options: Options) -> bool:
    if check is cases.known_answers and not options.cases:
        return False
    if any(fnmatchcase(check.name, pattern) for pattern in options.skip):
        return False
    if options.only:
        return any(fnmatchcase(check.name, pattern) for pattern in options.only)
    return not (check.is_heavy and options.is_quick)
