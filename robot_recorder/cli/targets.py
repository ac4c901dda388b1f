"""Folders that commands write into."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.model.errors import ConfigError


def make_folder(folder: Path) -> None:
    """Make a folder unless it exists.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from error
