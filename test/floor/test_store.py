"""The store whose changes reach the catalogue and the agent.

Holds also: changes.py, agent_status.py.
"""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest
from support.episodes import make_episode

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.floor.agent_status import RUNNING_S, STATUS_FILE, agent_alarms, alarms_in
from robot_recorder.floor.changes import AGENT, ChangeMarks
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


def test_every_change_is_marked_once_an_agent_is_set_up(tmp_path: Path) -> None:
    store, marks = open_store(tmp_path), ChangeMarks(tmp_path)
    first = make_episode(store)
    assert not (tmp_path / AGENT).exists() and marks.take() == []  # no agent: nothing of it is left
    marks.make()
    second = make_episode(store, 60)
    store.append_label(
        LabelEvent(time.time_ns(), first.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    )
    assert marks.take() == sorted((first.name, second.name)) and marks.take() == []
    store.discard(first)
    assert marks.take() == [first.name]
    store.restore(first.name)
    assert marks.take() == [first.name]


def test_the_catalogue_learns_of_it_too(tmp_path: Path) -> None:
    path = make_episode(open_store(tmp_path))
    catalogue = Catalogue(tmp_path)
    assert not catalogue.is_empty() and path.name
    catalogue.close()


def test_a_mark_that_cannot_be_set_costs_the_recorder_nothing(tmp_path: Path) -> None:
    marks = ChangeMarks(tmp_path)
    marks.make()
    changed = tmp_path / AGENT / "changed"
    changed.rmdir()
    changed.write_text("in the way")
    marks.changed(tmp_path / "e")
    path = make_episode(open_store(tmp_path))
    assert path.is_dir() and marks.take() == []


def test_a_mark_never_writes_through_a_link(tmp_path: Path) -> None:
    marks = ChangeMarks(tmp_path)
    marks.make()
    victim = tmp_path / "victim"
    os.symlink(victim, tmp_path / AGENT / "changed" / "e")
    marks.changed(tmp_path / "e")
    assert not victim.exists()


def test_others_who_may_write_to_the_root_may_mark(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    root.chmod(0o770)
    ChangeMarks(root).make()
    assert (root / AGENT / "changed").stat().st_mode & 0o777 == 0o770


def test_alarms_of_an_agent_that_runs_are_known_and_of_others_unknown(tmp_path: Path) -> None:
    now_ns = 1_800_000_000_000_000_000
    assert agent_alarms(tmp_path, now_ns) is None, "no agent"
    (tmp_path / AGENT).mkdir()
    plain = {"alarms": ["the centre cannot be reached"], "at_ns": now_ns}
    (tmp_path / STATUS_FILE).write_text(json.dumps(plain))
    assert agent_alarms(tmp_path, now_ns) == ["the centre cannot be reached"]
    late_ns = now_ns + round((RUNNING_S - 1) * 1e9)
    assert agent_alarms(tmp_path, late_ns) and agent_alarms(tmp_path, late_ns + 10**9) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "[" * 100_000, '{"at_ns": "x"}', '{"at_ns": 1e999, "alarms": []}', '{"alarms": []}',
             '{"at_ns": 1, "alarms": 3}'],
)  # fmt: skip
def test_an_agents_status_that_is_not_understood_is_unknown(text: str) -> None:
    assert alarms_in(text, 1) is None


def test_a_fifo_in_place_of_a_mark_does_not_hold_the_recorder(tmp_path: Path) -> None:
    marks = ChangeMarks(tmp_path)
    marks.make()
    os.mkfifo(tmp_path / AGENT / "changed" / "e")
    thread = threading.Thread(target=marks.changed, args=(tmp_path / "e",), daemon=True)
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    assert marks.take() == ["e"] and marks.take() == []
