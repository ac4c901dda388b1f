"""Durable file operations. The only place that renames, syncs or replaces files."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from robot_recorder.model.errors import ConfigError
from robot_recorder.model.ids import PARTIAL

FILE_MODE = 0o640  # episodes are films of homes: nobody but the owner writes, the group may read
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)  # it says nothing about what was to be opened
_NO_MODES = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS)  # of a file system that knows none


def is_regular(path: Path) -> bool:
    """Whether a path itself is a file with content: no link, no pipe, no device."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_real_directory(path: Path) -> bool:
    """Whether a path itself is a directory, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except (OSError, ValueError):
        return False


def read_regular(path: Path, most_bytes: int) -> str:
    """The text of a regular file; never waits, as opening a pipe would.

    Raises:
        OSError: it is no regular file, larger, or cannot be read.
        UnicodeDecodeError: it is no text.
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
    """The mode of a directory whose files have one: who may read them may look into it."""
    return file_mode | (file_mode & 0o444) >> 2


def make_folder(folder: Path, file_mode: int = FILE_MODE) -> None:
    """Make a directory, whatever the umask is; nothing happens to one that is there.

    Raises:
        OSError: it cannot be made, or is something else, also a link.
    """
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not folder.is_dir():
            raise
        return
    set_mode(folder, folder_mode(file_mode))


def set_mode(target: Path | int, mode: int) -> None:
    """Give a file or directory a mode, where the file system has modes."""
    try:
        os.chmod(target, mode)
    except OSError as error:
        if error.errno not in _NO_MODES:
            raise
        logging.getLogger(__name__).warning(
            "%s cannot be given the mode %04o (%s): others may be able to read what is recorded there",
            target, mode, error.strerror,
        )  # fmt: skip


def share(directory: Path, file_mode: int) -> None:
    """Give a directory of ours and every file in it their modes; a failure is told, and costs no take."""
    try:
        set_mode(directory, folder_mode(file_mode))
        for path in directory.iterdir():
            if is_regular(path):
                set_mode(path, file_mode)
    except OSError as error:
        logging.getLogger(__name__).warning("%s does not get its mode: %s", directory, error)


def mode_beside(path: Path) -> int:
    """The mode of a file to be made: that of the file it replaces, or what its directory asks for."""
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
    """A file descriptor kept for what must not fail because a process has no more of them."""

    def __init__(self) -> None:
        self._fd = -1
        self._given = False
        self._take()

    def _take(self) -> None:
        if self._given:
            return
        with suppress(OSError):  # there is none to be kept now; the next time there may be
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def give(self) -> None:
        """Let it be used, for good, by whoever is first."""
        self._given = True
        self._let_go()

    def _let_go(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let it be used for a while."""
        self._let_go()
        try:
            yield
        finally:
            self._take()


def sync_directory(directory: Path) -> None:
    """Bring a directory's entries (names, renames) to the disk."""
    with _directory(directory) as fd:
        os.fsync(fd)


def sync_file(path: Path) -> None:
    """Bring a file's content to the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folder_bytes(folder: Path) -> int:
    """Bytes of all regular files below a folder, while others may replace some of them.

    Raises:
        OSError: it cannot be listed.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    total = 0
    for place, _, names in os.walk(folder, onerror=failed):
        for name in names:
            try:
                found = os.lstat(os.path.join(place, name))
            except FileNotFoundError:  # what replaced it is counted, or was
                continue
            total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def replace_text(path: Path, text: str) -> None:
    """Replace a file's content so that a crash leaves either the old or the new one, whole.

    Mode and owner are those of the old one; a new one has the mode that its directory asks for.
    """
    temporary = path.with_name(path.name + ".tmp")
    mode = mode_beside(path)
    temporary.unlink(missing_ok=True)  # of a crash; or a link somebody laid out
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            set_mode(fd, mode)
            _keep_owner(fd, path)
            file.write(text)
            file.flush()
            os.fsync(fd)
        with _directory(path.parent) as parent:  # open before anything has changed
            os.replace(temporary, path)
            os.fsync(parent)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def _keep_owner(fd: int, path: Path) -> None:
    """Who labels as root must not take an episode away from its recorder."""
    with suppress(OSError):  # there is no old one, or giving it away is not allowed
        old = os.lstat(path)
        if (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, old.st_uid if os.geteuid() == 0 else -1, old.st_gid)


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; a FIFO, a socket or a device is refused without waiting for it.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
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
    """The text of a regular file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is longer than ``most_bytes``, or is not UTF-8.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is larger than {most_bytes / 1e6:g} MB")
    return data.decode("utf-8")


def what_is(mode: int) -> str:
    """The kind of a path by its ``st_mode``, in a word."""
    kinds = (
        (stat.S_ISREG, "file"), (stat.S_ISDIR, "folder"), (stat.S_ISFIFO, "FIFO"),
        (stat.S_ISSOCK, "socket"), (stat.S_ISBLK, "device"), (stat.S_ISCHR, "device"),
    )  # fmt: skip
    return next((word for holds, word in kinds if holds(mode)), "special file")


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


def move_into(source: Path, folder: Path, name: str = "", file_mode: int = FILE_MODE) -> Path:
    """Move something into a folder, made if need be, under a name that is free there.

    Args:
        name: to take there; empty: its own.
        file_mode: of the folder's files, where it has to be made.

    Raises:
        OSError: it cannot be moved, or the folder is a link.
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
    """Rename and sync both parents.

    Raises:
        FileExistsError: the target is there already; nothing is ever overwritten.
    """
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already; move it away first")
    os.rename(source, target)
    for parent in dict.fromkeys((target.parent, source.parent)):
        try:
            sync_directory(parent)
        except OSError as error:  # it is done; only a power cut within seconds could undo it
            logging.getLogger(__name__).warning("%s is renamed, but not synced: %s", target, error)
