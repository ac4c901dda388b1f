"""Discarded episodes are kept as long as promised, whatever the size of the trash and the clock.

Holds also: nodes/housekeeping.py.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.trash import MOMENT_FILE, TrashLimits
from robot_recorder.model.errors import BagError
from robot_recorder.nodes import housekeeping as housekeeping_module
from robot_recorder.nodes.housekeeping import Housekeeping

DAY_NS = 86_400 * 10**9


@pytest.fixture(autouse=True)
def no_killed_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report nothing of the shared memory that other processes of this machine have left."""
    monkeypatch.setattr(housekeeping_module, "remove_leftovers", lambda: 0)


def keep(store: EpisodeStore, limits: TrashLimits) -> list[str]:
    """Run the housekeeping of a recorder that has just started; return what it reported."""
    reports: list[str] = []
    housekeeping = Housekeeping(store, limits, reports.append)
    housekeeping.close()
    return reports


def test_a_large_trash_is_reported_and_nothing_is_deleted(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    gone = [store.discard(make_episode(store, 100.0 * n)) for n in range(3)]
    limits = TrashLimits(days=7, max_bytes=100)
    assert keep(store, limits) == [] and store.trashed() == gone
    excess = store.trash.excess(limits)
    assert "trash_max_gb" in excess and "--delete" in excess and str(tmp_path) in excess
    assert store.trash.excess(TrashLimits()) == ""


def test_old_file_times_delete_nothing(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    gone = store.discard(make_episode(store))
    os.utime(gone, (1, 1))
    copy = Path(shutil.copytree(gone, gone.with_name(f"{gone.name}-copy")))
    os.utime(copy, (1, 1))
    unknown = Path(shutil.copytree(gone, gone.with_name("of_an_older_version")))
    (unknown / MOMENT_FILE).unlink()
    now_ns = time.time_ns()
    assert store.empty_trash(now_ns, 7) == []
    for path in (copy, unknown):  # their retention starts when they are first seen
        moment = store.trash.moment(path)
        assert moment is not None and moment.at_ns == now_ns
    late = now_ns + 8 * DAY_NS
    assert store.empty_trash(now_ns + 7 * DAY_NS - 10**12, 7) == []
    assert set(store.empty_trash(late, 7)) == {gone, copy, unknown}
    assert store.trashed() == [] and store.paths() == []


def test_a_promised_retention_is_kept_and_may_become_longer(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    gone = store.discard(make_episode(store), days=3)
    moment = store.trash.moment(gone)
    assert moment is not None and moment.until_ns() == moment.at_ns + 3 * DAY_NS
    assert store.empty_trash(moment.at_ns + 2 * DAY_NS, days=1) == []
    assert store.empty_trash(moment.at_ns + 4 * DAY_NS, days=7) == []
    assert store.empty_trash(moment.at_ns + 4 * DAY_NS, days=1) == [gone]


@pytest.mark.parametrize("by_days", [-400, -8, 8, 400])
def test_setting_the_clock_while_no_recorder_runs_makes_nothing_older(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_days: int
) -> None:
    store = EpisodeStore(tmp_path)
    gone = store.discard(make_episode(store))
    keep(store, TrashLimits())
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + by_days * DAY_NS)
    keep(store, TrashLimits())
    assert store.trashed() == [gone]
    moment = store.trash.moment(gone)
    assert moment is not None and abs(moment.at_ns - time.time_ns()) < DAY_NS / 24


def test_setting_the_clock_shifts_the_discarding_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EpisodeStore(tmp_path)
    gone = store.discard(make_episode(store))
    housekeeping = Housekeeping(store, TrashLimits(), lambda _: None)
    housekeeping.close()
    before = store.trash.moment(gone)
    real = time.time_ns
    for by in (30 * DAY_NS, -30 * DAY_NS, 0):
        monkeypatch.setattr(time, "time_ns", lambda by=by: real() + by)
        housekeeping._empty_trash()
        moment = store.trash.moment(gone)
        assert before is not None and moment is not None and store.trashed() == [gone]
        assert abs(moment.at_ns - before.at_ns - by) < 10**10


def test_the_retention_of_an_episode_discarded_in_the_future_starts_now(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    gone = store.trash.put(make_episode(store), time.time_ns() + 1000 * DAY_NS, 7)
    now_ns = time.time_ns()
    assert store.empty_trash(now_ns, 7) == []
    assert store.empty_trash(now_ns + 8 * DAY_NS, 7) == [gone]


def test_restoring_without_an_id_restores_only_the_robots_own_episode(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    mine = store.discard(make_episode(store, 0, robot="r1"))
    store.discard(make_episode(store, 100, robot="r2"))
    tricky = store.discard(make_episode(store, 200, robot="r1_20260101T000000_000_r2"))
    assert store.restore("", robot="r1").name == mine.name
    with pytest.raises(BagError, match="of robot r1"):
        store.restore("", robot="r1")
    assert store.restore("").name == tricky.name
    with pytest.raises(BagError, match="no episode 'nobody'"):
        store.restore("nobody")


def test_a_restored_episode_is_unchanged(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store)
    before = sorted((p.name, p.read_bytes()) for p in path.iterdir())
    gone = store.discard(path)
    with pytest.raises(BagError, match="in the trash already"):
        store.discard(gone)
    with pytest.raises(BagError, match="restore it first"):
        store.find(path.name)
    assert store.restore(path.name) == path
    assert sorted((p.name, p.read_bytes()) for p in path.iterdir()) == before


def test_discarding_works_on_a_full_disk_and_the_episode_is_kept_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = EpisodeStore(tmp_path)
    path = make_episode(store)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("robot_recorder.episodes.trash.replace_text", full)
    gone = store.discard(path)
    assert store.trash.moment(gone) is None and "kept longer" in caplog.text
    assert store.empty_trash(time.time_ns() + 100 * DAY_NS, 7) == []
    monkeypatch.undo()
    assert store.empty_trash(time.time_ns() + 100 * DAY_NS, 7) == []
    assert store.restore("") == path
