"""The files without which Python cannot load its modules."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

_SHARED_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
_OTHERS = ("/etc/ld.so.cache", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/urandom")
_PACKAGE_FOLDERS = ("site-packages", "dist-packages")


def python_files() -> tuple[Path, ...]:
    """What there is of the standard library, installed packages and shared libraries.

    Not in it: the folder that a program was started in, and source trees on `PYTHONPATH`.
    """
    found = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    found.append(str(Path(sys.base_prefix) / "lib"))
    found += [path for path in sys.path if Path(path).name in _PACKAGE_FOLDERS]
    found += os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)
    found += [*_SHARED_LIBRARIES, *_OTHERS]
    paths = dict.fromkeys(Path(name) for name in found if Path(name).is_absolute())
    return tuple(path for path in paths if path.exists() and path != Path("/"))
