"""Episodes of the storage become directories: copied once, never too many, never torn."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("alembic")
from support.episodes import make_episode

from robot_recorder.bags.files import folder_bytes
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.centre.local_copy import LocalCopies
from robot_recorder.floor.storage.open import open_storage
from robot_recorder.floor.storage.port import StorageError, StorageTrouble
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

SITE = "turin"


class Bucket:
    """A storage that is not a directory of this machine, and counts what is read."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._storage = folder, open_storage(str(folder))
        self.read: Counter[str] = Counter()
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def chunks(self, key: str) -> Iterator[bytes]:
        self.read[key.rsplit("/", 1)[-1]] += 1
        for chunk in self._storage.chunks(key):
            yield chunk[: len(chunk) // 2]
            if self.broken:
                raise StorageError(StorageTrouble.UNAVAILABLE, "it is gone")
            yield chunk[len(chunk) // 2 :]


@pytest.fixture
def store(tmp_path: Path) -> EpisodeStore:
    return EpisodeStore(tmp_path / "storage" / "bags" / SITE)


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    (tmp_path / "storage").mkdir()
    return Bucket(tmp_path / "storage")


def copies(bucket: Any, tmp_path: Path, most: int = 10**9) -> LocalCopies:
    return LocalCopies(bucket, tmp_path / "copies", most)


def test_a_directory_is_read_where_it_is(store: EpisodeStore, tmp_path: Path) -> None:
    path = make_episode(store)
    given = LocalCopies(open_storage(str(tmp_path / "storage")), tmp_path / "copies", 1)
    with given.episode(SITE, path.name) as found:
        assert found == path
    assert not (tmp_path / "copies").exists()


def test_data_is_fetched_once_and_metadata_every_time(
    bucket: Bucket, store: EpisodeStore, tmp_path: Path
) -> None:
    path = make_episode(store)
    given = copies(bucket, tmp_path)
    with given.episode(SITE, path.name) as found:
        assert found.parent.parent == tmp_path / "copies"
        assert {p.name: p.read_bytes() for p in found.iterdir()} == {
            p.name: p.read_bytes() for p in path.iterdir()
        }
    event = LabelEvent(1, path.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE)
    store.append_label(event)
    with copies(bucket, tmp_path).episode(SITE, path.name) as found:
        assert Episode.open(found).labels.outcome is Outcome.FAILURE
    assert bucket.read == {f"{path.name}_0.mcap": 1}


def test_what_was_used_longest_ago_makes_room_but_nothing_in_use(
    bucket: Bucket, store: EpisodeStore, tmp_path: Path
) -> None:
    paths = [make_episode(store, 60 * number) for number in range(4)]
    size = folder_bytes(paths[0])
    given = copies(bucket, tmp_path, round(2.5 * size))
    folder = tmp_path / "copies" / SITE
    with given.episode(SITE, paths[0].name):
        for path in paths[1:]:
            with given.episode(SITE, path.name):
                pass
        assert sorted(p.name for p in folder.iterdir()) == [paths[0].name, paths[3].name]
        with given.episode(SITE, paths[3].name), given.episode(SITE, paths[1].name):
            assert len(list(folder.iterdir())) == 3  # all in use: more than the limit
    with given.episode(SITE, paths[2].name):
        assert folder_bytes(folder) <= 2.5 * size


def test_a_copy_that_is_interrupted_is_made_anew(
    bucket: Bucket, store: EpisodeStore, tmp_path: Path
) -> None:
    path = make_episode(store)
    given = copies(bucket, tmp_path)
    bucket.broken = True
    with pytest.raises(StorageError, match="gone"), given.episode(SITE, path.name):
        pass
    assert not (tmp_path / "copies" / SITE).exists()
    bucket.broken = False
    with given.episode(SITE, path.name) as found:
        assert (found / f"{path.name}_0.mcap").read_bytes() == bytes(1000)


def test_many_readers_share_one_copy(bucket: Bucket, store: EpisodeStore, tmp_path: Path) -> None:
    path = make_episode(store)
    found: list[bytes] = []

    def read() -> None:
        with copies(bucket, tmp_path).episode(SITE, path.name) as there:
            found.append((there / f"{path.name}_0.mcap").read_bytes())

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [bytes(1000)] * 8
    assert bucket.read == {f"{path.name}_0.mcap": 1}


def test_a_disk_that_is_away_is_no_missing_episode(tmp_path: Path) -> None:
    (tmp_path / "mount").mkdir()
    given = LocalCopies(open_storage(str(tmp_path / "mount")), tmp_path / "copies", 1)
    with pytest.raises(StorageError) as told, given.episode(SITE, "some"):
        pass
    assert told.value.trouble is StorageTrouble.UNAVAILABLE


def test_what_is_not_there_is_told(bucket: Bucket, store: EpisodeStore, tmp_path: Path) -> None:
    make_episode(store)
    for storage in (bucket, open_storage(str(bucket.folder))):
        given = LocalCopies(storage, tmp_path / "copies", 1)
        told = pytest.raises(StorageError, match="no episode nothing of turin")
        with told, given.episode(SITE, "nothing"):
            pass
        with pytest.raises(BagError), given.episode("..", "nothing"):
            pass
