"""Where one site lays down episodes for another: a folder of a bucket, or of a disk that travels.

Below ``exchange/SENDER/RECEIVER/``::

    manifests/000001                  signed, see exchange_manifest; the last that is put
    data/ID/SHA256/NAME               a data file; of more than 32 MiB its pieces NAME.00001, ...
    metadata/ID/SHA256                a metadata.yaml

Objects are named by the hash of what they belong to, so that sending again what is there changes
nothing. ``cat NAME.*`` puts pieces together without this program.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from robot_recorder.floor.exchange.manifest import (
    MOST_MANIFEST_BYTES,
    ExchangedEpisode,
    ExchangeManifest,
    digest,
    site_name,
)
from robot_recorder.floor.manifest import FileFact, Manifest
from robot_recorder.floor.storage.port import ObjectStorage, StorageError, StorageTrouble
from robot_recorder.model.errors import BagError, ConfigError, DiskError
from robot_recorder.model.plain_data import MOST_BYTES

PIECE_BYTES = 32 << 20


class Shelf:
    """What one site has laid down for another."""

    def __init__(
        self, storage: ObjectStorage, sender: str, receiver: str, piece_bytes: int = PIECE_BYTES
    ) -> None:
        """
        Args:
            storage: the bucket or disk.
            sender, receiver: names of the sites.
            piece_bytes: size of the pieces of large files.

        Raises:
            BagError: a name cannot be that of a site.
        """
        self.storage = storage
        self.sender, self.receiver = site_name(sender), site_name(receiver)
        self._prefix = f"exchange/{self.sender}/{self.receiver}"
        self._piece_bytes = piece_bytes

    # -- manifests

    def manifests(self) -> list[tuple[ExchangeManifest, bytes]]:
        """Return the manifests, oldest first, each with its bytes; refuse what does not fit together.

        Whether the key that they name is the sender's is for the caller to say.

        Raises:
            ConfigError: one is missing, damaged, forged or for somebody else; the message names it.
            StorageError: they cannot be read.
        """
        prefix = f"{self._prefix}/manifests/"
        found: list[tuple[ExchangeManifest, bytes]] = []
        before = ""
        for number, (key, size) in enumerate(sorted(self.storage.keys(prefix)), 1):
            if key != self._manifest(number):
                raise ConfigError(f"the manifest {self._manifest(number)} is missing")
            if size > MOST_MANIFEST_BYTES:
                raise ConfigError(f"the manifest {key} is larger than {MOST_MANIFEST_BYTES} bytes")
            data = self.storage.get(key)
            try:
                manifest, signed = ExchangeManifest.from_bytes(data)
            except BagError as error:
                raise ConfigError(f"the manifest {key} is refused: {error}") from error
            if not signed:
                raise ConfigError(
                    f"the manifest {key} is refused: its signature is wrong, it was forged or damaged"
                )
            if (manifest.sender, manifest.receiver) != (self.sender, self.receiver):
                raise ConfigError(
                    f"the manifest {key} is refused: it is from {manifest.sender} for {manifest.receiver}"
                )
            if (manifest.number, manifest.before) != (number, before):
                raise ConfigError(
                    f"the manifest {key} is refused: it does not follow the one before"
                )
            found.append((manifest, data))
            before = digest(data)
        return found

    def put_manifest(self, number: int, data: bytes) -> None:
        """Lay down a manifest, after all that it names.

        Raises:
            ConfigError: another program has laid down one of this number meanwhile.
        """
        key = self._manifest(number)
        if self.storage.size(key) is not None:
            raise ConfigError(f"{key} appeared meanwhile: another push is going on; push again")
        self.storage.put(key, data)

    def _manifest(self, number: int) -> str:
        return f"{self._prefix}/manifests/{number:06d}"

    # -- metadata

    def _metadata(self, id: str, sha256: str) -> str:
        return f"{self._prefix}/metadata/{id}/{sha256}"

    def put_metadata(self, id: str, data: bytes, anew: bool = False) -> str:
        """Lay down a ``metadata.yaml``; return its SHA-256."""
        sha256 = digest(data)
        key = self._metadata(id, sha256)
        if anew or self.storage.size(key) != len(data):
            self.storage.put(key, data)
        return sha256

    def get_metadata(self, sent: ExchangedEpisode) -> bytes:
        """Return the ``metadata.yaml`` of an episode.

        Raises:
            BagError: it is missing, or not what was signed.
        """
        key = self._metadata(sent.id, sent.metadata)
        size = self.storage.size(key)
        if size is None:
            raise BagError("its metadata is missing here: let it be pushed again with --anew")
        data = self.storage.get(key) if size <= MOST_BYTES else b""
        if digest(data) != sent.metadata:
            raise BagError("its metadata is not what was signed: it was changed or damaged")
        return data

    # -- data files

    def _pieces(self, id: str, data: Manifest, file: FileFact) -> list[tuple[str, int, int]]:
        """Return key, first byte and size of each piece of a file."""
        base = f"{self._prefix}/data/{id}/{data.sha256}/{file.name}"
        if file.size <= self._piece_bytes:
            return [(base, 0, file.size)]
        starts = range(0, file.size, self._piece_bytes)
        return [
            (f"{base}.{number:05d}", at, min(self._piece_bytes, file.size - at))
            for number, at in enumerate(starts, 1)
        ]

    def put_data(self, path: Path, id: str, data: Manifest, anew: bool = False) -> int:
        """Lay down the data files of an episode; return how many bytes were not there before.

        Args:
            path: of the episode.
            id, data: of the episode.
            anew: also what is there already, because it may be damaged.

        Raises:
            BagError: a file cannot be read, or has other content than the manifest says.
            StorageError: the storage refuses.
        """
        sent = 0
        for file in data.files:
            pieces = self._pieces(id, data, file)
            missing = [p for p in pieces if anew or self.storage.size(p[0]) != p[2]]
            if missing:
                sent += self._put_file(path / file.name, file, pieces, missing)
        return sent

    def _put_file(
        self, path: Path, file: FileFact, pieces: list[tuple[str, int, int]],
        missing: list[tuple[str, int, int]],
    ) -> int:  # fmt: skip
        hashed, sent = hashlib.sha256(), 0
        try:
            with open(path, "rb") as source:
                for piece in pieces:
                    content = source.read(piece[2])
                    if len(content) != piece[2]:
                        raise BagError(f"{path} became shorter while it was sent")
                    hashed.update(content)
                    if piece in missing:
                        self.storage.put(piece[0], content)
                        sent += len(content)
        except OSError as error:
            raise BagError(f"{path} cannot be read: {error.strerror or error}") from error
        if hashed.hexdigest() != file.sha256:
            raise BagError(f"{path} has changed: it is not what its manifest says")
        return sent

    def get_data(self, sent: ExchangedEpisode, folder: Path) -> None:
        """Fetch the data files of an episode into a folder, from where an earlier try ended.

        Raises:
            BagError: a file is missing, or not what was signed; what was fetched of it is deleted.
            DiskError: the disk fails; what was fetched is kept for the next try.
            StorageError: the storage does not answer; likewise.
        """
        for file in sent.data.files:
            path = folder / file.name
            try:
                resumed = path.exists()
                if not self._get_file(sent, file, path) and resumed:
                    self._get_file(sent, file, path)  # a power cut had torn what was there
                if not path.exists():
                    raise BagError(f"{file.name} is not what was signed: it was changed or damaged")
            except OSError as error:
                raise DiskError(f"{path} cannot be written: {error.strerror or error}") from error

    def _get_file(self, sent: ExchangedEpisode, file: FileFact, path: Path) -> bool:
        """Fetch what lacks of a file; return whether it is what was signed, else it is deleted."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(fd, "r+b") as target:
            size = os.fstat(fd).st_size
            for key, at, length in self._pieces(sent.id, sent.data, file):
                if size >= at + length:
                    continue
                target.truncate(at)
                target.seek(at)
                target.write(self._get_piece(key, length, file.name))
            target.truncate(file.size)
            target.flush()
            os.fsync(fd)
            target.seek(0)
            hashed = hashlib.sha256()
            while content := target.read(1 << 20):
                hashed.update(content)
        if hashed.hexdigest() == file.sha256:
            return True
        path.unlink()
        return False

    def _get_piece(self, key: str, length: int, name: str) -> bytes:
        try:
            content = self.storage.get(key, 0, length)
        except StorageError as error:
            if error.trouble is not StorageTrouble.MISSING:
                raise
            raise BagError(f"{name} is missing here: let it be pushed again") from error
        if len(content) != length:
            raise BagError(f"{name} is shorter here than was signed: it was damaged")
        return content
