"""The version of this package."""

from __future__ import annotations

from functools import cache


@cache
def software_version() -> str:
    """Return the installed version of this package."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("robot_recorder")
    except PackageNotFoundError:
        return "0.1.0"  # installed by colcon, which leaves no Python metadata
