"""Checks the structure of a bag that was read back; runs in a process of its own, which a bad file may end."""

from __future__ import annotations

import errno
from pathlib import Path, PurePath

from robot_recorder.bags.bag import storage_of
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.metadata import parse_metadata
from robot_recorder.model.errors import BagError

_MOST_PROBLEMS = 10
# The disk's problem, not the file's: a storage that went away while it was read.
_AWAY = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EIO,
    errno.ESTALE,
    errno.ENODEV,
    errno.ENXIO,
    errno.ETIMEDOUT,
    errno.ENOTCONN,
}


def bag_problems(folder: str, names: list[str], text: str) -> list[str]:
    """Return what is wrong with a bag: its list of files, headers, checksums of chunks, index, counts.

    Args:
        folder: with the data files.
        names: of the data files.
        text: of its ``metadata.yaml``.

    Raises:
        OSError: the disk went away meanwhile, so nothing is known of the bag.
    """
    try:
        return _problems(Path(folder), names, text)[:_MOST_PROBLEMS]
    except BagError as error:
        return [_problem(error)]
    except OSError as error:
        if error.errno in _AWAY:
            raise
        return [f"it cannot be read: {error}"]
    except Exception as error:  # a file may be anything; what it provokes is its problem
        return [f"it cannot be checked ({type(error).__name__}: {error})"]


def _problem(error: BagError) -> str:
    """Return what is wrong with a file.

    Raises:
        OSError: nothing is known of it.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in _AWAY:
        raise OSError(cause.errno, str(error)) from error
    return str(error)


def _problems(path: Path, names: list[str], text: str) -> list[str]:
    metadata = parse_metadata(text, path)
    named = [PurePath(str(name)).name for name in metadata["relative_file_paths"]]
    lacking = [name for name in named if name not in names and name + ".zstd" not in names]
    problems = [f"{name}, which its metadata.yaml names, was not sent" for name in lacking]
    if not named:
        problems.append("its metadata.yaml names no data file")
    counts: list[int | None] = []
    for name in names:
        found, count = _file_problems(path / name)
        problems += found
        if name in named:
            counts.append(count)
    total, told = sum(filter(None, counts)), metadata["message_count"]
    if not problems and counts and None not in counts and total != told:
        problems.append(f"its files have {total} messages, its metadata.yaml says {told}")
    return problems


def _file_problems(path: Path) -> tuple[list[str], int | None]:
    """Return what is wrong with a file, and its messages; None: they are not counted."""
    if path.suffix != ".mcap":
        return _other_problems(path), None
    try:
        found = scan(path)
    except BagError as error:
        return [_problem(error)], None
    problems = [f"{path.name}: {size} bytes at {at} are damaged" for at, size in found.damaged]
    if not found.begins_well:
        problems.append(f"{path.name}: its beginning is not that of an MCAP file of ROS 2")
    elif not found.finished or found.patches:
        problems.append(f"{path.name}: its index is damaged or missing: it was not finished")
    return problems, sum(found.counts.values())


def _other_problems(path: Path) -> list[str]:
    """Return whether a file that should be a sqlite3 bag is one; other files may be anything."""
    try:
        if path.suffix == ".db3" and storage_of(path) != "sqlite3":
            return [f"{path.name} is not a rosbag2 database"]
    except BagError as error:
        return [_problem(error)]
    return []
