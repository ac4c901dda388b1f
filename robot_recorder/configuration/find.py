"""Find and read configuration files."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import TaskRegistry, parse_tasks
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import RobotProfile

if TYPE_CHECKING:  # recording needs neither
    from robot_recorder.configuration.buttons import Bindings
    from robot_recorder.configuration.words import Words


def ament_prefixes() -> list[str]:
    """Return the prefixes under which ROS 2 packages are installed, in order of precedence."""
    return [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]


def config_directory() -> Path:
    """Return the ``config`` folder of the ROS 2 install, the Python install or the source tree.

    Raises:
        ConfigError: the folder is not installed.
    """
    # The prefixes of colcon, then those of pip for data files: virtual environment, user, Debian.
    prefixes = ament_prefixes()
    prefixes += [sys.prefix, site.getuserbase(), sysconfig.get_path("data"), "/usr/local"]
    candidates = [Path(p) / "share/robot_recorder/config" for p in filter(None, prefixes)]
    candidates.append(Path(__file__).resolve().parents[1] / "config")
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigError(
        f"the config folder is not installed; looked in {', '.join(map(str, candidates))}"
    )


def installed_program(name: str) -> Path:
    """Return the path of one of this package's executables, as ``ros2 run`` would find it.

    Raises:
        ConfigError: the executable is not installed.
    """
    prefixes = ament_prefixes()
    for prefix in prefixes:
        path = Path(prefix, "lib/robot_recorder", name)
        if path.exists():
            return path
    raise ConfigError(f"{name} is not installed in any of {prefixes}: source its setup file")


def load_profile(name: str) -> RobotProfile:
    """Read a robot profile.

    Args:
        name: a file, or the name of a shipped profile of a robot or device such as ``g1_sim``.

    Raises:
        ConfigError: the file does not exist, or is not a valid profile.
    """
    path = _profile_path(name, None)

    def included(other: str) -> tuple[str, str]:
        found = _profile_path(other, path.parent)
        return _read(found), str(found)

    return parse_profile(_read(path), str(path), included)


def profile_folders() -> list[Path]:
    """Return the folders of the shipped profiles: robots, then devices."""
    return [config_directory() / "robots", config_directory() / "devices"]


def _profile_path(name: str, beside: Path | None) -> Path:
    """Return the file of a profile.

    Args:
        name: a file, or a name without ending.
        beside: folder that is looked in first, and that relative files are in; None: neither.

    Raises:
        ConfigError: no shipped profile has this name.
    """
    path = Path(name).expanduser()
    if path.suffix or os.sep in name:
        return path if beside is None else beside / path
    folders = [*([beside] if beside is not None else []), *profile_folders()]
    for folder in folders:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    known = ", ".join(sorted({p.stem for folder in folders for p in folder.glob("*.yaml")}))
    raise ConfigError(
        f"no profile '{name}' in {folders[0].parent}; there are {known}; or give a file"
    )


def load_tasks(name: str = "") -> TaskRegistry:
    """Read a task registry.

    Args:
        name: a file; empty: the shipped registry.

    Raises:
        ConfigError: the file does not exist, or is not a valid registry.
    """
    path = Path(name).expanduser() if name else config_directory() / "tasks.yaml"
    return parse_tasks(_read(path), str(path))


def load_buttons(names: str) -> Bindings:
    """Read bindings of buttons.

    Args:
        names: files, or names of shipped ones such as ``pedal``, separated by commas; empty: no buttons.

    Raises:
        ConfigError: a file does not exist or is invalid, or two bind the same button.
    """
    from robot_recorder.configuration.buttons import joined, parse_buttons

    found = []
    for name in filter(None, map(str.strip, names.split(","))):
        path = Path(name).expanduser()
        if not (path.suffix or os.sep in name):
            path = _shipped("buttons", name)
        found.append(parse_buttons(_read(path), str(path)))
    return joined(found)


def load_words(language: str) -> Words:
    """Read what is said and shown in a language.

    Args:
        language: one of ``LANGUAGES``.

    Raises:
        ConfigError: there is no such language, or its file is invalid.
    """
    from robot_recorder.configuration.words import LANGUAGES, parse_words

    if language not in LANGUAGES:
        raise ConfigError(f"unknown language '{language}'; {did_you_mean(language, LANGUAGES)}")
    path = _shipped("words", language)
    return parse_words(_read(path), str(path), language)


def _shipped(folder: str, name: str) -> Path:
    """Return the file of a name in a folder of ``config``.

    Raises:
        ConfigError: it does not exist; the message names the most similar ones.
    """
    path = config_directory() / folder / f"{name}.yaml"
    if not path.is_file():
        known = [other.stem for other in path.parent.glob("*.yaml")]
        hint = (
            did_you_mean(name, known)
            if known
            else f"{path.parent} is empty: install the package again"
        )
        raise ConfigError(f"no {folder} '{name}'; {hint}; or give a file")
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: {error}") from error
