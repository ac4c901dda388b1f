"""A floor of light robots against a real centre: what it records arrives, and what breaks is mended.

Holds also: light_robot.py, own_centre.py, holdings.py.
"""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

for needed in ("cv2", "fastapi", "psycopg", "cryptography"):
    pytest.importorskip(needed)

from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.floor.sim.faults import LinkState, SimFault
from robot_recorder.floor.sim.floor import (
    GroupOrders,
    RobotGroupPlan,
    SimFloor,
    SimSettings,
    faults_named,
    plain_run,
)
from robot_recorder.floor.sim.light_robot import WrongTime, give_agents_a_clock
from robot_recorder.floor.sim.own_centre import OwnCentre, as_json
from robot_recorder.model.errors import RecorderError

pytestmark = pytest.mark.floor


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnCentre]:
    with OwnCentre(tmp_path_factory.mktemp("centre")) as running:
        yield running


def settings(folder: Path, site: str, **more: object) -> SimSettings:
    values = {
        "robots": 2,
        "per_process": 1,
        "seconds": 60.0,
        "pace_s": 0.5,
        "episodes": 6,
        "drain_s": 60.0,
    }
    return SimSettings(folder=folder, site=site, **{**values, **more})  # type: ignore[arg-type]


def until(what: str, condition: object, timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, f"waited for {what}"
        time.sleep(0.1)


def test_what_robots_record_arrives_bag_by_bag_and_label_by_label(tmp_path: Path) -> None:
    with (
        OwnCentre(tmp_path / "centre") as centre,
        SimFloor(settings(tmp_path / "floor", "a"), centre) as floor,
    ):
        run = floor.run()
    account = run.account
    assert account.wrong == 0, account.complaints
    assert account.recorded >= 6 and run.drain_s is not None
    assert account.acknowledged == account.recorded - account.discarded
    assert run.heard_s and min(run.heard_s) < 5
    assert plain_run(run)["lost"] == 0


def test_a_robot_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    with (
        OwnCentre(tmp_path / "centre") as centre,
        SimFloor(settings(tmp_path / "floor", "b"), centre) as floor,
    ):
        floor.start()
        until("episodes", lambda: floor.recorded() >= 2)
        for group in floor.groups:
            group.kill()
        for group in floor.groups:
            group.start()
        run = floor.end(floor.watch())
    assert run.account.wrong == 0, run.account.complaints
    assert run.account.recorded >= 6


def test_a_loss_is_found(tmp_path: Path) -> None:
    """The accounting itself: something is deleted behind everybody's back."""
    with (
        OwnCentre(tmp_path / "centre") as centre,
        SimFloor(settings(tmp_path / "floor", "c"), centre) as floor,
    ):
        first = floor.run()
        assert first.account.wrong == 0
        truth = next(t for t in floor.truths() if t.on_disk)
        id, path = next(iter(truth.on_disk.items()))
        shutil.rmtree(path)
        data = tmp_path / "centre/storage/bags" / truth.site / id / f"{id}_0.mcap"
        data.write_bytes(data.read_bytes()[:-1])
        account = floor.count(1.0, 1.0).account
    assert account.lost >= 1
    assert any(id in sentence for sentence in account.complaints)


def test_without_a_link_everything_waits_and_nothing_is_deleted(
    tmp_path: Path, centre: OwnCentre
) -> None:
    given = settings(tmp_path, "d", episodes=3, free_after_s=0.001, drain_s=3.0)
    with SimFloor(given, centre) as floor:
        for group in floor.groups:
            group.link.set(LinkState.DEAD)
        run = floor.run()
        roots = [EpisodeStore(Path(robot.root)) for group in floor.groups for robot in group.robots]
        there = sum(len(root.paths()) + len(root.trashed()) for root in roots)
    assert run.drain_s is None
    assert (
        run.account.freed == 0
        and run.account.waiting == run.account.recorded - run.account.discarded
    )
    assert there == run.account.recorded >= 3


def test_a_robot_process_ends_in_good_order_on_sigint(tmp_path: Path, centre: OwnCentre) -> None:
    with SimFloor(settings(tmp_path, "e"), centre) as floor:
        floor.start()
        until("an episode", floor.recorded)
        (process, *_) = [group.process for group in floor.groups]
        assert process is not None
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def test_a_centre_comes_back_at_its_address_with_all_it_had(tmp_path: Path) -> None:
    with (
        OwnCentre(tmp_path / "centre") as centre,
        SimFloor(settings(tmp_path / "floor", "f"), centre) as floor,
    ):
        floor.run()
        before = sorted(as_json(holding) for holding in centre.holdings())
        url, pid = centre.url, centre.pid
        centre.kill()
        assert not centre.answers()
        centre.restart()
        until("the centre", centre.answers)
        assert centre.url == url and centre.pid != pid
        assert sorted(as_json(holding) for holding in centre.holdings()) == before
        assert json.loads(before[0])["objects"]


def test_a_centre_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "centre").mkdir()
    (tmp_path / "centre/storage").write_text("no directory")
    with pytest.raises(RecorderError, match="storage"), OwnCentre(tmp_path / "centre"):
        pass


def test_a_plan_and_orders_survive_their_files(tmp_path: Path, centre: OwnCentre) -> None:
    with SimFloor(settings(tmp_path, "g"), centre) as floor:
        group = floor.groups[0]
        plan = RobotGroupPlan.read(group.plan)
        assert plan.robots == group.robots and plan.publics == centre.publics
        assert group.plan.stat().st_mode & 0o077 == 0  # it holds tokens
        group.order(GroupOrders(False, 5))
        assert GroupOrders.read(Path(plan.control)) == GroupOrders(False, 5)


def test_agents_take_the_time_from_the_clock_they_are_given() -> None:
    from robot_recorder.floor.agent import agent

    real = vars(agent)["time"]
    try:
        give_agents_a_clock(lambda: 5 * 10**9)
        clock = vars(agent)["time"]
        assert isinstance(clock, WrongTime)
        assert clock.time_ns() == 5 * 10**9 and clock.time() == 5.0
        assert abs(clock.monotonic() - time.monotonic()) < 1
    finally:
        for name, module in list(sys.modules.items()):
            if name.startswith("robot_recorder.floor.agent.") and isinstance(
                vars(module).get("time"), WrongTime
            ):
                vars(module)["time"] = real


def test_faults_are_known_by_name() -> None:
    assert faults_named(["all"]) == tuple(SimFault)
    assert faults_named(["link_cut"]) == (SimFault.LINK_CUT,)
    with pytest.raises(
        RecorderError, match="'earthquake' is not a valid SimFault; there are robots_killed"
    ):
        faults_named(["earthquake"])
