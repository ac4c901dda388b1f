"""What of an episode is sent: its data files, which never change, by size and SHA-256.

``metadata.yaml`` is not among them, because labels change it; it is sent by itself.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from robot_recorder.bags.files import is_regular
from robot_recorder.episodes.trash import OWN_FILES
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import checked_id, id_problem

MOST_FILES = 10_000
_CHUNK = 1 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class FileFact:
    """A data file of an episode.

    Attributes:
        name: of the file.
        size: bytes.
        sha256: of its content, 64 hexadecimal digits.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The data files of an episode, sorted by name."""

    files: tuple[FileFact, ...]

    @cached_property
    def sha256(self) -> str:
        """Return the SHA-256 of the whole: of names, sizes and hashes as compact JSON."""
        text = json.dumps(self.to_plain(), separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Return the size of all files, bytes."""
        return sum(file.size for file in self.files)

    def to_plain(self) -> list[list[Any]]:
        """Return ``[[name, size, sha256], ...]``."""
        return [[file.name, file.size, file.sha256] for file in self.files]

    @classmethod
    def from_plain(cls, plain: Any) -> Manifest:
        """Build a manifest from ``to_plain``, which may come from anybody.

        Raises:
            BagError: it is not a manifest; the message says why.
        """
        if not isinstance(plain, list) or not 0 < len(plain) <= MOST_FILES:
            raise BagError(f"a manifest lists 1 to {MOST_FILES} files")
        files = tuple(sorted(map(_file, plain)))
        if len({file.name for file in files}) != len(files):
            raise BagError("a manifest names a file twice")
        return cls(files)


def _file(plain: Any) -> FileFact:
    if not isinstance(plain, list | tuple) or len(plain) != 3:
        raise BagError("a file of a manifest is [name, size, sha256]")
    name, size, digest = plain
    problem = id_problem(name) if isinstance(name, str) else "it is not a text"
    if problem or name in OWN_FILES:
        raise BagError(f"{str(name)[:60]!r} cannot be a data file: {problem or 'it is not data'}")
    if type(size) is not int or not 0 <= size < 1 << 48:
        raise BagError(f"the size of {name} is {size!r:.40}, not a number of bytes")
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise BagError(f"the SHA-256 of {name} is not 64 hexadecimal digits")
    return FileFact(name, size, digest)


def data_files(episode: Path) -> list[Path]:
    """Return the data files of an episode's directory, sorted by name; no links, nothing hidden.

    Raises:
        OSError: the directory cannot be listed.
    """
    names = sorted(entry.name for entry in os.scandir(episode))
    paths = [episode / n for n in names if n[0] != "." and n not in OWN_FILES]
    return [path for path in paths if is_regular(path)]


def read_manifest(episode: Path, pace: Callable[[], None] = lambda: None) -> Manifest:
    """Hash the data files of an episode.

    Args:
        episode: its directory.
        pace: called before every MiB; may wait, or raise.

    Raises:
        BagError: it has no data files, or one cannot be read.
    """
    try:
        files = [FileFact(path.name, *_hashed(path, pace)) for path in data_files(episode)]
    except OSError as error:
        raise BagError(f"{episode} cannot be read: {error.strerror or error}") from error
    if not files:
        raise BagError(f"{episode} has no data files")
    return Manifest(tuple(sorted(files)))


def _hashed(path: Path, pace: Callable[[], None]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks_of(path):
        pace()
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()


def chunks_of(path: Path) -> Iterator[bytes]:
    """Yield a file's content in pieces of 1 MiB."""
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk


def bag_prefix(site: str, id: str) -> str:
    """Return the prefix of an episode's objects; ends in a slash.

    Raises:
        BagError: site or id cannot be the name of a directory.
    """
    return f"bags/{checked_id(site)}/{checked_id(id)}/"
