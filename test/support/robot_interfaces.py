"""The messages of robots and devices, built from test/robots/interfaces and made importable."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def interfaces() -> Path:
    """Return the prefix of the built messages; build them if ``make setup-tests`` has not."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "tools" / "bootstrap.py")
    assert spec is not None and spec.loader is not None
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    with open(ROOT / ".cache" / "robots.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test process may be building them
        bootstrap.build_interfaces()
    prefix: Path = bootstrap.interfaces_prefix()
    return prefix


def packages(prefix: Path) -> Path:
    """Return the folder with the Python packages below a prefix."""
    return next(prefix.glob("lib/python3*/site-packages"))


def use_interfaces() -> None:
    """Make the messages importable in this process, and in its children."""
    prefix = interfaces()
    if str(packages(prefix)) not in sys.path:
        sys.path.append(str(packages(prefix)))
        for name, path in (("AMENT_PREFIX_PATH", prefix), ("PYTHONPATH", packages(prefix))):
            old = os.environ.get(name)
            os.environ[name] = f"{old}{os.pathsep}{path}" if old else str(path)
