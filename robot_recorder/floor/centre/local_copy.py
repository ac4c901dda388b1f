"""Episodes of the storage as directories on this disk, for what reads bags.

A directory storage is read where it is. Other storages are copied into a folder of a bounded size, that
any number of processes share. Locks of the kernel say who uses or makes a copy, so that a process may
die at any moment.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from robot_recorder.bags.files import folder_bytes, make_folder, rename_durably, replace_text
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.floor.manifest import bag_prefix
from robot_recorder.floor.storage.directory import DirectoryStorage
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import DiskError
from robot_recorder.model.ids import checked_id

_LOCKS = ".locks"
_NEW = ".new"  # what is being fetched
_WAIT_S = 600.0  # for another process that fetches the same episode
_LOOK_S = 0.02


class LocalCopies:
    """Gives episodes of the storage as directories. Any thread may call it."""

    def __init__(self, storage: ObjectStorage, folder: Path, max_bytes: int) -> None:
        """
        Args:
            storage: of the centre.
            folder: for copies; made at the first one.
            max_bytes: limit of all copies; those in use may exceed it.
        """
        self._storage, self._folder, self._max_bytes = storage, folder, max_bytes

    @contextmanager
    def episode(self, site: str, id: str) -> Iterator[Path]:
        """Yield the directory of an episode; do not write into it.

        Ask only for episodes with a receipt: before it, other data may come under the same name. Its
        ``metadata.yaml`` is that of now, unless somebody else uses the copy at the moment.

        Args:
            site, id: of the episode.

        Raises:
            StorageError: it is not there, or the storage does not answer.
            DiskError: the folder for copies cannot be written.
            BagError: site or id cannot be names of directories.
        """
        prefix = bag_prefix(site, id)
        if isinstance(self._storage, DirectoryStorage):
            root = self._storage.root
            path = root / prefix
            if not (root / "bags").is_dir():  # an empty mount point, say
                raise StorageError(
                    StorageTrouble.UNAVAILABLE, f"{root} has no episodes: is its disk there?"
                )
            if not (path / METADATA_FILE).is_file():
                raise _missing(site, id)
            yield path
            return
        try:
            fd = self._held(site, id)
        except OSError as error:
            raise self._failed(error) from error
        try:
            path = self._folder / site / id
            os.utime(path)  # for those who make room
            yield path
        finally:
            os.close(fd)

    def _failed(self, error: OSError) -> DiskError:
        return DiskError(f"copies in {self._folder} cannot be made: {error.strerror or error}")

    def _lock(self, site: str, id: str) -> Path:
        """Return the lock of a copy; both names together may be too long for a file."""
        return self._folder / _LOCKS / hashlib.sha256(f"{site}/{id}".encode()).hexdigest()

    def _held(self, site: str, id: str) -> int:
        """Make a copy unless it is there; return the open lock that keeps it."""
        make_folder(self._folder / _LOCKS)
        lock = self._lock(checked_id(site), checked_id(id))
        until = time.monotonic() + _WAIT_S
        while True:
            fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                alone = _taken(fd, fcntl.LOCK_EX)
                if alone:
                    self._fetch(site, id)
                # From here on nobody may change it; who makes room takes it only if nobody reads it.
                if _taken(fd, fcntl.LOCK_SH) and (self._folder / site / id).is_dir():
                    return fd
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)
            if time.monotonic() > until:
                raise DiskError(f"another process does not finish its copy of {site}/{id}")
            time.sleep(_LOOK_S)

    def _fetch(self, site: str, id: str) -> None:
        """Bring the copy of an episode up to date; its lock is held."""
        prefix, path = bag_prefix(site, id), self._folder / site / id
        sizes = {key.removeprefix(prefix): size for key, size in self._storage.keys(prefix)}
        if METADATA_FILE not in sizes:
            raise _missing(site, id)
        text = self._storage.get(prefix + METADATA_FILE).decode("utf-8", "replace")
        data = {name: size for name, size in sizes.items() if name != METADATA_FILE}
        if path.is_dir() and _sizes(path) == data:
            if (path / METADATA_FILE).read_text(encoding="utf-8") != text:
                replace_text(path / METADATA_FILE, text)
            return
        shutil.rmtree(path, ignore_errors=True)
        self._make_room(sum(sizes.values()))
        new = self._folder / _NEW / site / id
        shutil.rmtree(new, ignore_errors=True)
        make_folder(new)
        for name in data:
            with open(new / checked_id(name), "wb") as file:
                for chunk in self._storage.chunks(prefix + name):
                    file.write(chunk)
        if _sizes(new) != data:
            raise StorageError(StorageTrouble.WRONG, f"{prefix} changed while it was read")
        replace_text(new / METADATA_FILE, text)
        make_folder(path.parent)
        rename_durably(new, path)

    def _make_room(self, needed: int) -> None:
        """Delete the copies that were used longest ago, until the new one fits."""
        found = []
        for path in self._folder.glob("[!.]*/[!.]*"):
            with suppress(OSError):
                found.append((path.stat().st_mtime, folder_bytes(path), path))
        total = needed + sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes:
                return
            if self._deleted(path):
                total -= size

    def _deleted(self, path: Path) -> bool:
        """Delete a copy unless it is in use; return whether it is gone."""
        fd = os.open(
            self._lock(path.parent.name, path.name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            if not _taken(fd, fcntl.LOCK_EX):
                return False
            shutil.rmtree(path, ignore_errors=True)
            return not path.exists()
        finally:
            os.close(fd)


def _missing(site: str, id: str) -> StorageError:
    return StorageError(StorageTrouble.MISSING, f"the storage has no episode {id} of {site}")


def _taken(fd: int, how: int) -> bool:
    """Take or change a lock, if nobody is in the way."""
    try:
        fcntl.flock(fd, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sizes(path: Path) -> dict[str, int]:
    """Return the sizes of the data files of a copy."""
    return {p.name: p.stat().st_size for p in path.iterdir() if p.name != METADATA_FILE}
