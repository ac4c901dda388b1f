"""Durable file operations: rename, sync and replace files, set their modes."""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import PARTIAL

FILE_MODE = 0o640  # episodes are films of homes: only the owner writes, the group may read
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)  # no file descriptors left; the file may be fine
# What a write-ahead log of SQLite is cut to by the writers after a reader for whom it grew. Without this
# limit it keeps its size until the last process has closed the file: all day, on a robot.
KEPT_LOG_BYTES = 4 << 20
_NO_MODES = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # from a file system without modes


def is_regular(path: Path) -> bool:
    """Tell whether a path is a regular file, and not a link, pipe or device."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_real_directory(path: Path) -> bool:
    """Tell whether a path is a directory, and not a link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def by_number(path: Path) -> list[Any]:
    """Return a sort key that orders split files by number: _2 before _10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", path.name)]


def read_regular(path: Path, most_bytes: int) -> str:
    """Return the text of a regular file; refuse links and pipes, whose opening could block.

    Raises:
        OSError: it is not a regular file, has more than ``most_bytes`` bytes, or cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if found.st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it has more than {most_bytes} bytes", str(path))
        return file.read(most_bytes).decode()


def folder_mode(file_mode: int) -> int:
    """Return the directory mode for a file mode: whoever may read the files may enter it."""
    return file_mode | (file_mode & 0o444) >> 2


def make_folder(folder: Path, file_mode: int = FILE_MODE) -> None:
    """Make a directory with a mode independent of the umask; leave an existing one unchanged.

    Raises:
        OSError: it cannot be made, or the path is something other than a directory.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    set_mode(folder, folder_mode(file_mode))


def set_mode(target: Path | int, mode: int) -> None:
    """Set the mode of a file or directory; log a warning where the file system has no modes."""
    try:
        os.chmod(target, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
        logging.getLogger(__name__).warning(
            "%s cannot be given the mode %04o (%s): others may be able to read its recordings",
            target, mode, error.strerror,
        )  # fmt: skip


def share(directory: Path, file_mode: int) -> None:
    """Set the modes of an episode directory and its files; failures are only logged."""
    try:
        set_mode(directory, folder_mode(file_mode))
        for path in directory.iterdir():
            if is_regular(path):
                set_mode(path, file_mode)
    except OSError as error:
        logging.getLogger(__name__).warning("cannot set the mode of %s: %s", directory, error)


def mode_beside(path: Path) -> int:
    """Return the mode for a new file: that of the replaced file, or of the directory without x."""
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode):
            return stat.S_IMODE(found.st_mode)
    except FileNotFoundError:
        pass
    return os.stat(path.parent).st_mode & 0o666


@contextmanager
def _directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


class Spare:
    """Reserved file descriptors, for work that must not fail when a process runs out of them.

    Several: other threads open files at the same moment.
    """

    _COUNT = 4

    def __init__(self) -> None:
        self._fds: list[int] = []
        self._given = False
        self._take()

    def _take(self) -> None:
        if self._given:
            return
        with suppress(OSError):  # none left at the moment; the next attempt may succeed
            while len(self._fds) < self._COUNT:
                self._fds.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def give(self) -> None:
        """Release the descriptors for good."""
        self._given = True
        self._let_go()

    def _let_go(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Release the descriptors for the duration of the context."""
        self._let_go()
        try:
            yield
        finally:
            self._take()


def sync_directory(directory: Path) -> None:
    """Flush a directory's entries (names, renames) to the disk."""
    with _directory(directory) as fd:
        os.fsync(fd)


def sync_file(path: Path) -> None:
    """Flush a file's content to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folder_bytes(folder: Path) -> int:
    """Return the bytes of all regular files below a folder; others may replace files meanwhile.

    Raises:
        OSError: the folder cannot be listed.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    total = 0
    for place, _, names in os.walk(folder, onerror=failed):
        for name in names:
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # renamed meanwhile: counted under its other name
                continue
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def replace_text(path: Path, text: str) -> None:
    """Replace a file's content atomically: a crash leaves either the old or the new content.

    Mode and owner of the old file are kept; a new file gets the mode that its directory asks for.
    """
    temporary = path.with_name(path.name + ".tmp")
    mode = mode_beside(path)
    temporary.unlink(missing_ok=True)  # left by a crash, or a malicious link
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            set_mode(fd, mode)
            _keep_owner(fd, path)
            file.write(text)
            file.flush()
            os.fsync(fd)
        with _directory(path.parent) as parent:  # opened first: a failure must change nothing
            os.replace(temporary, path)
            os.fsync(parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _keep_owner(fd: int, path: Path) -> None:
    """Keep the old file's owner, so that labelling as root does not lock the recorder out."""
    with suppress(OSError):  # there is no old file, or changing the owner is not allowed
        old = os.lstat(path)
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; refuse a FIFO, socket or device without blocking on it.

    Raises:
        OSError: the file cannot be opened, or is not a regular file.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = what_is(os.fstat(fd).st_mode)
        if kind != "file":
            raise OSError(errno.EINVAL, f"it is a {kind}, not a file", str(path))
        return open(fd, "rb")
    except BaseException:
        os.close(fd)
        raise


def read_text(path: Path, most_bytes: int) -> str:
    """Return the text of a regular file.

    Raises:
        OSError: the file cannot be read.
        ValueError: the file has more than ``most_bytes`` bytes, or is not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes / 1e6:g} MB")
    return data.decode("utf-8")


def what_is(mode: int) -> str:
    """Name the kind of a path by its ``st_mode``: file, folder, FIFO, socket, device."""
    kinds = (
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "device"), (stat.S_ISCHR, "device"),
    )  # fmt: skip
    return next((word for holds, word in kinds if holds(mode)), "special file")


@contextmanager
def replaced(target: Path) -> Iterator[Path]:
    """Provide a temporary path beside the target; rename it to the target on success.

    Raises:
        ConfigError: the target cannot be written.
    """
    partial = target.with_name(f".{target.name}.partial")
    try:
        yield partial
        os.replace(partial, target)
    except OSError as error:
        raise ConfigError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # on a read-only disk there is nothing to delete
            partial.unlink(missing_ok=True)


def move_into(source: Path, folder: Path, name: str = "", file_mode: int = FILE_MODE) -> Path:
    """Move a file or directory into a folder under a free name; make the folder if it is missing.

    Args:
        source: what to move.
        folder: where to move it.
        name: wanted name in the folder, numbered if taken; empty: the present name.
        file_mode: mode of the folder's files, if the folder has to be made.

    Returns:
        The new path.

    Raises:
        OSError: the source cannot be moved, or the folder is a link.
    """
    make_folder(folder, file_mode)
    if not is_real_directory(folder):
        raise NotADirectoryError(errno.ENOTDIR, "it is a link", str(folder))
    name = name or source.name
    stem, ending = (name[: -len(PARTIAL)], PARTIAL) if name.endswith(PARTIAL) else (name, "")
    target, number = folder / name, 2
    while os.path.lexists(target):
        target, number = folder / f"{stem}-{number}{ending}", number + 1
    rename_durably(source, target)
    return target


def rename_durably(source: Path, target: Path) -> None:
    """Rename a file or directory, and flush both parent directories to the disk.

    Raises:
        FileExistsError: the target exists; nothing is ever overwritten.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} already exists: move it away first")
    os.rename(source, target)
    for parent in dict.fromkeys((target.parent, source.parent)):
        try:
            sync_directory(parent)
        except OSError as error:  # renamed all the same; only a power cut within seconds undoes it
            logging.getLogger(__name__).warning(
                "%s is renamed, but not flushed to the disk: %s", target, error
            )
