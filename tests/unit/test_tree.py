"""The tree keeps to its limits: small files, small functions, gRPC only at the edge."""

from __future__ import annotations

import ast
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("rollout_server", "reward_server", "learner")
PACKAGES = ("trimtab", *SERVICES)
MOST_LINES = 600
MOST_MEDIAN_LINES = 150
MOST_FUNCTION_LINES = 60
AT_THE_EDGE = {"service.py", "app.py", "build.py", "__main__.py"}


def tracked(*patterns: str) -> list[Path]:
    """Files in git by hand: neither generated code nor environments."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *patterns], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [ROOT / line for line in listed.stdout.splitlines()]
    return [path for path in paths if "_pb2" not in path.name and path.exists()]


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of the functions in its body."""
    inner = [
        node for node in function.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return _span(function) - sum(_span(node) for node in inner)


def _span(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def imported_packages(path: Path) -> set[str]:
    """Outermost names of what a file imports, whatever the depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_no_file_is_long() -> None:
    sizes = {shown(path): lines_of(path) for path in tracked("*.py", "*.proto")}
    assert len(sizes) > 100
    assert {name: size for name, size in sizes.items() if size > MOST_LINES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_most_files_are_small(package: str) -> None:
    assert statistics.median(map(lines_of, tracked(f"{package}/*.py"))) <= MOST_MEDIAN_LINES


def test_no_function_is_long() -> None:
    offenders = [
        f"{shown(path)}:{node.lineno} {node.name}: {length} lines"
        for path in tracked(*(f"{package}/*.py" for package in PACKAGES))
        for node in functions(path)
        if (length := own_lines(node)) > MOST_FUNCTION_LINES
    ]
    assert offenders == []


@pytest.mark.parametrize("service", SERVICES)
def test_domain_modules_import_no_grpc(service: str) -> None:
    importing = {
        shown(path).removeprefix(f"{service}/")
        for path in tracked(f"{service}/*.py")
        if imported_packages(path) & {"grpc", "grpc_health", "grpc_status", "grpc_reflection"}
    }
    assert importing - AT_THE_EDGE == set()
