"""What happens in the process that runs a program: an entry of `sandbox/entry.py`.

The program owns this process: it can patch every function here and write whatever it likes to the
connection. So nothing that comes from here is a verdict: it is output that the program claims, and
the server compares it with what only the server knows. A process serves one request and ends.

The request holds `program`, `memory_bytes`, `cpu_s` and either `input` or `calls` with
`max_result_size`. A first frame says that everything is ready for the program. With `input` the
connection then becomes the program's standard output; a program that fails leaves a NUL and a line
of explanation at its end. With `calls` one frame answers each call.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import random
import resource
import sys
import tempfile
import threading
import types
from pathlib import Path
from typing import Any

from reward_server import frames
from reward_server.limits import limit_cpu
from reward_server.programs.prelude import PRELOADED, prelude
from reward_server.programs.values import Unwritable, Writer, read
from reward_server.sandbox.entry import Child

_MAX_EXPLANATION_CHARS = 300


def prepare(settings: dict[str, Any]) -> None:
    """Imports what programs use, so that children share it."""
    for name in (*PRELOADED, *settings["libraries"]):
        importlib.import_module(name)


def run(child: Child, state: None) -> None:  # noqa: ARG001 - an entry's signature
    """Runs the one program that the server sends."""
    request = frames.receive(child.fd)
    if request is None:
        return
    _settle(child.jacket.writable_dir)
    if "input" in request:
        _redirect(_input_file(request["input"]), 0)
    _limit(request)
    frames.send(child.fd, {"ready": True})
    if "input" in request:
        _redirect(child.fd, 1)
    _open_streams()
    if "input" in request:
        os._exit(_run_main(request["program"]))
    _answer_calls(child.fd, request)
    os._exit(0)


def _settle(private_dir: Path | None) -> None:
    """Moves into the private folder and forgets where the server's code is."""
    home = str(private_dir or "/")
    os.chdir(home)
    os.environ.clear()
    os.environ.update({"HOME": home, "TMPDIR": home, "LANG": "C.UTF-8", "PATH": os.defpath})
    tempfile.tempdir = home
    prefixes = (sys.base_prefix, sys.prefix)
    sys.path[:] = [path for path in sys.path if path.startswith(prefixes)]
    sys.argv[:] = ["program.py"]
    atexit._clear()
    random.seed(0)


def _limit(request: dict[str, Any]) -> None:
    limit_cpu(request["cpu_s"])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    memory_bytes = request["memory_bytes"]
    if hard == resource.RLIM_INFINITY or memory_bytes < hard:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))


def _input_file(text: str) -> int:
    """A descriptor of a file without a name that holds the text."""
    path = Path("input")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    path.unlink()
    left = memoryview(text.encode(errors="replace"))
    while left:
        left = left[os.write(fd, left) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _redirect(fd: int, standard: int) -> None:
    os.dup2(fd, standard)
    os.close(fd)


def _open_streams() -> None:
    """Gives the program fresh text streams on the standard descriptors."""
    sys.stdin = os.fdopen(0, "r", encoding="utf-8")
    sys.stdout = os.fdopen(1, "w", encoding="utf-8")
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace")
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def _run_main(program: str) -> int:
    """Runs the program as the interpreter would; gives its exit status."""
    status, explanation = 0, ""
    module = types.ModuleType("__main__")
    try:
        _execute(program, module)
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its own
        status, explanation = _ending(error)
    for end in (_join_threads, _run_exit_functions, module.__dict__.clear, _flush):
        try:
            end()
        except BaseException as error:  # noqa: BLE001
            status, explanation = 1, explanation or _explained(error)
    if status:
        os.write(1, b"\0" + explanation.encode(errors="replace"))
    return status


def _execute(program: str, module: types.ModuleType) -> None:
    sys.modules[module.__name__] = module
    code = compile(program.removeprefix("\ufeff"), "program.py", "exec", dont_inherit=True)
    exec(code, module.__dict__)  # noqa: S102 - this process exists to do so


def _ending(error: BaseException) -> tuple[int, str]:
    if not isinstance(error, SystemExit):
        return 1, _explained(error)
    if error.code is None or isinstance(error.code, int):
        status = (error.code or 0) & 0xFF
        return status, f"it called sys.exit({error.code})"
    return 1, f"it called sys.exit: {error.code}"


def _run_exit_functions() -> None:
    atexit._run_exitfuncs()


def _flush() -> None:
    gc.collect()  # streams that the program has left open flush when they go
    for stream in (sys.stdout, sys.__stdout__):
        if stream is not None:
            stream.flush()


def _join_threads() -> None:
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()


def _answer_calls(fd: int, request: dict[str, Any]) -> None:
    """Sends the value that each call gives, or what went wrong with it."""
    module = types.ModuleType("program")
    module.__dict__.update(prelude())
    try:
        _execute(request["program"], module)
    except BaseException as error:  # noqa: BLE001 - whatever the program raises is its own
        frames.send(fd, {"failure": _explained(error)})
        return
    for call in request["calls"]:
        try:
            function = _function(module, call["function"])
            result = function(*read(call["arguments"]), **read(call["keywords"]))
            answer = {"value": Writer(request["max_result_size"]).write(result)}
        except Unwritable as error:
            answer = {"error": f"the result {error}"}
        except BaseException as error:  # noqa: BLE001
            answer = {"error": _explained(error)}
        frames.send(fd, answer)


def _function(module: types.ModuleType, name: str) -> Any:
    """The function of that name: `f`, or `Class().f`; `f` may also be a method of `Solution`."""
    owner, _, method = name.rpartition("().")
    if owner:
        return getattr(getattr(module, owner)(), method)
    if not hasattr(module, name) and hasattr(module, "Solution"):
        return getattr(module.Solution(), name)
    return getattr(module, name)


def _explained(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:_MAX_EXPLANATION_CHARS]
