"""A small fault zoo: a good episode of the simulated robot, and one defect of each kind.

Holds also: defects.py, fault_zoo_cameras.py, fault_zoo_sensors.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.robot import LATCHED, RecorderClient, process

pytest.importorskip("rclpy")

import json
import time

from std_msgs.msg import String

from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.check import inspect_episode
from robot_recorder.quality.verdict import Verdict
from robot_recorder.sim.defects import Defect, Tape
from robot_recorder.sim.fault_zoo import zoo
from robot_recorder.srv import PerformTask, SetTask

pytestmark = pytest.mark.alone

# One of each kind; `make bench-quality` runs all of them at every severity.
SOME = list({defect.name: defect for defect in zoo()}.values())


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Path:
    """Record a whole attempt at lifting the box with the real nodes."""
    root = tmp_path_factory.mktemp("good")
    with (
        RecorderClient("operator", "zoo") as operator,
        process("sim_robot", "zoo", cache=model_cache),
        process("record", "zoo", profile="g1_sim", root=root),
    ):
        results: list[str] = []
        operator.node.create_subscription(
            String, "sim/result", lambda m: results.append(m.data), LATCHED
        )
        operator.wait("the simulated robot", operator.ready, 90)
        operator.call(SetTask, "labeller/set_task", task="lift_box", operator_name="zoo")
        # Set up the scene and find the service first: defects are placed where the robot then moves.
        perform: Any = operator.node.create_client(PerformTask, "sim/perform")
        wanted = {"task": "lift_box", "seed": 1}
        assert operator.call(PerformTask, "sim/perform", only_reset=True, **wanted).success
        assert perform.wait_for_service(20)
        started = operator.start(task="lift_box")
        results.clear()
        performing = perform.call_async(PerformTask.Request(**wanted))
        operator.wait("the robot to begin", performing.done)
        assert performing.result().success
        operator.wait(
            "the robot to be done",
            lambda: bool(results) and json.loads(results[-1])["state"] == "done",
            60,
        )
        # Like an operator, wait a moment: some defects repeat the time at rest.
        ended = time.monotonic() + 1.0
        operator.wait("a moment", lambda: time.monotonic() > ended)
        assert operator.stop().success
    return Path(started.path.removesuffix(".partial"))


def test_the_good_episode_is_not_rejected(good: Path) -> None:
    episode = Episode.open(good)
    assert episode.quality.verdict is not Verdict.REJECT, episode.quality.findings
    again = inspect_episode(episode)
    assert again.verdict is episode.quality.verdict and not again.broken


@pytest.mark.parametrize("defect", SOME, ids=[d.name.replace(" ", "_") for d in SOME])
def test_a_defect_is_found_by_its_check(defect: Defect, good: Path, tmp_path: Path) -> None:
    tape = Tape.read(good)
    defect.apply(tape)
    report = inspect_episode(Episode.open(tape.write(tmp_path / "bad")))
    found = [r for r in report.findings if r.check == defect.check and r.stream == defect.stream]
    assert found and found[0].level >= defect.level, report.findings
    assert report.verdict is not Verdict.ACCEPT
