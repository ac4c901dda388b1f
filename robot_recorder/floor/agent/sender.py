"""Send the data of one episode in parts, several at once, from where the last attempt ended."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import open_regular
from robot_recorder.floor.agent.bandwidth import BandwidthLimiter, SendingPaused
from robot_recorder.floor.agent.link import CentreLink
from robot_recorder.floor.agent.outbox import Outbox, OutboxRow
from robot_recorder.floor.agent.signatures import files_signature
from robot_recorder.floor.client import CentreError, UnreachableError
from robot_recorder.floor.manifest import FileFact, Manifest, read_manifest
from robot_recorder.model.errors import BagError

_BATCH = 16  # parts whose addresses are asked for at once: they expire
_ATTEMPTS = 5
_PAUSED_S = 0.2  # how soon the end of a pause is noticed
_FIRST_WAIT_S = 0.5
_MOST_PART_BYTES = 1 << 29
_HOPELESS = (404, 409, 413)  # of a part: the whole upload has to begin again


@dataclass(frozen=True)
class FilePart:
    """A part of a file.

    Attributes:
        number: from 1.
        begin: where in the file, bytes.
        size: bytes.
        md5: of its content.
    """

    number: int
    begin: int
    size: int
    md5: bytes

    @property
    def etag(self) -> str:
        """Return what the storage calls it if it arrived unchanged."""
        return self.md5.hex()

    @property
    def md5_text(self) -> str:
        """Return the MD5 as the header Content-MD5 has it."""
        return base64.b64encode(self.md5).decode()


class DataConflictError(CentreError):
    """The centre has other data under the same id, and a receipt for it: a person has to look."""


class EpisodeSender:
    """Sends the data of episodes, one at a time. One thread uses it.

    Attributes:
        accepted_bytes: of the parts that arrived; those of half a part are no progress.
    """

    def __init__(
        self,
        root: Path,
        outbox: Outbox,
        link: CentreLink,
        limiter: BandwidthLimiter,
        parallel: int,
        stopped: threading.Event,
    ) -> None:
        """Create the sender.

        Args:
            root: directory of the episodes.
            outbox: where each step is noted.
            link: to the centre.
            limiter: of the bandwidth.
            parallel: how many parts are sent at once.
            stopped: set when the agent ends.
        """
        self._root = root
        self._outbox = outbox
        self._link = link
        self._limiter = limiter
        self._stopped = stopped
        self._pool = ThreadPoolExecutor(parallel, "part")
        self._counting = threading.Lock()
        self.accepted_bytes = 0

    def close(self) -> None:
        """Wait for the parts that are being sent."""
        self._pool.shutdown()

    def send(self, row: OutboxRow) -> bool:
        """Send an episode's data, or what of it is missing at the centre.

        Returns:
            Whether all of it is there now; otherwise the episode was removed or discarded meanwhile.

        Raises:
            BagError: it cannot be read, or changes; or the outbox cannot be written.
            DataConflictError: the centre keeps other data under this id.
            CentreError, UnreachableError: the centre, or the storage behind it, does not take it.
            SendingPaused: nothing may be sent now.
        """
        path = self._root / row.name
        try:
            return self._send(row, path)
        except OSError as error:
            if not path.is_dir():  # discarded or deleted while it was sent
                return False
            raise BagError(f"{path} cannot be read: {error.strerror or error}") from error

    def _send(self, row: OutboxRow, path: Path) -> bool:
        manifest, files = known_manifest(path, row, self._wait)
        if not self._outbox.upload(row.name, manifest, files):
            return False
        answer = self._asked(row.name, manifest)
        while answer.state == "upload":
            if not self._send_files(path, row.name, manifest, answer):
                return False
            if answer.is_whole:
                if files_signature(path) != files:
                    raise BagError(f"{path} was changed while it was sent")
                self._link.post("/agent/stored", {"id": row.name, "sha256": manifest.sha256})
                break
            answer = self._asked(row.name, manifest)
        return self._outbox.store(row.name)

    def _send_files(self, path: Path, id: str, manifest: Manifest, answer: UploadAnswer) -> bool:
        """Send the files whose uploads the centre has begun; return whether they are still wanted."""
        open_ = [fact for fact in manifest.files if answer.files[fact.name].is_open]
        if not open_ and not answer.is_whole:
            raise UnreachableError("the centre begins no upload of the files that it lacks")
        for fact in open_:
            if not self._is_wanted(id, path):
                return False
            self._send_file(path, id, fact, answer)
        return True

    def _wait(self) -> None:
        """Wait while nothing may be sent: hashing takes the disk's time, which the recorder needs."""
        while not self._limiter.may_send():
            if self._stopped.wait(_PAUSED_S):
                raise SendingPaused("the agent ends")

    def is_known(self, row: OutboxRow) -> bool:
        """Return whether the centre still has, or reads back, what was sent of an episode."""
        if not row.manifest:
            return False
        manifest = Manifest.from_plain(json.loads(row.manifest))
        return self._asked(row.name, manifest).state != "upload"

    def _is_wanted(self, name: str, path: Path) -> bool:
        row = self._outbox.row(name)
        return row is not None and not row.is_discarded and path.is_dir()

    def _asked(self, name: str, manifest: Manifest) -> UploadAnswer:
        try:
            answer = self._link.post("/agent/upload", {"id": name, "files": manifest.to_plain()})
        except CentreError as error:
            if error.status == 409:
                raise DataConflictError(409, str(error), error.trouble) from error
            raise
        return UploadAnswer.from_plain(answer, manifest)

    def _send_file(self, path: Path, id: str, fact: FileFact, answer: UploadAnswer) -> None:
        place = answer.files[fact.name]
        file = FileUpload(id, fact.name, place.upload)
        with open_regular(path / fact.name) as opened:
            have = place.have
            while True:
                etags = self._send_parts(opened.fileno(), fact, file, answer.part_bytes, have)
                try:
                    self._link.post(
                        "/agent/complete",
                        {
                            **file.to_plain(),
                            "parts": [[n, etag] for n, etag in sorted(etags.items())],
                        },
                    )
                    return
                except CentreError as error:
                    if not have or error.is_passing or error.status not in (400, 409, 422):
                        raise
                    have = (
                        frozenset()
                    )  # what had arrived before is not what is here: all of it again

    def _send_parts(
        self, fd: int, fact: FileFact, file: FileUpload, part_bytes: int, have: frozenset[int]
    ) -> dict[int, str]:
        """Send the parts that are missing; return the etags of all."""
        etags: dict[int, str] = {}
        batch: list[FilePart] = []
        for part in parts_of(fd, fact.size, part_bytes):
            etags[part.number] = part.etag
            if part.number not in have:
                batch.append(part)
            if len(batch) == _BATCH:
                self._send_batch(fd, file, batch)
                batch = []
        if batch:
            self._send_batch(fd, file, batch)
        return etags

    def _send_batch(self, fd: int, file: FileUpload, batch: Sequence[FilePart]) -> None:
        targets = self._targets(file, batch)
        sent = [
            self._pool.submit(self._send_part, fd, file, part, targets[part.number])
            for part in batch
        ]
        errors = [error for future in sent if (error := future.exception())]
        if errors:  # the other parts have arrived, or failed for the same reason
            raise errors[0]

    def _targets(self, file: FileUpload, parts: Sequence[FilePart]) -> dict[int, PartAddress]:
        asked = [[part.number, part.size, part.md5_text] for part in parts]
        answer = self._link.post("/agent/parts", {**file.to_plain(), "parts": asked})
        try:
            found = {
                int(t["number"]): PartAddress(t["url"], t["headers"]) for t in answer["targets"]
            }
            return {part.number: found[part.number] for part in parts}
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(
                f"the centre's answer lacks addresses of parts: {error!r}"
            ) from error

    def _send_part(self, fd: int, file: FileUpload, part: FilePart, target: PartAddress) -> None:
        """Send a part, several times if need be.

        Raises:
            BagError, CentreError, UnreachableError, SendingPaused: as ``send``.
        """
        data = _read(fd, part.begin, part.size)
        if hashlib.md5(data, usedforsecurity=False).digest() != part.md5:
            raise BagError(f"{file.name} of {file.id} was changed while it was sent")
        for attempt in range(_ATTEMPTS):
            if attempt and self._stopped.wait(_FIRST_WAIT_S * 2 ** (attempt - 1)):
                raise SendingPaused("the agent ends")
            try:
                etag = self._link.client.put(
                    target.url, _headers(part, target), data, self._limiter.attempt()
                )
                if etag == part.etag:
                    with self._counting:
                        self.accepted_bytes += part.size
                    return
                raise UnreachableError(
                    f"part {part.number} of {file.name} arrived changed (ETag {etag[:40]!r})"
                )
            except CentreError as error:
                last: CentreError | UnreachableError = error
                if error.status in _HOPELESS or error.trouble == "full":
                    raise
                if error.status == 403:  # the address has expired
                    target = self._targets(file, [part])[part.number]
            except UnreachableError as error:
                last = error
        raise last


def _headers(part: FilePart, target: PartAddress) -> dict[str, str]:
    own = ("content-md5", "content-length")
    wanted = {name: text for name, text in target.headers.items() if name.lower() not in own}
    return {**wanted, "Content-MD5": part.md5_text}


@dataclass(frozen=True)
class PartAddress:
    """Where a part is sent, and the headers that the request must have."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class FileUpload:
    """An upload at the centre: of a file of an episode."""

    id: str
    name: str
    upload: str

    def to_plain(self) -> dict[str, str]:
        return {"id": self.id, "name": self.name, "upload": self.upload}


@dataclass(frozen=True)
class UploadedFile:
    """What the centre has of a file.

    Attributes:
        upload: id of its upload; empty: it is to be asked for again when others are complete.
        have: numbers of the parts that have arrived.
        is_done: whether it is complete.
    """

    upload: str
    have: frozenset[int]
    is_done: bool

    @property
    def is_open(self) -> bool:
        """Return whether parts may be sent now."""
        return bool(self.upload) and not self.is_done


@dataclass(frozen=True)
class UploadAnswer:
    """What the centre has of an episode.

    Attributes:
        state: upload, verifying or stored.
        part_bytes: size of all parts of a file but the last.
        files: by name.
    """

    state: str
    part_bytes: int
    files: Mapping[str, UploadedFile]

    @property
    def is_whole(self) -> bool:
        """Return whether it tells of all files where to send them."""
        return all(file.upload or file.is_done for file in self.files.values())

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], manifest: Manifest) -> UploadAnswer:
        """Read an answer of the centre.

        Raises:
            UnreachableError: it is not one.
        """
        try:
            state = plain["state"]
            if state in ("verifying", "stored"):
                return cls(state, 0, {})
            size = plain["part_bytes"]
            if state != "upload" or type(size) is not int or not 0 < size <= _MOST_PART_BYTES:
                raise ValueError(f"state {state!r:.40}, parts of {size!r:.40} bytes")
            files = {
                fact.name: UploadedFile(
                    str(plain["files"][fact.name]["upload"]),
                    frozenset(int(n) for n in plain["files"][fact.name]["have"]),
                    plain["files"][fact.name]["done"] is True,
                )
                for fact in manifest.files
            }
        except (KeyError, TypeError, ValueError) as error:
            raise UnreachableError(
                f"the centre's answer to an upload is invalid: {error!r}"
            ) from error
        return cls(state, size, files)


def known_manifest(
    path: Path, row: OutboxRow, pace: Callable[[], None] = lambda: None
) -> tuple[Manifest, str]:
    """Return an episode's manifest and what stands for its files; hash them only if they changed.

    Args:
        path: of the episode.
        row: of it.
        pace: called before every MiB that is hashed; may wait, or raise.

    Raises:
        BagError: they cannot be read, or change.
    """
    try:
        files = files_signature(path)
        if row.manifest and row.files == files:
            return Manifest.from_plain(json.loads(row.manifest)), files
        manifest = read_manifest(path, pace)
        if files_signature(path) != files:
            raise BagError(f"{path} changes while it is read")
    except OSError as error:
        raise BagError(f"{path} cannot be read: {error}") from error
    return manifest, files


def parts_of(fd: int, size: int, part_bytes: int) -> Iterator[FilePart]:
    """Yield the parts of an open file; an empty file has one empty part.

    Raises:
        BagError: it is shorter than ``size``, or cannot be read.
    """
    for number, begin in enumerate(range(0, max(size, 1), part_bytes), 1):
        data = _read(fd, begin, min(part_bytes, size - begin))
        yield FilePart(number, begin, len(data), hashlib.md5(data, usedforsecurity=False).digest())


def _read(fd: int, begin: int, size: int) -> bytes:
    pieces, missing = [], size
    while missing:
        try:
            piece = os.pread(fd, missing, begin + size - missing)
        except OSError as error:
            raise BagError(f"a data file cannot be read: {error}") from error
        if not piece:
            raise BagError("a data file became shorter while it was sent")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)
