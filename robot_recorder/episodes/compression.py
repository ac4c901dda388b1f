"""Compress the data files of finished episodes, one file at a time, so that nothing is ever lost.

A compressed copy is made beside the episodes, read back and compared, and then takes the file's name under
the episode's lock: whoever opens the episode finds the old file or the new one, whole. Ended at any
moment, even by kill -9, it leaves a copy that the next run deletes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from robot_recorder.bags.bag import data_files
from robot_recorder.bags.files import is_regular, make_folder, sync_directory
from robot_recorder.bags.mcap_compress import PACKED, compress_file, left_alone, packed_size
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.locks import HeldError, Lock, take_over
from robot_recorder.episodes.store import EpisodeStore, lock_name
from robot_recorder.model.errors import BagError, ConfigError

STAGING = ".compressing"  # folder in a root for copies
_LOCK_WAIT_S = 15.0
_KEEP_FREE = 1_000_000_000  # bytes of the disk that the recorder may need meanwhile
_SIGNED = "it came from another site, which signed these very bytes"
_SHARED = "it has another name, as cut gives it, and two files would take more space than one"
_NO_ROOM, _CHANGED = "the disk has too little room for a copy", "it was changed meanwhile"
_HELD = "it is being changed by"
PASSING = (_NO_ROOM, _CHANGED, _HELD)  # in reasons why a file is left that may not hold later
_RECORDED_S = 10.0  # a recording writes more often than this

Guard = Callable[[str], AbstractContextManager[str]]
"""Gives, for an episode's name, a block in which nobody begins to send it: yields why it must stay; or empty."""


@contextmanager
def nobody_sends(name: str) -> Iterator[str]:
    """Yield that an episode may change: of a root without a station agent."""
    del name
    yield ""


@dataclass(frozen=True)
class Compression:
    """What became of an episode.

    Attributes:
        path: its directory.
        before_bytes: of its data files, if they were not compressed.
        after_bytes: of its data files now.
        changed: number of files that were compressed now.
        left: why files were left as they are, one sentence each.
    """

    path: Path
    before_bytes: int
    after_bytes: int
    changed: int
    left: tuple[str, ...] = ()

    @property
    def ratio(self) -> float:
        """Return how many times smaller it is now."""
        return self.before_bytes / self.after_bytes if self.after_bytes else 1.0


def need_library(what: str) -> None:
    """Raise ConfigError if the library that compresses is missing; ``what`` needs it."""
    if importlib.util.find_spec("zstandard") is None:
        raise ConfigError(
            f"{what} needs zstandard: apt install python3-zstandard, or pip install zstandard"
        )


class Compressor:
    """Compresses finished episodes of one root. Use it as a context manager."""

    def __init__(
        self,
        store: EpisodeStore,
        guard: Guard = nobody_sends,
        pace: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            store: of the root.
            guard: asked right before each file is replaced.
            pace: called every few MB; may wait, or raise to end it.

        Raises:
            ConfigError: the library for it is missing.
        """
        need_library("compressing")
        self._store, self._guard, self._pace = store, guard, pace
        self._folder = store.root / STAGING
        self._lock: Lock | None = None

    def __enter__(self) -> Compressor:
        """Let nobody else compress in the root, and delete the copies that were left there.

        Raises:
            BagError: somebody compresses in it, or it cannot be written.
        """
        try:
            self._lock = take_over(self._store.root, STAGING)
            make_folder(self._folder, 0o600)
        except HeldError as error:
            raise BagError(f"{self._store.root} is being compressed by {error}") from error
        except OSError as error:
            raise BagError(f"{self._store.root} cannot be written: {error}") from error
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._lock is not None:
            self._lock.release()

    def compress(
        self, path: Path, progress: Callable[[float], None] = lambda share: None
    ) -> Compression:
        """Compress the data files of a finished episode, as far as they may change.

        Args:
            path: its directory.
            progress: called with the share that is done, 0 to 1.

        Raises:
            BagError: a file cannot be read or its copy written; the episode is as it was, or some of
                its files are compressed.
        """
        episode = Episode.open(path)
        files = data_files(path, episode.metadata)
        signed = _SIGNED if episode.facts.get("provenance") else ""
        changed, left = 0, []
        for number, file in enumerate(files):
            why = signed or self._unfit(file)
            if not why:
                why = self._replace(path, file, lambda x, n=number: progress((n + x) / len(files)))  # type: ignore[misc]
            changed += not why
            left += [f"{file.name}: {why}"] if why else []
        sizes = [packed_size(file) for file in files if file.suffix == ".mcap"]
        found = Compression(
            path, sum(s.plain for s in sizes), sum(s.size for s in sizes), changed, tuple(left)
        )
        if found.before_bytes != found.after_bytes:
            self._note(found)
        progress(1.0)
        return found

    def _unfit(self, file: Path) -> str:
        if file.suffix != ".mcap" or not is_regular(file):
            return "it is not an MCAP file, or a link"
        if file.stat().st_nlink > 1:
            return _SHARED
        with self._guard(file.parent.name) as why:  # before the work, and again before the change
            return why or left_alone(file)

    def _replace(self, path: Path, file: Path, progress: Callable[[float], None]) -> str:
        """Compress a file; return why it was left as it is."""
        copy = self._folder / f"{path.name}.{file.name}"
        try:
            before = os.stat(file)
            if shutil.disk_usage(self._folder).free < before.st_size + _KEEP_FREE:
                return _NO_ROOM

            def pace(done: int) -> None:
                self._pace()
                progress(min(1.0, done / max(1, before.st_size)))

            compress_file(file, copy, pace)
            if copy.stat().st_size >= before.st_size:
                return "it does not become smaller"
            shutil.copymode(file, copy)
            with suppress(PermissionError):
                os.chown(copy, before.st_uid, before.st_gid)
            return self._swap(path, file, copy, before)
        except OSError as error:
            raise BagError(f"{file} cannot be compressed: {error.strerror or error}") from error
        finally:
            copy.unlink(missing_ok=True)

    def _swap(self, path: Path, file: Path, copy: Path, before: os.stat_result) -> str:
        """Give a copy the file's name, unless somebody has changed or begun to send the file meanwhile."""
        try:
            with Lock(path.parent, lock_name(path), _LOCK_WAIT_S), self._guard(path.name) as why:
                now = os.stat(file)
                if (now.st_ino, now.st_size, now.st_mtime_ns) != (
                    before.st_ino, before.st_size, before.st_mtime_ns,
                ):  # fmt: skip
                    return _CHANGED
                if now.st_nlink > 1:
                    return _SHARED
                if not why:
                    os.replace(copy, file)
                    sync_directory(path)
                return why
        except HeldError as error:
            return f"{_HELD} {error}"

    def _note(self, found: Compression) -> None:
        """Keep in the episode's facts what compression saves, unless it is there.

        Also where nothing changed now: the run before may have been killed in between. What must stay as
        it is, or is a bag of another recorder, compressed by others, does.
        """
        text = json.dumps({"before_bytes": found.before_bytes, "after_bytes": found.after_bytes})
        facts = Episode.open(found.path).facts
        before = "episode_id" in facts and any(why.endswith(PACKED) for why in found.left)
        if facts.get("compressed") != text and (found.changed or before):
            self._store.amend(found.path, lambda _: {"compressed": text})


def being_recorded(store: EpisodeStore) -> str:
    """Return the id of an episode that is being recorded or finalised in a root; empty: nothing is."""
    for partial in store.unfinished():
        with suppress(OSError):
            newest = max(p.stat().st_mtime for p in (partial, *partial.iterdir()))
            if time.time() - newest < _RECORDED_S:
                return partial.stem
    return ""
