"""What `trimtab doctor` looks at. Nothing here changes anything."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimtab.config.run import RunConfig
from trimtab.errors import ConfigError, RemoteError, ServiceError
from trimtab.model_path import BUNDLED_MODEL, resolve_model
from trimtab.supervisor import PROGRAMS, SERVICE_NAMES, Presence, ServiceName, probe, serve_config
from trimtab.supervisor.addresses import port_is_free
from trimtab.supervisor.greeting import greet

State = Literal["ok", "missing", "broken"]
_LEAST_PYTHON = (3, 11)
_LEAST_DISK_BYTES = 2 << 30
_TORCH_TIMEOUT_S = 120
_ASK_TORCH = """
import json, torch
cuda = torch.cuda.is_available()
count = torch.cuda.device_count() if cuda else 0
names = [torch.cuda.get_device_name(index) for index in range(count)]
facts = {"version": torch.__version__, "devices": names, "threads": torch.get_num_threads()}
print(json.dumps(facts))
"""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    **{name: PROGRAMS[name].packages for name in SERVICE_NAMES},
    "ui": ("jinja2", "matplotlib"),
    "vllm": ("vllm",),
}
"""Importable names that each extra brings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was found."""

    name: str
    """What was looked at."""
    state: State
    """`missing` is no fault: something optional is not there."""
    found: str
    """In one line."""
    mend: str = ""
    """What to do; empty if it is fine."""


def check_python() -> Check:
    """Is Python new enough?"""
    found = f"{platform.python_version()} ({sys.executable})"
    if sys.version_info >= _LEAST_PYTHON:
        return Check(name="Python", state="ok", found=found)
    return Check(name="Python", state="broken", found=found, mend="install Python 3.11 or newer")


def check_extra(extra: str) -> Check:
    """Are the packages of an extra installed?"""
    found, missing = [], []
    for name in EXTRAS[extra]:
        if importlib.util.find_spec(name) is None:
            missing.append(name)
        else:
            found.append(f"{name} {_version(name)}")
    if missing:
        text = f"without {', '.join(missing)}"
        mend = f"pip install 'trimtab[{extra}]', if it is wanted here"
        return Check(name=f"extra {extra}", state="missing", found=text, mend=mend)
    return Check(name=f"extra {extra}", state="ok", found=", ".join(found))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(version unknown)"


def check_torch() -> Check:
    """Which device will models run on? Asks another process: torch is slow to load."""
    if importlib.util.find_spec("torch") is None:
        return Check(name="torch", state="missing", found="not installed", mend="see the extras")
    try:
        answer = subprocess.run(
            [sys.executable, "-c", _ASK_TORCH],
            capture_output=True,
            text=True,
            timeout=_TORCH_TIMEOUT_S,
            check=True,
        )
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        output = error.stderr if isinstance(error.stderr, str) else ""
        last = next(iter(reversed(output.strip().splitlines())), str(error))
        return Check(name="torch", state="broken", found=last, mend="reinstall torch")
    facts = json.loads(answer.stdout.splitlines()[-1])
    devices = ", ".join(facts["devices"]) or f"cpu, {facts['threads']} threads"
    return Check(name="torch", state="ok", found=f"{facts['version']} on {devices}")


def check_model() -> Check:
    """Is the bundled model there?"""
    try:
        folder = Path(resolve_model(BUNDLED_MODEL, allow_hub=False))
        sizes = [(folder / name).stat().st_size for name in ("config.json", "model.safetensors")]
        json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (ServiceError, OSError, ValueError) as error:
        mend = "reinstall trimtab"
        return Check(name=BUNDLED_MODEL, state="broken", found=str(error), mend=mend)
    return Check(name=BUNDLED_MODEL, state="ok", found=f"{sum(sizes) / 1e6:.1f} MB in {folder}")


async def check_service(service: ServiceName, config: RunConfig) -> Check:
    """Is the service's port free, or does the service answer there?"""
    listen: str = getattr(serve_config(config), service).listen
    name = f"{service} on {listen}"
    presence = await probe(service, listen)
    if presence is Presence.NOTHING and port_is_free(listen):
        return Check(name=name, state="ok", found="the port is free")
    if presence is Presence.SERVING:
        try:
            return Check(name=name, state="ok", found=f"serves: {await greet(service, listen)}")
        except RemoteError as error:
            return Check(name=name, state="broken", found=str(error), mend="restart it")
    found = "the service, not ready" if presence is Presence.NOT_READY else "another program"
    mend = f"end it, or choose another port with serve.{service}.listen"
    return Check(name=name, state="broken", found=f"the port is taken by {found}", mend=mend)


def check_disk(config: RunConfig) -> Check:
    """Is there room for runs?"""
    folder = serve_config(config).learner.runs_dir.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    found = f"{free / 1e9:.1f} GB free in {folder}"
    if free >= _LEAST_DISK_BYTES:
        return Check(name="disk", state="ok", found=found)
    mend = "free some space, or set serve.learner.runs_dir"
    return Check(name="disk", state="broken", found=found, mend=mend)


def config_check(name: str, problem: ConfigError | None) -> Check:
    """What reading a config gave."""
    if problem is None:
        return Check(name="config", state="ok", found=f"{name} holds")
    return Check(name="config", state="broken", found=str(problem), mend="correct the line")
