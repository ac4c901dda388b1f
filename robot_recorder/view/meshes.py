"""Finds the mesh files that a robot description names."""

from __future__ import annotations

import os
from pathlib import Path

from robot_recorder.configuration.find import ament_prefixes

# Formats that Rerun draws. Descriptions come from anyone, so no other file gets into a recording.
_SUFFIXES = (".stl", ".obj", ".dae", ".glb", ".gltf")


def find_mesh(uri: str) -> Path | None:
    """Return the file of a ``package://`` or ``file://`` address or a path; None: not found.

    Packages are found as in ROS, by AMENT_PREFIX_PATH and ROS_PACKAGE_PATH.
    """
    scheme, colon, rest = uri.partition("://")
    places = [Path(uri)]
    if colon:
        places = [Path(rest)] if scheme == "file" else []
    if scheme == "package":
        package, _, below = rest.partition("/")
        places = [folder / below for folder in _folders(package)]
    found = (p for p in places if p.suffix.lower() in _SUFFIXES and _is_there(p))
    return next(found, None)


def _is_there(path: Path) -> bool:
    try:
        return path.is_absolute() and path.is_file() and os.access(path, os.R_OK)
    except OSError:  # an invalid path in the description
        return False


def _folders(package: str) -> list[Path]:
    sources = os.environ.get("ROS_PACKAGE_PATH", "").split(os.pathsep)
    found = [Path(prefix) / "share" / package for prefix in ament_prefixes()]
    for source in map(Path, filter(None, sources)):  # a package itself, or a directory of packages
        found.append(source if source.name == package else source / package)
    return found
