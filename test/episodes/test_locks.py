"""Locks need write access to the root, waits have a deadline, and modes do not depend on the umask."""

from __future__ import annotations

import os
import signal
import stat
import time
from pathlib import Path

import pytest
from support.bench import Bench
from support.episodes import make_episode
from support.others import GRAB, another

from robot_recorder.episodes.locks import LOCKS, SERVICE_WAIT_S, Claim, HeldError, Lock
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.store import open_store
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


def success(id: str) -> LabelEvent:
    return LabelEvent(1, id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)


HOLD = """
    import sys, time
    from pathlib import Path
    from robot_recorder.episodes.locks import Lock
    lock = Lock(Path(sys.argv[1]), sys.argv[2])
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_lock_is_private_and_leaves_nothing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    lock = Lock(tmp_path, "one")
    assert stat.S_IMODE(lock.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(lock.path.parent.stat().st_mode) == 0o700
    with pytest.raises(HeldError, match=f"process {os.getpid()} on"):
        Lock(tmp_path, "one", wait_s=0)
    lock.release()
    lock.release()
    assert list((tmp_path / LOCKS).iterdir()) == []
    Lock(tmp_path, "one", wait_s=0).release()


def test_everyone_who_may_write_to_a_shared_root_may_lock_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    with Lock(tmp_path, "one") as lock:
        assert stat.S_IMODE(lock.path.stat().st_mode) == 0o660


def test_a_label_waits_for_another_no_longer_than_its_deadline(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path, wait_s=SERVICE_WAIT_S)
    path = make_episode(store)
    with another(HOLD, tmp_path, path.name) as holder:
        began = time.monotonic()
        with pytest.raises(BagError, match=f"being changed by process {holder.pid} on"):
            store.append_label(success(path.name))
        assert 1.5 < time.monotonic() - began < 6
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        store.append_label(success(path.name))


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_a_reader_cannot_block_the_recorder(tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("readable")
    for folder in (root, *root.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    bench = Bench(root)
    bench.feed(10)
    bench.start()
    bench.stop()
    with another(GRAB, root):
        began = time.monotonic()
        assert bench.start().ok
        bench.feed(10)
        id = bench.last.id
        assert bench.recorder.label(success(id)).ok
        assert bench.stop().ok
        assert bench.recorder.label(success(id)).ok
        assert bench.recorder.discard().ok and bench.recorder.restore().ok
        assert time.monotonic() - began < 5


def test_a_lock_on_the_root_directory_itself_blocks_nothing(tmp_path: Path) -> None:
    """An older version locked the directory, which every reader can do, too."""
    import fcntl

    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    bench = Bench(tmp_path)
    bench.feed(10)
    began = time.monotonic()
    assert bench.start().ok and bench.stop().ok
    (tmp_path / "empty.partial").mkdir()
    assert len(recover_all(EpisodeStore(tmp_path))) == 1
    assert time.monotonic() - began < 5
    os.close(fd)


@pytest.mark.parametrize("what", ["fifo", "link", "directory"])
def test_an_error_names_what_lies_in_the_place_of_a_lock_file(tmp_path: Path, what: str) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store)
    place = tmp_path / LOCKS / f"{path.name}.lock"
    place.parent.mkdir()
    if what == "fifo":
        os.mkfifo(place)
    elif what == "link":
        place.symlink_to(tmp_path / "victim")
    else:
        place.mkdir()
    with pytest.raises(BagError, match=str(place)):
        store.append_label(success(path.name))
    assert not (tmp_path / "victim").exists()


def test_a_second_recorder_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    with another(HOLD, tmp_path, ".recorder_arm") as first:
        second = Claim(tmp_path, "arm")
        assert f"process {first.pid} on" in second.problem()
        assert Claim(tmp_path, "leg").problem() == ""
        bench = Bench(tmp_path)
        bench.recorder.claim = second
        bench.feed(10)
        refused = bench.start(force=True)
        assert not refused.ok and f"process {first.pid}" in refused.reason
        assert "second_recorder" in refused.reason and bench.recorder.warnings()
        assert not EpisodeStore(tmp_path).unfinished()
        first.send_signal(signal.SIGKILL)
        first.wait()
        assert bench.start().ok and bench.stop().ok
    assert "another recorder of arm" in Claim(tmp_path, "arm").problem()
    second.release()
    assert Claim(tmp_path, "arm").problem() == ""


@pytest.mark.parametrize("umask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o640, 0o600, 0o664])
def test_files_and_directories_get_the_configured_mode(
    tmp_path: Path, umask: int, mode: int
) -> None:
    root = tmp_path / "root"
    before = os.umask(umask)
    try:
        bench = Bench(root)
        bench.recorder.store = store = open_store(root, mode)
        bench.feed(10)
        assert bench.start().ok
        bench.feed(10)
        partial = bench.last.path
        bench.recorder.label(success(bench.last.id))
        running = [partial, *partial.iterdir()]
        assert len(running) == 3 and all(fits(p, mode) for p in running)
        bench.stop()
        store.append_label(success(bench.last.id))
        bench.recorder.discard()
    finally:
        os.umask(before)
    found = [p for p in [root, *root.rglob("*")] if LOCKS not in str(p)]
    assert {p.name for p in found} >= {"metadata.yaml", "discarded.json", "episodes.sqlite"}
    assert {p.name for p in found} >= {".trash", ".seen"}
    assert [str(p) for p in found if not fits(p, mode)] == []


def fits(path: Path, mode: int) -> bool:
    found = stat.S_IMODE(path.stat().st_mode)
    return found == (mode | (mode & 0o444) >> 2 if path.is_dir() else mode)


def test_labelling_keeps_the_mode_of_the_metadata(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store)
    (path / "metadata.yaml").chmod(0o664)
    store.append_label(success(path.name))
    assert stat.S_IMODE((path / "metadata.yaml").stat().st_mode) == 0o664
