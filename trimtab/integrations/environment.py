"""What functions that trainers load by a path know of their user's wishes: the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache

from trimtab.errors import ConfigError
from trimtab.integrations.caller import Caller

VERIFIER_VARIABLE = "TRIMTAB_VERIFIER"
PATIENCE_VARIABLE = "TRIMTAB_PATIENCE_S"
_DEFAULT_PATIENCE_S = 300.0


@cache
def shared_caller() -> Caller:
    """The process's caller, with TRIMTAB_REWARD and TRIMTAB_PATIENCE_S as at the first call.

    Raises:
        ConfigError: a variable does not hold.
    """
    text = os.environ.get(PATIENCE_VARIABLE)
    try:
        patience_s = float(text) if text else _DEFAULT_PATIENCE_S
    except ValueError as error:
        raise ConfigError(f"{text!r} is no number of seconds", field=PATIENCE_VARIABLE) from error
    return Caller(patience_s=patience_s)


@cache
def verifiers() -> Mapping[str, str]:
    """TRIMTAB_VERIFIER as a verifier by data source; "*": all others.

    `math` is one for all, `openai/gsm8k=numeric,*=math` says it by source. Without the variable
    the mapping is empty: the server's first verifier judges.

    Raises:
        ConfigError: the variable does not hold.
    """
    parts = [part.strip() for part in os.environ.get(VERIFIER_VARIABLE, "").split(",")]
    found: dict[str, str] = {}
    for part in filter(None, parts):
        source, _, name = part.rpartition("=")
        if not name or (source or "*") in found:
            raise ConfigError(
                f"{part!r}: write NAME, or SOURCE=NAME with commas between", field=VERIFIER_VARIABLE
            )
        found[source or "*"] = name
    return found


def verifier_for(source: str, given: Mapping[str, str] | None = None) -> str:
    """The verifier of a data source; empty: the server's first."""
    known = verifiers() if given is None else given
    return known.get(source, known.get("*", ""))
