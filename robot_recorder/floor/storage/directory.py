"""Episodes kept in a directory, which may be on NFS: what was stored survives a power cut.

Below the root an object is a file at its key. ``.uploads/`` holds what is not complete; all of it
is in the same file system, so that an object appears by a rename. No locks: several processes and
machines may share a directory.
"""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
import hmac
import json
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlencode

from robot_recorder.bags.files import (
    FILE_MODE,
    folder_mode,
    is_real_directory,
    is_regular,
    open_regular,
    read_text,
    set_mode,
    sync_directory,
)
from robot_recorder.floor.storage.errors import disk_error
from robot_recorder.floor.storage.keys import (
    checked_key,
    checked_part,
    checked_prefix,
    checked_sequence,
    key_problem,
)
from robot_recorder.floor.storage.port import PartFact, PartTarget, StorageError, StorageTrouble

UPLOADS = ".uploads"
PART_PATH = "/agent/part"
_ABOUT = "upload.json"  # in an upload's folder
_DONE = ".done"  # ending of the note that an upload is complete
_CHUNK = 1 << 20
_DAY_S = 86_400.0
_MOST_ABOUT_BYTES = 10_000
_UPLOAD = re.compile(r"[0-9a-f]{32}")
_PART = re.compile(r"(\d{5})-([0-9a-f]{32})")
_FIELDS = ("key", "upload", "part", "size", "md5", "expires")  # of a part's address; all are signed
_NO_RANGE_COPY = (
    errno.EXDEV,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EINVAL,
    errno.EBADF,
    errno.EPERM,
)
_NO_LINKS = (*_NO_RANGE_COPY, errno.EMLINK)
_ATTEMPTS = 20  # at a folder that others delete because it is empty

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _refusing(method: _Method) -> _Method:
    """Turn what the disk refuses into StorageError."""

    @wraps(method)
    def wrapped(self: DirectoryStorage | PartReceiver, *args: Any, **named: Any) -> Any:
        try:
            return method(self, *args, **named)
        except OSError as error:
            path = error.filename or self.root
            raise disk_error(error, f"the storage fails at {path}") from error

    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True)
class SignedPart:
    """What the signed address of a part says.

    Attributes:
        key, upload: of the upload.
        number: of the part.
        size: that it must have, bytes.
        md5: that it must have, hexadecimal digits.
    """

    key: str
    upload: str
    number: int
    size: int
    md5: str


class PartReceiver:
    """Receives one part piece by piece: nobody waits here for a slow network.

    Its methods may wait for the disk; any thread may call them, one at a time. They raise StorageError when the
    body is not what was announced, the upload is gone, or the disk fails.
    """

    def __init__(self, folder: Path, part: SignedPart) -> None:
        """Begin, in the folder of an upload."""
        self.root = folder  # for messages
        self._part = part
        self._temporary = folder / f"tmp-{secrets.token_hex(8)}"
        self._md5, self._size = hashlib.md5(usedforsecurity=False), 0
        try:
            self._file = _new_file(self._temporary)
        except FileNotFoundError as error:
            raise _unknown(part.upload) from error

    @_refusing
    def write(self, data: bytes) -> None:
        """Take a piece of the body."""
        self._size += len(data)
        if self._size > self._part.size:
            raise self._other_size("more")
        self._md5.update(data)
        self._file.write(data)

    @_refusing
    def finish(self) -> PartFact:
        """Keep the part, durably: all of the body is here."""
        part = self._part
        if self._size != part.size:
            raise self._other_size(str(self._size))
        if self._md5.hexdigest() != part.md5:
            raise StorageError(
                StorageTrouble.WRONG,
                f"part {part.number} of {part.key} has another MD5 than announced",
            )
        _flush(self._file)
        try:
            os.rename(self._temporary, self.root / f"{part.number:05d}-{part.md5}")
            sync_directory(self.root)
        except FileNotFoundError as error:
            raise _unknown(part.upload) from error
        return PartFact(part.size, part.md5)

    def close(self) -> None:
        """Forget what was not finished."""
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()

    def _other_size(self, size: str) -> StorageError:
        part = self._part
        return StorageError(
            StorageTrouble.WRONG,
            f"part {part.number} of {part.key} was announced with {part.size} bytes, but has {size}",
        )


class DirectoryStorage:
    """An ObjectStorage in a directory; the centre receives the parts and hands them to ``take_part``.

    A key cannot be an object and the beginning of others (``a`` and ``a/b``), as in a file system.
    """

    def __init__(self, root: Path, secret: bytes, part_path: str = PART_PATH) -> None:
        """Create it; the directory is made at the first use, if the one above it exists.

        Args:
            root: the directory.
            secret: signs the addresses of parts: the same in all processes of a centre.
            part_path: where the centre receives parts.
        """
        if not secret:
            raise ValueError("the addresses of parts need a secret")
        self.root = root.absolute()
        self.url = self.root.as_uri()
        self._secret = secret
        self._part_path = part_path
        self._uploads = self.root / UPLOADS
        self._ready = False

    # Small objects.

    @_refusing
    def check(self) -> None:
        """Write, read back and delete a small object; delete what crashes have left."""
        key = f"check-{secrets.token_hex(8)}"
        self.put(key, key.encode())
        try:
            if self.get(key) != key.encode():
                raise StorageError(
                    StorageTrouble.WRONG, f"{self.root} gives back other bytes than were written"
                )
        finally:
            self.delete(key)
        self._sweep()

    @_refusing
    def put(self, key: str, data: bytes) -> None:
        """Store a small object, durably, in place of an older one."""
        target = self._place(key)
        with self._temporary() as temporary:
            with _new_file(temporary) as file:
                file.write(data)
                _flush(file)
            self._install(temporary, target)

    @_refusing
    def get(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Return an object, or the bytes from ``begin`` to before ``end``."""
        if begin < 0 or (end is not None and end < begin):
            raise StorageError(StorageTrouble.WRONG, f"there is no range from {begin} to {end}")
        with self._opened(key) as file:
            file.seek(begin)
            return file.read() if end is None else file.read(end - begin)

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces, from the disk where the system allows it, not from its cache."""
        try:
            with self._opened(key) as file:
                _drop_cache(file)
                while data := file.read(_CHUNK):
                    yield data
        except OSError as error:
            raise disk_error(error, f"{key} cannot be read back") from error

    @_refusing
    def size(self, key: str) -> int | None:
        """Return the size of an object, bytes; None: it does not exist."""
        try:
            found = os.lstat(self._place(key))
        except (FileNotFoundError, NotADirectoryError):
            self._still_there()
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size of the objects whose key begins with ``prefix``, sorted by key."""
        checked_prefix(prefix)
        folder = prefix.rpartition("/")[0]
        try:
            self._still_there()
            if not folder or is_real_directory(self._place(folder)):
                yield from self._walk(folder, prefix)
        except OSError as error:
            raise disk_error(error, f"{self.root} cannot be listed") from error

    @_refusing
    def delete(self, key: str) -> None:
        """Delete an object and the folders that become empty; it may be missing."""
        path = self._place(key)
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            self._still_there()
            return
        parent = path.parent
        with suppress(OSError):  # not empty, or somebody was quicker
            while parent != self.root:
                parent.rmdir()
                parent = parent.parent
        with suppress(FileNotFoundError):
            sync_directory(parent)

    # Uploads in parts.

    @_refusing
    def begin(self, key: str) -> str:
        """Begin an upload in parts; return its id."""
        self._place(key)
        self._prepare()
        upload = secrets.token_hex(16)
        draft = self._uploads / f"new-{upload}"
        draft.mkdir(mode=folder_mode(FILE_MODE))
        with _new_file(draft / _ABOUT) as file:
            file.write(json.dumps({"key": key, "begun_s": time.time()}).encode())
            _flush(file)
        sync_directory(draft)
        os.rename(draft, self._uploads / upload)
        sync_directory(self._uploads)
        return upload

    def part_target(
        self, key: str, upload: str, number: int, size: int, md5: str, valid_s: float
    ) -> PartTarget:
        """Return where to send a part: a signed address, relative to the centre."""
        checked_part(number, size)
        _md5_digits(md5)
        values = (checked_key(key), _checked_upload(upload), number, size, md5,
                  int(time.time() + valid_s))  # fmt: skip
        query = urlencode(dict(zip(_FIELDS, values, strict=True)))
        return PartTarget(
            f"{self._part_path}?{query}&sig={self._signature(query)}", {"Content-MD5": md5}
        )

    def signed_part(self, query: Mapping[str, str], now_s: float) -> SignedPart:
        """Return what the address of a part says, after checking its signature.

        Args:
            query: of the address, decoded.
            now_s: the time, s since the epoch.

        Raises:
            StorageError: it is forged or has expired.
        """
        if not {*_FIELDS, "sig"} <= query.keys():
            raise StorageError(StorageTrouble.DENIED, "the address of the part is incomplete")
        told = urlencode([(name, query[name]) for name in _FIELDS], errors="replace")
        if not hmac.compare_digest(
            self._signature(told).encode(), query["sig"].encode(errors="replace")
        ):
            raise StorageError(
                StorageTrouble.DENIED, "the address of the part is not ours: ask for it"
            )
        if now_s > int(query["expires"]):  # signed, hence a number
            raise StorageError(
                StorageTrouble.DENIED, "the address of the part has expired: ask again"
            )
        return SignedPart(
            query["key"], query["upload"], int(query["part"]), int(query["size"]), _md5_digits(query["md5"])
        )  # fmt: skip

    def take_part(
        self, query: Mapping[str, str], chunks: Iterable[bytes], now_s: float
    ) -> PartFact:
        """Receive a part, durably; it may come twice, also at once.

        Args:
            query: of the address, decoded.
            chunks: the body.
            now_s: the time, s since the epoch.

        Raises:
            StorageError: the address is not valid, the body is not what was announced, the upload
                is unknown, or the disk is full.
        """
        return self._take(self.signed_part(query, now_s), chunks)

    @_refusing
    def _take(self, part: SignedPart, chunks: Iterable[bytes]) -> PartFact:
        with closing(self.receiver(part)) as receiver:
            for data in chunks:
                receiver.write(data)
            return receiver.finish()

    @_refusing
    def receiver(self, part: SignedPart) -> PartReceiver:
        """Begin to receive a part whose address was checked; close what is returned.

        Raises:
            StorageError: the upload is unknown, or the disk fails.
        """
        return PartReceiver(self._upload(part.key, part.upload), part)

    @_refusing
    def parts(self, key: str, upload: str) -> dict[int, PartFact]:
        """Return the parts that have arrived, by number; of several for one number the last one."""
        folder = self._upload(key, upload)
        latest: dict[int, tuple[int, PartFact]] = {}
        with os.scandir(folder) as entries:
            for entry in entries:
                if found := _PART.fullmatch(entry.name):
                    number, facts = int(found[1]), entry.stat(follow_symlinks=False)
                    arrived = (facts.st_mtime_ns, PartFact(facts.st_size, found[2]))
                    if number not in latest or latest[number][0] < arrived[0]:
                        latest[number] = arrived
        return {number: latest[number][1] for number in sorted(latest)}

    @_refusing
    def complete(self, key: str, upload: str, parts: Mapping[int, str]) -> None:
        """Put the parts together, durably; harmless if it was done before."""
        checked_sequence(sorted(parts))
        names = [f"{number:05d}-{parts[number].strip(chr(34))}" for number in sorted(parts)]
        if not all(_PART.fullmatch(name) for name in names):
            raise StorageError(StorageTrouble.WRONG, f"the etags of {key} are not those of parts")
        target = self._place(key)
        if self._is_done(key, upload, names):
            return
        try:
            folder = self._upload(key, upload)
            if lacking := [name for name in names if not is_regular(folder / name)]:
                raise StorageError(
                    StorageTrouble.WRONG,
                    f"part {int(lacking[0][:5])} of {key} has not arrived as it is named: send it again",
                )
            with self._temporary() as temporary:
                size = _assemble([folder / name for name in names], temporary)
                self._install(temporary, target)
            self._note_done(key, upload, names, size)
        except (FileNotFoundError, StorageError):
            if self._is_done(key, upload, names):  # by another process at the same moment
                return
            raise
        self._forget(folder)

    @_refusing
    def abort(self, key: str, upload: str) -> None:
        """Forget an upload; it may be missing."""
        try:
            folder = self._upload(key, upload)
        except StorageError as error:
            if error.trouble is not StorageTrouble.MISSING:
                raise
            self._still_there()
            return
        self._forget(folder)

    def unfinished(self, older_than_s: float) -> Iterator[tuple[str, str]]:
        """Yield key and id of uploads that began at least that long ago."""
        try:
            self._prepare()
            names = sorted(name for name in os.listdir(self._uploads) if _UPLOAD.fullmatch(name))
        except OSError as error:
            raise disk_error(error, f"{self._uploads} cannot be listed") from error
        for name in names:
            about = _about(self._uploads / name)
            if about is not None and time.time() - about[1] >= older_than_s:
                yield about[0], name

    # Places.

    def _prepare(self) -> None:
        """Make the directory at the first use; if it is gone later, its disk is not mounted."""
        if not self._ready:
            self.root.mkdir(mode=folder_mode(FILE_MODE), exist_ok=True)
            if not is_real_directory(self._uploads):
                self._uploads.mkdir(mode=folder_mode(FILE_MODE), exist_ok=True)
                sync_directory(self.root)
            self._ready = True
        self._still_there()

    def _still_there(self) -> None:
        if not self._ready:
            self._prepare()
        elif not is_real_directory(self._uploads):
            raise StorageError(
                StorageTrouble.MISSING,
                f"{self._uploads} is gone: is the disk of the storage mounted?",
            )

    def _place(self, key: str) -> Path:
        """Return where an object lies; no link on the way is followed."""
        path = self.root
        segments = checked_key(key).split("/")
        for segment in segments[:-1]:
            path = path / segment
            try:
                if stat.S_ISLNK(os.lstat(path).st_mode):
                    raise StorageError(
                        StorageTrouble.WRONG, f"{path} is a link, which a storage does not follow"
                    )
            except (FileNotFoundError, NotADirectoryError):
                break
        return self.root.joinpath(*segments)

    @contextmanager
    def _opened(self, key: str) -> Iterator[BinaryIO]:
        path = self._place(key)
        try:
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open_regular(path) as file:
                    yield file
                return
        except (FileNotFoundError, NotADirectoryError):
            self._still_there()
        raise StorageError(StorageTrouble.MISSING, f"there is no object {key} in {self.root}")

    def _walk(self, folder: str, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the objects below a folder in the order of their keys."""
        found: list[tuple[str, int]] = []  # folders end with a slash, as in the keys below them
        try:
            entries = list(os.scandir(self.root / folder))
        except FileNotFoundError:  # deleted meanwhile
            return
        for entry in entries:
            key = f"{folder}/{entry.name}" if folder else entry.name
            if key_problem(key):
                continue
            if entry.is_dir(follow_symlinks=False):
                if (key + "/").startswith(prefix) or prefix.startswith(key + "/"):
                    found.append((key + "/", 0))
            elif entry.is_file(follow_symlinks=False) and key.startswith(prefix):
                with suppress(FileNotFoundError):
                    found.append((key, entry.stat(follow_symlinks=False).st_size))
        for key, size in sorted(found):
            if key.endswith("/"):
                yield from self._walk(key[:-1], prefix)
            else:
                yield key, size

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        self._prepare()
        path = self._uploads / f"tmp-{secrets.token_hex(16)}"
        try:
            yield path
        finally:
            with suppress(OSError):
                path.unlink()

    def _install(self, temporary: Path, target: Path) -> None:
        """Rename a file to its key, durably."""
        for attempt in range(_ATTEMPTS):
            try:
                self._make_parents(target.parent)
                os.replace(temporary, target)
                sync_directory(target.parent)
                return
            except FileNotFoundError:  # the folder was empty and is deleted
                if attempt == _ATTEMPTS - 1 or not os.path.lexists(temporary):
                    raise

    def _make_parents(self, folder: Path) -> None:
        missing = []
        while folder != self.root and not is_real_directory(folder):
            missing.append(folder)
            folder = folder.parent
        for folder in reversed(missing):
            with suppress(FileExistsError):
                folder.mkdir(mode=0o700)
                set_mode(folder, folder_mode(FILE_MODE))
            sync_directory(folder.parent)

    # Uploads.

    def _signature(self, query: str) -> str:
        return hmac.new(self._secret, query.encode(), hashlib.sha256).hexdigest()

    def _upload(self, key: str, upload: str) -> Path:
        """Return the folder of an upload."""
        checked_key(key)
        self._prepare()
        folder = self._uploads / _checked_upload(upload)
        about = _about(folder)
        if about is None or about[0] != key:
            raise _unknown(upload)
        return folder

    def _forget(self, folder: Path) -> None:
        """Delete an upload; parts that arrive at this moment find no upload."""
        gone = self._uploads / f"old-{folder.name}-{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):
            os.rename(folder, gone)
        shutil.rmtree(gone, ignore_errors=True)

    def _note_done(self, key: str, upload: str, names: list[str], size: int) -> None:
        note = {"key": key, "parts": _digest(names), "size": size}
        with self._temporary() as temporary:
            with _new_file(temporary) as file:
                file.write(json.dumps(note).encode())
                _flush(file)
            os.replace(temporary, self._uploads / (upload + _DONE))
        sync_directory(self._uploads)

    def _is_done(self, key: str, upload: str, names: list[str]) -> bool:
        """Tell whether an upload is complete with these parts, and the object is there."""
        try:
            text = read_text(self._uploads / (_checked_upload(upload) + _DONE), _MOST_ABOUT_BYTES)
            note = json.loads(text)
            wanted = {"key": key, "parts": _digest(names), "size": self.size(key)}
            return bool(note == wanted)
        except (FileNotFoundError, ValueError):
            return False

    def _sweep(self) -> None:
        """Delete what crashes and complete uploads have left, if it is older than a day."""
        with os.scandir(self._uploads) as entries:
            for entry in entries:
                known = _UPLOAD.fullmatch(entry.name) and _about(Path(entry.path)) is not None
                with suppress(OSError):  # another process sweeps too
                    if known or time.time() - entry.stat(follow_symlinks=False).st_mtime < _DAY_S:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        os.unlink(entry.path)


def _unknown(upload: str) -> StorageError:
    return StorageError(StorageTrouble.MISSING, f"there is no upload {upload[:40]!r}: begin again")


def _checked_upload(upload: str) -> str:
    if not _UPLOAD.fullmatch(upload):
        raise _unknown(upload)
    return upload


def _about(folder: Path) -> tuple[str, float] | None:
    """Return key and begin (s since the epoch) of an upload; None: there is no such upload."""
    try:
        plain = json.loads(read_text(folder / _ABOUT, _MOST_ABOUT_BYTES))
        return str(plain["key"]), float(plain["begun_s"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _digest(names: list[str]) -> str:
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def _md5_digits(md5: str) -> str:
    """Return an MD5 in base64 as hexadecimal digits."""
    try:
        digest = base64.b64decode(md5, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 16:
        raise StorageError(StorageTrouble.WRONG, f"{md5[:40]!r} is not an MD5 in base64")
    return digest.hex()


def _new_file(path: Path) -> BinaryIO:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    file = open(fd, "wb")
    set_mode(fd, FILE_MODE)
    return file


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _drop_cache(file: BinaryIO) -> None:
    """Let the next read come from the disk: a disk that lost what it was given is found."""
    with suppress(OSError, AttributeError):
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _assemble(parts: list[Path], target: Path) -> int:
    """Put parts together, durably; return the size, bytes."""
    if len(parts) == 1:
        try:
            os.link(parts[0], target, follow_symlinks=False)  # a part is never changed
            return os.lstat(target).st_size
        except OSError as error:  # FAT has no links
            if error.errno not in _NO_LINKS:
                raise
    with _new_file(target) as file:
        for path in parts:
            with open_regular(path) as source:
                _append(source, file)
        _flush(file)
        return os.fstat(file.fileno()).st_size


def _append(source: BinaryIO, target: BinaryIO) -> None:
    """Append a file to another, inside the kernel where it can."""
    size, done = os.fstat(source.fileno()).st_size, 0
    try:
        while done < size:
            count = os.copy_file_range(source.fileno(), target.fileno(), size - done)
            if not count:
                break
            done += count
    except OSError as error:
        if error.errno not in _NO_RANGE_COPY:
            raise
    source.seek(done)
    target.seek(0, os.SEEK_END)
    shutil.copyfileobj(source, target, _CHUNK)
    target.flush()
