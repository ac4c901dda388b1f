"""Who holds the buttons, and the audit log."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from robot_recorder.console.holder import AuditEntry, AuditLog, Hold, Holder

ANN, EVE = Hold("c1", "ann"), Hold("c2", "eve")


def test_the_first_command_takes_the_buttons_and_others_are_refused_by_name() -> None:
    holder = Holder()
    assert holder.problem(ANN) == "" and holder.problem(ANN) == ""
    assert "ann has the buttons" in holder.problem(EVE)
    assert holder.take(EVE) == ANN and holder.take(EVE) is None
    assert "eve" in holder.problem(ANN)
    assert not holder.let_go("c1") and holder.let_go("c2")
    assert holder.problem(ANN) == ""


def entry(message: str) -> AuditEntry:
    return AuditEntry("ann", "::1", "c1", "command step", {"note": "a\nb\u2028"}, True, message)


def test_entries_are_one_line_each_whatever_is_in_them(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, "g1")
    threads = [threading.Thread(target=log.add, args=(entry(f"{n}\r\n"),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = log.path.read_bytes().split(b"\n")
    assert len(lines) == 21 and lines[-1] == b""
    assert {json.loads(line)["message"] for line in lines[:-1]} == {f"{n}\r\n" for n in range(20)}
    assert log.path.stat().st_mode & 0o007 == 0


def test_no_request_fills_the_log_and_old_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path, "g1")
    log.add(AuditEntry("ann", "::1", "c1", "x", {"note": "😀" * 4000}, True, "x" * 9000))
    assert log.path.stat().st_size < 10_000
    monkeypatch.setattr("robot_recorder.console.holder._MOST_BYTES", 1000)
    monkeypatch.setattr("robot_recorder.console.holder._MOST_OLD", 3)
    for number in range(30):
        log.add(entry(f"{number}"))
    kept = sorted(log.path.parent.glob("g1.audit.*.jsonl"))
    lines = [
        json.loads(x)["message"] for p in [*kept, log.path] for x in p.read_text().splitlines()
    ]
    assert len(kept) == 3 and lines == [str(n) for n in range(30)][-len(lines) :]


@pytest.mark.announced("is not written")
def test_a_log_that_cannot_be_written_is_told_once_and_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = AuditLog(tmp_path, "g1")
    log.path.parent.mkdir()
    os.symlink("/dev/full", log.path)
    log.add(entry("one"))
    log.add(entry("two"))
    assert len(caplog.records) == 1
