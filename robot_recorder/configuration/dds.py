"""Choose the DDS profile that nodes are started with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from robot_recorder.configuration.find import config_directory
from robot_recorder.model.errors import ConfigError

LARGE_DATA, NONE = "large_data", "none"
# Names the profile of Fast DDS 3 (Kilted); of Fast DDS 2 (Humble, Jazzy).
FASTDDS, FASTRTPS = "FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"
# Those with Fast DDS 2, which reads the second. Kilted reads both, and would load a file twice.
_WITH_FASTRTPS = ("humble", "iron", "jazzy")
_CYCLONE = "CYCLONEDDS_URI"
# Fast DDS ignores the last if it is given a profile.
_CHOICES = (FASTDDS, FASTRTPS, "FASTDDS_BUILTIN_TRANSPORTS")
_SHARED = Path("/dev/shm")
_NEEDED_BYTES = 150_000_000  # 34 MB for each node; a container has 64 MB unless it is given more
_BESIDE = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")  # read from the folder


def large_data_profile() -> Path:
    """Return the file of the shipped profile of Fast DDS.

    Raises:
        ConfigError: the config folder is not installed.
    """
    return config_directory() / "dds/fastdds_large_data.xml"


def dds_environment(
    choice: str, environment: Mapping[str, str], folder: Path, shared: Path = _SHARED
) -> tuple[dict[str, str], str]:
    """Return the environment variables to set, so that nodes use a DDS profile, and why none if none.

    Args:
        choice: ``large_data``, ``none``, or a profile of Fast DDS.
        environment: what is set already: whoever chose a profile or transports keeps them.
        folder: where the nodes are started, in which Fast DDS looks for a profile, too.
        shared: folder of the shared memory.

    Raises:
        ConfigError: there is no such file.
    """
    if choice == NONE:
        return {}, ""
    if choice == LARGE_DATA:
        if environment.get("RMW_IMPLEMENTATION", "").startswith("rmw_cyclonedds"):
            if environment.get(_CYCLONE):
                return {}, f"{_CYCLONE} is set"
            return {_CYCLONE: (config_directory() / "dds/cyclonedds_large_data.xml").as_uri()}, ""
        if chosen := next(filter(environment.get, _CHOICES), ""):
            return {}, f"{chosen} is set"
        if beside := next((n for n in _BESIDE if (folder / n).exists()), ""):
            return {}, f"{beside} is in this folder"
        if why := _lack_of_memory(shared):
            return {}, why
        return {_variable(environment): str(large_data_profile())}, ""
    path = Path(choice).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"dds_profile {choice!r} is no file: give a profile of Fast DDS, {LARGE_DATA} or {NONE}"
        )
    return {_variable(environment): os.path.abspath(path)}, ""


def _variable(environment: Mapping[str, str]) -> str:
    """Return the variable that this distribution's Fast DDS reads."""
    return FASTRTPS if environment.get("ROS_DISTRO") in _WITH_FASTRTPS else FASTDDS


def _lack_of_memory(shared: Path) -> str:
    """Return why the profile's segments may not fit; empty: they do, or it is unknown."""
    try:
        free = shutil.disk_usage(shared).free
    except OSError:
        return ""
    if free >= _NEEDED_BYTES:
        return ""
    return (
        f"{shared} has {free / 1e6:.0f} MB free, {_NEEDED_BYTES / 1e6:.0f} MB are needed (docker run "
        "--shm-size=1g, or --ipc=host)"
    )
