"""What a client and a command line load: no heavy library that they do not need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import trimtab.config

HEAVY = {"torch", "transformers", "vllm"}
CONFIG_MODULES = [
    f"trimtab.config.{path.stem}" for path in Path(trimtab.config.__path__[0]).glob("[!_]*.py")
]
LISTING = "import json, sys, {modules}; print(json.dumps(sorted(sys.modules)))"


def loaded_by(*modules: str) -> set[str]:
    """What stands in `sys.modules` of a new interpreter after an import."""
    program = LISTING.format(modules=", ".join(modules))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("modules", "forbidden"),
    [
        (["trimtab.client"], HEAVY | {"pydantic", "yaml", "pyarrow", "structlog", "rich"}),
        (["trimtab.client.rollout_pool"], HEAVY | {"pydantic", "yaml", "pyarrow", "structlog"}),
        (CONFIG_MODULES, HEAVY | {"grpc"}),
        (["trimtab.cli"], HEAVY),
        (["trimtab.router", "trimtab.records", "trimtab.server.main"], HEAVY),
        (["reward_server.app"], HEAVY),
    ],
)
def test_imports_stay_light(modules: list[str], forbidden: set[str]) -> None:
    loaded = loaded_by(*modules)
    assert set(modules) <= loaded
    assert loaded & forbidden == set()
