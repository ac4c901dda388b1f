"""Shortages of the machine, and other programs that change files: reports about episodes stay true."""

from __future__ import annotations

import errno
import gc
import logging
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.bench import Bench, recorded, until
from support.disks import fill, small_disk
from support.episodes import make_episode

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.query import Filter, Query
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


@contextmanager
def files_left(count: int) -> Iterator[None]:
    """Limit the process to so many more open files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(name) for name in os.listdir("/proc/self/fd"))
    free = most + 1 - len(os.listdir("/proc/self/fd")) + 1
    taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(max(0, free - count))]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most + 1 + max(0, count - free), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for fd in taken:
            os.close(fd)


@pytest.mark.parametrize("count", range(6))
def test_an_episode_is_saved_with_few_file_descriptors_left(tmp_path: Path, count: int) -> None:
    """A saved episode must never be reported as failed."""
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    sent = bench.feed(50)
    with files_left(count):
        answer = bench.stop()
    assert answer.ok, answer
    assert bench.last.size_bytes > 0 and recorded(bench.last.path) == sent
    with Catalogue(tmp_path) as catalogue:
        from robot_recorder.catalogue.sync import sync

        sync(catalogue)
        (entry,) = Query(catalogue, Filter()).all()
        assert entry.size_bytes > 0 and catalogue.unreadable() == []


def test_a_leftover_that_cannot_be_opened_now_is_kept_for_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    bench.feed(50)
    path = bench.last.path
    until(lambda: next(path.glob("*.mcap")).stat().st_size > 0)
    leftover = Path(shutil.copytree(path, tmp_path / "copy.partial"))
    os.rename(next(leftover.glob("*.mcap")), leftover / "copy.partial_0.mcap")
    bench.stop()
    store = open_store(tmp_path)
    for count in range(4):
        with files_left(count):
            results = recover_all(store)
        assert not store.quarantined(), results
    if store.unfinished():
        (result,) = recover_all(store)
        assert result.ok, result
    assert Episode.open(tmp_path / "copy").metadata["message_count"] > 0


@pytest.mark.parametrize("how", ["cut", "emptied", "longer", "deleted", "moved"])
def test_changes_of_the_file_by_other_programs_are_noticed_at_stop(
    tmp_path: Path, how: str
) -> None:
    """Also at a low data rate, and whatever size the file has in the end."""
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    sent = bench.feed(20)
    (file,) = bench.last.path.glob("*.mcap")
    until(lambda: file.stat().st_size > 1000)
    if how == "deleted":
        file.unlink()
    elif how == "moved":
        file.rename(tmp_path / "moved.mcap")
    else:
        os.truncate(file, {"cut": 1000, "emptied": 0, "longer": 10**6}[how])
    sent += bench.feed(1)
    answer = bench.stop()
    assert not answer.ok and "aborted" in answer.reason
    words = "moved or deleted" if how in ("deleted", "moved") else "changed the file"
    assert words in answer.reason or "does not grow" in answer.reason or "is gone" in answer.reason
    for path in open_store(tmp_path).paths():
        episode = Episode.open(path)
        figures = episode.streams["/wrist/wrench"]
        assert episode.facts["aborted"] == "true"
        assert figures["written"] + figures["lost"]["writer"] == len(sent)
        assert len(recorded(path)) == figures["written"]


def test_on_a_full_disk_the_reason_of_a_quarantine_is_in_its_name(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        store = open_store(disk)
        (disk / ".quarantine").mkdir()
        rubbish = disk / "rubbish.partial"
        rubbish.mkdir()
        (rubbish / "rubbish_0.mcap").write_bytes(b"rubbish" * 100)
        fill(disk / "ballast")
        (result,) = recover_all(store)
        (put_away,) = store.quarantined()
        assert not result.ok and put_away == result.path
        assert put_away.name.startswith("rubbish.partial (") and "no message" in put_away.name
        assert len(put_away.name.encode()) <= 255
        assert [p.name for p in put_away.iterdir()] == ["rubbish_0.mcap"], "no empty reason file"


def test_a_locked_catalogue_costs_no_episode_and_little_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import sqlite3

    make_episode(open_store(tmp_path))
    holder = sqlite3.connect(tmp_path / ".catalogue" / "episodes.sqlite", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    bench = Bench(tmp_path)
    bench.feed(10)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING):
        assert bench.start().ok and bench.stop().ok
        event = LabelEvent(bench.now, bench.last.id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
        assert bench.recorder.label(event).ok and bench.recorder.discard().ok
    assert time.monotonic() - began < 8 and "the catalogue is behind" in caplog.text
    holder.close()
    assert bench.recorder.restore().ok
    with Catalogue(tmp_path) as catalogue:
        assert {e.name for e in Query(catalogue, Filter()).all()} >= {bench.last.id}


def test_errors_after_the_final_rename_do_not_fail_the_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(tmp_path)

    def broken(*_: object, **__: object) -> None:
        monkeypatch.setattr(Path, "unlink", broken)  # from the rename on
        raise OSError(errno.EIO, "Input/output error")

    path = make_episode(store)
    partial = path.rename(tmp_path / f"{path.name}.partial")
    monkeypatch.setattr("robot_recorder.bags.files.sync_directory", broken)
    assert store.finalise(partial, {}) == path
    monkeypatch.undo()
    assert Episode.open(path).id == path.name


def test_a_read_only_root_is_reported(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = open_store(disk)
        path = make_episode(store)
        del store
        gc.collect()  # closes its catalogue
        subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
        store, bench = open_store(disk), Bench(disk)
        bench.feed(10)
        refused = bench.start()
        assert not refused.ok and "Read-only" in refused.reason
        with pytest.raises(BagError, match="Read-only"):
            store.append_label(LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
        with pytest.raises(BagError, match="Read-only"):
            store.discard(path)
        assert store.paths() == [path] and store.trashed() == []


def test_a_root_that_disappears_aborts_the_episode(tmp_path: Path) -> None:
    root = tmp_path / "root"
    bench = Bench(root)
    bench.feed(10)
    bench.start()
    shutil.rmtree(root)
    end = time.monotonic() + 10
    while bench.last.problem is None and time.monotonic() < end:
        bench.feed(2)
        time.sleep(0.01)
    answer = bench.stop()
    assert not answer.ok and "aborted" in answer.reason and "gone" in answer.reason
    bench.feed(10)
    assert bench.start().ok and bench.stop().ok
