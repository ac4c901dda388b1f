"""Durable file operations. The only place that renames, syncs or replaces files."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robot_recorder.core.errors import ConfigError


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory against everybody else who does, in this process or another."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def sync_directory(directory: Path) -> None:
    """Bring a directory's entries (names, renames) to the disk."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Bring a file's content to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files below a folder, while others may replace some of them."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # what replaced it is counted, or was
            continue
    return total


def replace_text(path: Path, text: str) -> None:
    """Replace a file's content so that a crash leaves either the old or the new one, whole."""
    temporary = path.with_name(path.name + ".tmp")
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    sync_directory(path.parent)


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """A path to write to, beside the target, whose place it takes once it is whole.

    Raises:
        ConfigError: it can not be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        raise ConfigError(f"{target} can not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # on a disk that can only be read there is none
            partial.unlink(missing_ok=True)


def move_into(source: Path, folder: Path) -> Path:
    """Move something into a folder, made if need be, under a name that is free there."""
    folder.mkdir(exist_ok=True)
    target, number = folder / source.name, 2
    while target.exists():
        target, number = folder / f"{source.name}-{number}", number + 1
    rename_durably(source, target)
    return target


def rename_durably(source: Path, target: Path) -> None:
    """Rename and sync both parents.

    Raises:
        FileExistsError: the target is there already; nothing is ever overwritten.
    """
    if target.exists():
        raise FileExistsError(f"{target} exists already; move it away first")
    os.rename(source, target)
    sync_directory(target.parent)
    if source.parent != target.parent:
        sync_directory(source.parent)
