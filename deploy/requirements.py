"""Prints what the extras of pyproject.toml need, so that an image layer depends on it alone.

python requirements.py pyproject.toml rollout learner
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

_OWN_EXTRAS = re.compile(r"trimtab\[(?P<extras>[\w,-]+)\]")


def requirements(project: dict[str, object], extras: Iterable[str]) -> set[str]:
    """The project's requirements with those of the extras, extras of extras included."""
    dependencies, optional = project["dependencies"], project["optional-dependencies"]
    assert isinstance(dependencies, list)
    assert isinstance(optional, dict)
    found: set[str] = set(dependencies)
    for extra in extras:
        for requirement in optional[extra]:
            own = _OWN_EXTRAS.fullmatch(requirement)
            found |= requirements(project, own["extras"].split(",")) if own else {requirement}
    return found


if __name__ == "__main__":
    path, *names = sys.argv[1:]
    text = Path(path).read_text(encoding="utf-8")
    sys.stdout.write("\n".join(sorted(requirements(tomllib.loads(text)["project"], names))) + "\n")
