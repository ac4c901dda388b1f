"""What the centre shows of a robot that is looked at now."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.floor.agent.live import LimpingStream, LiveState, RecorderView

ID = "arm_20260101T000000_000_lift"


def recording(root: Path) -> Path:
    """Return a directory that a recorder writes into."""
    store = EpisodeStore(root)
    partial = store.new_partial(ID)
    partial.mkdir()
    (partial / f"{partial.name}_0.mcap").write_bytes(b"x")
    store.write_note(partial, Note({"task": "lift", "operator": "ann"}, []))
    return partial


def age(partial: Path, seconds: float) -> None:
    for path in partial.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_recording_is_seen_on_the_disk_and_a_leftover_of_a_crash_is_none(tmp_path: Path) -> None:
    live = LiveState(tmp_path, "arm")
    assert live.recorder() == RecorderView("idle")
    partial = recording(tmp_path)
    assert live.recorder() == RecorderView("recording", ID, "lift", "ann")
    age(partial, 60)
    assert live.recorder() == RecorderView("idle")


def test_what_the_recorder_says_counts_until_it_falls_silent(tmp_path: Path) -> None:
    now_s = [0.0]
    live = LiveState(tmp_path, "arm", lambda: now_s[0])
    stream = LimpingStream("cam", "slow", 12.0, None)
    live.hear(RecorderView("finalising", streams=(stream,)))
    plain = live.to_plain()
    assert plain["state"] == "finalising"
    assert plain["streams"] == [
        {"name": "cam", "health": "slow", "rate_hz": 12.0, "expected_hz": None}
    ]
    now_s[0] = 3.5
    assert live.to_plain()["state"] == "idle" and live.to_plain()["streams"] == []


def test_the_shift_says_how_many_of_how_many(tmp_path: Path) -> None:
    live = LiveState(tmp_path, "arm")
    assert live.shift() == (None, None)
    usual = {
        "finished": True,
        "warm_up": False,
        "discarded": False,
        "outcome": "success",
        "verdict": "accept",
    }
    takes = [
        usual, {**usual, "verdict": "reject"}, {**usual, "outcome": "failure"}, {**usual, "discarded": True},
        {**usual, "warm_up": True}, {**usual, "finished": False}, usual,
    ]  # fmt: skip
    folder = tmp_path / ".shift"
    folder.mkdir()
    plain = {"plan": {"target": 50}, "state": "ready", "takes": takes}
    (folder / "arm.json").write_text(json.dumps(plain))
    assert live.shift() == (2, 50)
    (folder / "arm.json").write_text(json.dumps({**plain, "plan": {"target": 0}}))
    assert live.shift() == (2, None)
    for broken in (
        "",
        "[]",
        "{}",
        json.dumps({**plain, "takes": [{}]}),
        json.dumps({**plain, "state": "idle"}),
    ):
        (folder / "arm.json").write_text(broken)
        assert live.shift() == (None, None)


def test_the_real_shift_is_understood(tmp_path: Path) -> None:
    from robot_recorder.recorder.shift import Shift
    from robot_recorder.recorder.shift_file import ShiftFile

    shift = Shift()
    ShiftFile(tmp_path, "arm").save(
        {
            "shift": {**shift.to_dict(), "state": "ready"},
            "answers": [],
        }  # as the operator's node does
    )
    assert LiveState(tmp_path, "arm").shift() == (0, None)


def test_what_cannot_be_known_is_null(tmp_path: Path) -> None:
    plain = LiveState(tmp_path / "missing", "arm").to_plain()
    assert plain["state"] == "unknown" and plain["disk_free_bytes"] is None
    assert plain["episode"] is plain["task"] is plain["taken"] is None


def test_long_texts_are_cut_for_the_wall(tmp_path: Path) -> None:
    live = LiveState(tmp_path, "arm")
    live.hear(RecorderView("recording", "e" * 999, "t" * 999, "o" * 999))
    plain = live.to_plain()
    assert [len(plain[key]) for key in ("episode", "task", "operator")] == [200] * 3


def test_a_root_that_did_not_change_is_not_listed_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[int] = []
    real = EpisodeStore.unfinished

    def unfinished(store: EpisodeStore) -> list[Path]:
        listed.append(1)
        return real(store)

    monkeypatch.setattr(EpisodeStore, "unfinished", unfinished)
    now_s = [0.0]
    live = LiveState(tmp_path, "arm", lambda: now_s[0])
    os.utime(tmp_path, (time.time() - 60,) * 2)
    for _ in range(9):
        assert live.recorder().state == "idle"
    assert len(listed) == 1
    recording(tmp_path)  # it changes the folder: seen at once
    assert live.recorder().state == "recording"
    os.utime(tmp_path, (time.time() - 60,) * 2)
    live.recorder()
    before = len(listed)
    now_s[0] += 6.0  # a file system without good times
    live.recorder()
    assert len(listed) == before + 1
