"""Verify a dataset on disk: its files against its lock, and its content by its format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from robot_recorder.dataset.jobs import file_hash
from robot_recorder.dataset.lock import LOCK, read_lock
from robot_recorder.dataset.verify.findings import Finding
from robot_recorder.dataset.verify.lerobot import verify_lerobot
from robot_recorder.dataset.verify.reading import INFO
from robot_recorder.model.errors import ConfigError


def verify_dataset(
    root: Path,
    thorough: bool = False,
    told: Callable[[int, int], None] = lambda done, total: None,
) -> list[Finding]:
    """Return what is wrong with a dataset; empty: it is sound.

    Args:
        root: its folder.
        thorough: decode pictures and read all values.
        told: called with how many of how many episodes are done.

    Raises:
        ConfigError: it is neither a dataset of this exporter nor a LeRobot dataset.
    """
    own, lerobot = (root / LOCK).exists(), (root / INFO).exists()
    if not own and not lerobot and not (root / "meta").is_dir():
        raise ConfigError(f"{root} has neither {LOCK} nor {INFO}: it is not a dataset known here")
    findings = locked_files(root) if own else []
    if lerobot or not own:
        findings += verify_lerobot(root, thorough, told)
    return findings


def locked_files(root: Path) -> list[Finding]:
    """Return which files of a dataset are not those that were exported."""
    fix = "export the dataset again from its lock file"
    found = []
    for name, (size, digest) in read_lock(root).files.items():
        try:
            now = file_hash(root / name)
        except OSError as error:
            found.append(Finding(name, f"cannot be read: {error.strerror}", fix, True))
            continue
        if now[0] != size:
            found.append(Finding(name, f"has {now[0]} bytes instead of {size}", fix, True))
        elif now[1] != digest:
            found.append(Finding(name, "has other content than was exported", fix, True))
    return found
