"""Folders of episodes that several commands are tried on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bags import PROFILE, small_robot
from support.episodes import make_episode
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.cli.main import main
from robot_recorder.episodes.facts import label_facts
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

DAY_S = 86_400


@pytest.fixture
def six_episodes(tmp_path: Path) -> Path:
    """Six episodes of two robots on 2023-11-14 and the day after, and one two days later."""
    store = open_store(tmp_path / "root")
    make_episode(store, 0, 10, "r1", "fold", "ann", Outcome.SUCCESS, verdict="accept")
    make_episode(store, 60, 20, "r1", "fold", "ann", Outcome.FAILURE, "slip", "accept")
    make_episode(
        store, 120, 30, "r1", "lift", "bob", Outcome.SUCCESS, verdict="review", reasons=["gap"]
    )
    make_episode(
        store, DAY_S, 40, "r2", "lift", "bob", Outcome.SUCCESS, verdict="reject", reasons=["rate"]
    )
    make_episode(store, DAY_S + 60, 50, "r2", "lift", "bob")
    make_episode(store, 3 * DAY_S, 60, "r2", "fold", "ann", Outcome.SUCCESS)
    return tmp_path / "root"


@pytest.fixture
def crashed_root(tmp_path: Path) -> Path:
    """Two finished episodes and one that never was."""
    store = open_store(tmp_path / "root")
    for number, outcome in enumerate((Outcome.SUCCESS, Outcome.FAILURE)):
        id = f"arm_20260101T00000{number}_000_lift"
        partial = store.new_partial(id)
        messages = [("/wrist/wrench", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(100)]
        write_bag(McapWriter(), partial, messages)
        events = [
            LabelEvent(T0, id, LabelKind.TASK, task="lift", instruction="Lift it."),
            LabelEvent(
                T0, id, LabelKind.OUTCOME, outcome=outcome, cause="" if number == 0 else "slip"
            ),
        ]
        facts = {
            "episode_id": id,
            "start_ns": str(T0),
            "stop_ns": str(T0 + 10**9),
            **label_facts(events),
        }
        store.finalise(partial, facts)
    (tmp_path / "root" / "died.partial").mkdir()
    return tmp_path / "root"


@pytest.fixture(scope="module")
def small_bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    facts = {"profile_yaml": PROFILE, "episode_id": "small_1", "namespace": "/"}
    return small_robot(tmp_path_factory.mktemp("cli") / "small_1", 4, 0.0, "/", **facts)


@pytest.fixture
def run(capsys) -> Callable[..., str]:
    """Runs a command that succeeds, and returns what it printed."""

    def run(*arguments: object) -> str:
        assert main([str(a) for a in arguments]) == 0
        return capsys.readouterr().out

    return run
