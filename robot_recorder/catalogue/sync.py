"""Update a catalogue after others have copied, deleted or relabelled episodes under its root."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from robot_recorder.bags.files import is_real_directory
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry, metadata_stamp_ns, read_entry
from robot_recorder.catalogue.keeper import can_be_kept, look_again
from robot_recorder.configuration.worker_process import begin_worker
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL

_T = TypeVar("_T")
_PARALLEL = 400  # episodes; for fewer, starting processes takes longer than reading
_CHUNK = 50
_BATCH = 500  # episodes per transaction, which makes other writers wait
_SETTLED_NS = 2_000_000_000  # coarsest resolution of a folder's modification time


@dataclass(frozen=True)
class SyncResult:
    """Numbers of directories processed by ``sync``.

    Attributes:
        read: directories that were read.
        gone: directories in the catalogue that no longer exist.
    """

    read: int
    gone: int


@dataclass(frozen=True)
class _Found:
    """The result of reading a directory.

    Attributes:
        name: of the directory.
        stamp_ns: when its metadata was last written; 0: no metadata.
        entry: the episode; None: not an episode, or unreadable.
        problem: why it is unreadable; empty: it is readable, or not an episode.
    """

    name: str
    stamp_ns: int
    entry: Entry | None
    problem: str = ""


def sync(
    catalogue: Catalogue, thorough: bool = False, told: Callable[[int, int], None] = lambda *_: None
) -> SyncResult:
    """Add new directories to a catalogue and remove missing ones.

    If the root folder has not changed, this takes one system call. Many new directories are read on
    all cores.

    Args:
        catalogue: to update.
        thorough: also read episodes whose metadata was written since; the recorder's own changes do
            not need this.
        told: called with the number of directories read so far, and the total.

    Raises:
        BagError: the root cannot be listed.
        sqlite3.Error: the catalogue cannot be written.
    """
    root, others = catalogue.root, catalogue.stamps("others")
    known: dict[str, int] = others
    wanted = [name for name, stamp in others.items() if metadata_stamp_ns(root / name) != stamp]
    gone: set[str] = set()
    try:
        stamp_ns = os.stat(root).st_mtime_ns
        listing = thorough or catalogue.fact("listed_ns") != stamp_ns
        if listing:
            names = set(_directories(root))
            known = {**others, **catalogue.stamps()}
            gone = known.keys() - names
            wanted += sorted(names - known.keys())
    except OSError as error:
        raise BagError(f"{root} cannot be listed: {error.strerror}") from error
    if thorough:
        kept = names & known.keys() - others.keys()
        wanted += sorted(n for n in kept if metadata_stamp_ns(root / n) != known[n])
    for batch in _batches(gone):
        with catalogue.writing():
            for name in batch:
                if not is_real_directory(root / name):
                    catalogue.remove(name)
    _read(catalogue, [n for n in wanted if n not in gone], known, told)
    if listing:
        settled = time.time_ns() - stamp_ns > _SETTLED_NS
        with catalogue.writing():
            catalogue.set_fact("listed_ns", stamp_ns if settled else 0)
    return SyncResult(len(wanted), len(gone))


def refresh(catalogue: Catalogue, entries: Iterable[Entry]) -> bool:
    """Update the entries whose metadata was written since; return whether there were any.

    Raises:
        sqlite3.Error: the catalogue cannot be written.
    """
    changed = [e.name for e in entries if metadata_stamp_ns(e.path) != e.stamp_ns]
    if changed:
        with catalogue.writing():
            for name in changed:
                look_again(catalogue, name)
    return bool(changed)


def _directories(root: Path) -> Iterator[str]:
    """Yield the names of directories that may be episodes."""
    with os.scandir(root) as found:
        for item in found:
            name = item.name
            if (
                name[0] != "."
                and not name.endswith(PARTIAL)
                and can_be_kept(name)
                and item.is_dir(follow_symlinks=False)
            ):
                yield name


def _read(
    catalogue: Catalogue,
    names: list[str],
    known: dict[str, int],
    told: Callable[[int, int], None],
) -> None:
    """Read directories and write their entries, a batch per transaction."""
    done = 0
    if names:
        told(0, len(names))
    for batch in _batches(_looks(catalogue.root, names)):
        with catalogue.writing():
            for look in batch:
                # Skip entries that another process has updated meanwhile: they are newer.
                if catalogue.stamp(look.name) == known.get(look.name):
                    _put(catalogue, look)
        done += len(batch)
        told(done, len(names))


def _put(catalogue: Catalogue, look: _Found) -> None:
    if look.entry is not None:
        catalogue.put(look.entry)
    else:
        catalogue.put_aside(look.name, look.problem, look.stamp_ns)


def _looks(root: Path, names: list[str]) -> Iterator[_Found]:
    """Read directories, on all cores if there are many."""
    if len(names) < _PARALLEL:
        yield from (_look(root, name) for name in names)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    spawn = get_context("spawn")  # fork is unsafe with threads
    pool = ProcessPoolExecutor(mp_context=spawn, initializer=begin_worker)
    try:
        yield from pool.map(_look, itertools.repeat(root), names, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _look(root: Path, name: str) -> _Found:
    """Read one directory."""
    stamp_ns = metadata_stamp_ns(root / name)
    if not stamp_ns:
        return _Found(name, 0, None)
    try:
        return _Found(name, stamp_ns, read_entry(root / name))
    except BagError as error:
        return _Found(name, stamp_ns, None, str(error))


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch
