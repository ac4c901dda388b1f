"""Compressing finished episodes: whatever ends it, and whoever else is at work, nothing is lost."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.bags import small_robot

from robot_recorder.bags.bag import data_files
from robot_recorder.bags.mcap_compress import compress_file
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.bags.reader import BagMessage, read_messages
from robot_recorder.episodes import compression
from robot_recorder.episodes.compression import STAGING, Compressor, being_recorded
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.locks import Lock
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError
from robot_recorder.offline.structure import structure_problems


def run(root: Path, begun: Any) -> None:
    """Compress all of a root."""
    store = EpisodeStore(root)
    with Compressor(store) as work:
        begun.set()
        for path in store.paths():
            work.compress(path)


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    small_robot(tmp_path / "one", 4, episode_id="one")
    return EpisodeStore(tmp_path)


def content(path: Path) -> list[BagMessage]:
    return list(read_messages(path))


def data_file(path: Path) -> Path:
    (file,) = data_files(path, Episode.open(path).metadata)
    return file


def test_an_episode_becomes_smaller_keeps_its_messages_and_says_what_it_saves(store) -> None:
    path = store.root / "one"
    before, size = content(path), data_file(path).stat().st_size
    told: list[tuple[Path, Episode | None]] = []
    store = EpisodeStore(store.root, on_change=[lambda p, e: told.append((p, e))])
    shares: list[float] = []
    with Compressor(store) as work:
        found = work.compress(path, shares.append)
    assert found.changed == 1 and not found.left and found.ratio > 1
    assert found.after_bytes == data_file(path).stat().st_size < size
    assert abs(found.before_bytes - size) < 0.02 * size, "chunks are others, so it is not the same"
    saved = json.loads(Episode.open(path).facts["compressed"])
    assert saved == {"before_bytes": found.before_bytes, "after_bytes": found.after_bytes}
    assert content(path) == before and not structure_problems(Episode.open(path))
    assert [p for p, _ in told] == [path] and shares[-1] == 1.0
    assert not (store.root / STAGING).exists()
    with Compressor(store) as work:
        again = work.compress(path)
    assert not again.changed and "compressed already" in again.left[0] and len(told) == 1


def test_kill_9_at_any_moment_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    for name in ("one", "two"):
        small_robot(tmp_path / name, 8, episode_id=name)
    before = {name: content(tmp_path / name) for name in ("one", "two")}
    chance, fork = random.Random(1), multiprocessing.get_context("fork")
    for _ in range(10):
        begun = fork.Event()
        process = fork.Process(target=run, args=(tmp_path, begun))
        process.start()
        assert begun.wait(20)
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.join()
        for name, messages in before.items():
            assert content(tmp_path / name) == messages
            # the note of what it saves is replaced in two steps, too
            left = {p.name for p in (tmp_path / name).iterdir()} - {METADATA_FILE + ".tmp"}
            assert sorted(Path(n).suffix for n in left) == [".mcap", ".yaml"]
        assert [p.name for p in EpisodeStore(tmp_path).paths()] == ["one", "two"]
    run(tmp_path, fork.Event())
    assert not (tmp_path / STAGING).exists(), "what was left half made is gone"
    for name, messages in before.items():
        assert content(tmp_path / name) == messages
        assert sorted(p.suffix for p in (tmp_path / name).iterdir()) == [".mcap", ".yaml"]
        assert "compressed" in Episode.open(tmp_path / name).facts


def test_who_has_begun_to_send_it_keeps_it_as_it_is(store) -> None:
    path, asked = store.root / "one", []

    @contextmanager
    def begins_meanwhile(name: str) -> Iterator[str]:
        asked.append(name)
        yield "it is being sent" if len(asked) > 1 else ""

    file = data_file(path)
    before = file.read_bytes()
    with Compressor(store, begins_meanwhile) as work:
        found = work.compress(path)
    assert asked == ["one", "one"] and "it is being sent" in found.left[0] and not found.changed
    assert file.read_bytes() == before and "compressed" not in Episode.open(path).facts


def test_a_file_that_is_shared_changed_or_locked_stays(store, monkeypatch) -> None:
    path = store.root / "one"
    file = data_file(path)
    before = file.read_bytes()
    os.link(file, store.root / "other")
    with Compressor(store) as work:
        assert "it has another name" in work.compress(path).left[0]
    file.unlink()
    file.symlink_to(store.root / "other")
    with Compressor(store) as work:
        assert "or a link" in work.compress(path).left[0]
    (store.root / "other").replace(file)
    with Compressor(store, pace=lambda: os.utime(file)) as work:
        assert "changed meanwhile" in work.compress(path).left[0]
    monkeypatch.setattr(compression, "_LOCK_WAIT_S", 0.05)
    with Lock(store.root, "one"), Compressor(store) as work:
        assert "being changed by process" in work.compress(path).left[0]
    monkeypatch.setattr(compression, "_KEEP_FREE", 1 << 62)
    with Compressor(store) as work:
        assert "too little room" in work.compress(path).left[0]
    assert file.read_bytes() == before


def test_what_ends_it_leaves_no_copy(store) -> None:
    class Ended(Exception):
        pass

    def end() -> None:
        raise Ended

    path = store.root / "one"
    before = content(path)
    with pytest.raises(Ended), Compressor(store, pace=end) as work:
        work.compress(path)
    assert not (store.root / STAGING).exists() and content(path) == before


def test_what_others_signed_or_compressed_stays_as_it_is(store) -> None:
    path = store.root / "one"
    store.amend(path, lambda _: {"provenance": "[]"})
    with Compressor(store) as work:
        assert "signed these very bytes" in work.compress(path).left[0]
    foreign = small_robot(store.root / "foreign", 1)
    compress_file(data_file(foreign), store.root / "packed")
    (store.root / "packed").replace(data_file(foreign))
    before = (foreign / METADATA_FILE).read_bytes()
    with Compressor(store) as work:
        found = work.compress(foreign)
    assert not found.changed and found.ratio > 1, "compressed by others"
    assert (foreign / METADATA_FILE).read_bytes() == before


def test_a_link_in_the_place_of_the_staging_folder_is_not_followed(store) -> None:
    (store.root / STAGING).symlink_to(store.root / "gone")
    with Compressor(store) as work:
        assert work.compress(store.root / "one").changed
    assert not (store.root / STAGING).is_symlink()


def test_only_one_compresses_in_a_root(store) -> None:
    with Compressor(store), pytest.raises(BagError, match="is being compressed by process"):
        Compressor(store).__enter__()


def test_a_damaged_file_is_told_and_stays(store) -> None:
    file = data_file(store.root / "one")
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    with Compressor(store) as work, pytest.raises(BagError, match="is damaged at byte"):
        work.compress(store.root / "one")
    assert file.read_bytes() == bytes(data)


def test_a_recording_is_seen_while_it_writes(store) -> None:
    assert being_recorded(store) == ""
    partial = store.root / "two.partial"
    partial.mkdir()
    (partial / "two.partial_0.mcap").write_bytes(b"")
    assert being_recorded(store) == "two"
    for path in (partial / "two.partial_0.mcap", partial):
        os.utime(path, (1, 1))
    assert being_recorded(store) == "", "left by a crash"
