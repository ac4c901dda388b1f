"""The scene node with a real robot and a real player, as a viewer receives it.

Holds also: scene_live.py, scene_markers.py, scene_replay.py, newest_message.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.described import described_robot, force, pressures
from support.robot import LATCHED, Bench, process

pytest.importorskip("rclpy")

from geometry_msgs.msg import WrenchStamped
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from support.watcher import Watcher, colour
from visualization_msgs.msg import Marker

from robot_recorder.cli.main import main
from robot_recorder.msg import TactileArray
from robot_recorder.rviz.shapes import GREEN, GREY, RED, YELLOW
from robot_recorder.srv import SetTask

PROFILE = """
robot: bench
frame_rate_hz: 20
deadline_ms: 200
streams:
  wrench: {topic: wrist/wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 50}
  target: {topic: wrist/target, type: geometry_msgs/msg/WrenchStamped, role: action, rate_hz: 50}
  palm: {topic: palm/tactile, type: robot_recorder/msg/TactileArray, role: observation, rate_hz: 50}
"""
URDF = """<robot name="b"><link name="trunk"/><link name="head"/><joint name="neck" type="fixed">
<parent link="trunk"/><child link="head"/><origin xyz="0 0 0.5"/></joint></robot>"""


def near(want: tuple[float, ...]) -> object:
    return pytest.approx(want[:3], abs=2e-3)


class Robot:
    """Publishes a wrench and a tactile pad with values set by the test."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        create = bench.node.create_publisher
        self._wrench = create(WrenchStamped, "wrist/wrench", 10)
        self._target = create(WrenchStamped, "wrist/target", 10)
        self._palm = create(TactileArray, "palm/tactile", 10)
        self.newton, self.pascal = 20.0, 0.0
        self.silent = False
        create(String, "robot_description", LATCHED).publish(String(data=URDF))

    def until(self, what: str, condition, timeout_s: float = 20) -> None:
        """Publish at 50 Hz until a condition is true."""
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, f"waited {timeout_s} s for {what}"
            self.publish()
            self.bench.executor.spin_once(timeout_sec=0.02)

    def publish(self) -> None:
        wrench = WrenchStamped(header=Header(frame_id="hand"))
        wrench.wrench.force.z = self.newton
        self._target.publish(wrench)
        if self.silent:
            return
        self._wrench.publish(wrench)
        cells = [0.0] * 5 + [self.pascal]
        palm = TactileArray(header=Header(frame_id="palm"), rows=2, cols=3, normal=cells)
        self._palm.publish(palm)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench("seen") as bench:
        yield bench


def test_a_running_robot_is_shown(bench: Bench, tmp_path: Path) -> None:
    profile = tmp_path / "bench.yaml"
    profile.write_text(PROFILE)
    robot = Robot(bench)
    topic = "/seen/wrist/wrench"
    with (
        process("scene", "seen", profile=profile),
        process("record", "seen", profile=profile, root=tmp_path / "episodes"),
    ):
        count = bench.node.count_publishers
        robot.until("the scene", lambda: count("/seen/scene/markers") == 1)
        robot.until("the recorder", lambda: bench.node.count_subscribers(topic) == 1)
        unwatched = bench.node.get_subscriptions_info_by_topic(topic)
        assert [i.node_name for i in unwatched if i.node_name == "scene_listener"] == []

        watcher = Watcher(bench)
        robot.until("the force", watcher.says("20 N", "force"))
        robot.until("touch, and a place for text", lambda: {"palm", "trunk"} <= watcher.frames())
        robot.until("the recorder's word", watcher.says("idle"))
        arrow, number = watcher.of("force")
        assert arrow.type == Marker.ARROW and number.type == Marker.TEXT_VIEW_FACING
        assert arrow.header.frame_id == number.header.frame_id == "hand"
        assert arrow.points[1].z == pytest.approx(20 * 0.008) and colour(arrow) == near(YELLOW)
        assert arrow.frame_locked and not arrow.header.stamp.sec, (
            "drawn at the hand's current place"
        )
        (cells,) = watcher.of("touch")
        assert cells.type == Marker.CUBE_LIST and cells.header.frame_id == "palm"
        assert len(cells.points) == len(cells.colors) == 6
        assert len({c.r for c in cells.colors}) == 1, "nothing is touched"

        robot.newton, robot.pascal = 60.0, 9000.0
        robot.until("more force", watcher.says("60 N", "force"))
        robot.until("touch", watcher.says("9 kPa", "touch"))
        assert colour(watcher.of("force")[0]) == near(RED)
        cells = watcher.of("touch")[0]
        assert cells.colors[5].r > cells.colors[0].r

        place = watcher.of("episode")[-1]
        assert place.header.frame_id == "trunk" and place.pose.position.z == pytest.approx(0.75)
        answer = bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann")
        assert answer.success, answer.message
        robot.until("the task", watcher.says("lift_box - ann"))
        bench.call(Trigger, "recorder/toggle_episode")
        robot.until("recording", watcher.says("RECORDING"))
        bench.call(Trigger, "labeller/mark_success")
        robot.until("the outcome", watcher.says("success"))
        line = next(m for m in watcher.of("episode") if m.text == "success")
        assert colour(line) == near(GREEN)

        robot.silent = True
        robot.until("grey", lambda: colour(watcher.of("force")[0]) == near(GREY))
        robot.until("which stream is silent", watcher.says("palm silent"))
        robot.until("what is old to go", lambda: not watcher.of("force") + watcher.of("touch"))
        assert watcher.of("episode"), "the other markers stay"

        watcher.close()
        robot.until(
            "the scene to look away",
            lambda: (
                not [
                    i
                    for i in bench.node.get_subscriptions_info_by_topic(topic)
                    if i.node_name == "scene_listener"
                ]
            ),
        )


def test_an_episode_being_played_is_shown(bench: Bench, tmp_path: Path) -> None:
    path = described_robot(tmp_path / "007")
    with process("scene", "seen", episode=path):
        watcher = Watcher(bench)
        bench.wait("what is known beforehand", watcher.says("failure: slip"))
        assert watcher.texts()[:2] == ["lift - ann", "Lift *it*."]
        assert not watcher.of("force")
        line = next(m for m in watcher.of("episode") if m.text == "failure: slip")
        assert colour(line) == near(RED) and line.header.frame_id == "base"
        with process("player", "seen", episode=path, keyboard=False, rate=0.8, wait_s=15.0):
            bench.wait("an annotation", watcher.says("reach"))
            bench.wait("two at once", watcher.says("reach, slip"))
            arrow, number = watcher.of("force")
            assert arrow.header.frame_id == "hand"
            newton = arrow.points[1].z / 0.008
            assert newton == pytest.approx(float(number.text.removesuffix(" N")), abs=0.6)
            assert force(0) < newton <= 30 and number.text.endswith(" N")
            assert any("N m" in text for text in watcher.texts("torque"))
            (cells, label) = watcher.of("touch")
            assert len(cells.points) == 6 and label.text.endswith("kPa")
            assert float(label.text.split()[0]) <= pressures(0).max() * 2
            assert main(["label", str(path), "--by", "bob", "--success"]) == 0
            bench.wait("a label given later", watcher.says("success"))
            bench.wait("the last annotation", watcher.says("touch at 3.0 s"), 30)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"episode": "/nothing"}, "/nothing does not exist"),
        ({"rate_hz": 0}, "rate_hz"),
        ({"pads": "palm"}, "'palm' of parameter 'pads'"),
        ({"profile": "no_such"}, "no profile 'no_such'"),
    ],
)
def test_invalid_parameters_are_refused(parameters: dict[str, Any], words: str) -> None:
    with process("scene", "seen", **parameters) as scene:
        output, _ = scene.communicate(timeout=60)
    assert scene.returncode == 2 and words in output and output.startswith("error: "), output
