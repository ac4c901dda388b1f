"""The port to where the centre keeps episodes: an S3 bucket or a directory.

Keys are relative paths such as ``bags/SITE/ID/ID_0.mcap``. An object appears whole or not at all.
Robots have no credentials of the storage: they send parts to addresses that the centre signs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from robot_recorder.model.errors import RecorderError


class StorageTrouble(str, Enum):
    """Why a storage does not do what it was asked."""

    FULL = "full"  # no space, or a quota is reached
    DENIED = "denied"  # credentials are wrong or expired
    MISSING = "missing"  # no such bucket, directory, object or upload
    WRONG = "wrong"  # what arrived is not what was announced
    UNAVAILABLE = "unavailable"  # no answer, or an error of the server: try again


class StorageError(RecorderError):
    """The storage did not do what it was asked.

    Attributes:
        trouble: what kind of problem it is.
    """

    def __init__(self, trouble: StorageTrouble, message: str) -> None:
        """Create it with a sentence for the user."""
        super().__init__(message)
        self.trouble = trouble


@dataclass(frozen=True)
class PartTarget:
    """Where one part of an upload is sent by PUT.

    Attributes:
        url: absolute, or relative to the centre.
        headers: that the request must have; Content-Length may be among them.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PartFact:
    """A part that has arrived.

    Attributes:
        size: bytes.
        etag: its name for ``complete``: the MD5 as hexadecimal digits.
    """

    size: int
    etag: str


class ObjectStorage(Protocol):
    """A bucket or directory. Any thread may call it; every method may raise StorageError."""

    url: str

    def check(self) -> None:
        """Write, read back and delete a small object, to find a wrong configuration at the start."""

    def put(self, key: str, data: bytes) -> None:
        """Store a small object, durably, in place of an older one."""

    def get(self, key: str, begin: int = 0, end: int | None = None) -> bytes:
        """Return an object, or the bytes from ``begin`` to before ``end``."""

    def chunks(self, key: str) -> Iterator[bytes]:
        """Yield an object in pieces of a bounded size, as it is read back from the storage."""

    def size(self, key: str) -> int | None:
        """Return the size of an object, bytes; None: it does not exist."""

    def keys(self, prefix: str) -> Iterator[tuple[str, int]]:
        """Yield key and size of the objects whose key begins with ``prefix``, sorted by key."""

    def delete(self, key: str) -> None:
        """Delete an object; it may be missing."""

    def begin(self, key: str) -> str:
        """Begin an upload in parts; return its id. Nothing appears at ``key`` before ``complete``."""

    def part_target(
        self, key: str, upload: str, number: int, size: int, md5: str, valid_s: float
    ) -> PartTarget:
        """Return where to send a part.

        Args:
            key, upload: of the upload.
            number: of the part, from 1.
            size: of the part, bytes; all but the last are of the same size, at least 5 MiB.
            md5: of the part, base64: other content is refused.
            valid_s: how long the address may be used, s.
        """

    def parts(self, key: str, upload: str) -> dict[int, PartFact]:
        """Return the parts that have arrived, by number."""

    def complete(self, key: str, upload: str, parts: Mapping[int, str]) -> None:
        """Put the parts together, durably; harmless if it was done before with the same parts.

        Args:
            key, upload: of the upload.
            parts: etag by number, from 1 without gaps.
        """

    def abort(self, key: str, upload: str) -> None:
        """Forget an upload; it may be missing."""

    def unfinished(self, older_than_s: float) -> Iterator[tuple[str, str]]:
        """Yield key and id of uploads that began at least that long ago."""
