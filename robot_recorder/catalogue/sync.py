"""Bringing a catalogue up to date with what others did to its root: copied, deleted, relabelled."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from robot_recorder.bags.files import is_real_directory
from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.entry import Entry, metadata_stamp_ns, read_entry
from robot_recorder.catalogue.keeper import can_be_kept, look_again
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL

_T = TypeVar("_T")
_PARALLEL = 400  # episodes: for fewer, starting processes takes longer than reading
_CHUNK = 50
_BATCH = 500  # episodes a transaction: others wait to write for as long as one takes
_SETTLED_NS = 2_000_000_000  # a folder's stamp may be as coarse as that


@dataclass(frozen=True)
class SyncResult:
    """What was done.

    Attributes:
        read: directories that were looked into.
        gone: directories that were known, and are not there any more.
    """

    read: int
    gone: int


@dataclass(frozen=True)
class _Found:
    """What a look into a directory gave: an entry, or why there is none. Empty: it is no episode."""

    name: str
    stamp_ns: int
    entry: Entry | None
    problem: str = ""


def sync(
    catalogue: Catalogue, thorough: bool = False, told: Callable[[int, int], None] = lambda *_: None
) -> SyncResult:
    """Find out what came and went.

    Without changes to the root folder itself this is one look at it. New directories are read, on all
    cores when they are many.

    Args:
        thorough: look at every episode's metadata, too, whether it was written since; the recorder's
            own changes are known without that.
        told: called with how many directories have been read, and of how many.

    Raises:
        BagError: the root can not be listed.
        sqlite3.Error: the catalogue can not be written.
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
        raise BagError(f"{root} can not be listed: {error.strerror}") from error
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
    """Look again at those whose metadata was written since; whether there were any.

    Raises:
        sqlite3.Error: the catalogue can not be written.
    """
    changed = [e.name for e in entries if metadata_stamp_ns(e.path) != e.stamp_ns]
    if changed:
        with catalogue.writing():
            for name in changed:
                look_again(catalogue, name)
    return bool(changed)


def _directories(root: Path) -> Iterator[str]:
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
    done = 0
    if names:
        told(0, len(names))
    for batch in _batches(_looks(catalogue.root, names)):
        with catalogue.writing():
            for look in batch:
                # Whoever wrote it meanwhile knew better.
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
    if len(names) < _PARALLEL:
        yield from (_look(root, name) for name in names)
        return
    pool = ProcessPoolExecutor(mp_context=get_context("spawn"))  # a fork would copy others' threads
    try:
        yield from pool.map(_look, itertools.repeat(root), names, chunksize=_CHUNK)
    finally:
        pool.shutdown(cancel_futures=True)


def _look(root: Path, name: str) -> _Found:
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
