"""A headset drives the simulated robot: real nodes, a drifting clock, jitter and drop-outs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import mujoco
import numpy as np
import pytest
import yaml

pytest.importorskip("rclpy")

from std_srvs.srv import Trigger
from support.headset import FRAME_S, HANDS, LIFT_BOX, Headset
from support.hulls import Hulls
from support.real_time import in_real_time
from support.robot import process

from robot_recorder.configuration.find import config_directory
from robot_recorder.episodes.episode import Episode
from robot_recorder.sim.ik import ARM_JOINTS, MARGIN_M, NOMINAL_RAD
from robot_recorder.sim.model import JOINT_NAMES
from robot_recorder.sim.tasks import draw
from robot_recorder.sim.teleop import Drive, finger_angles, finger_bend
from robot_recorder.srv import PerformTask, StartEpisode, StopEpisode

LEFT = [i for i in ARM_JOINTS if JOINT_NAMES[i].startswith("left")]
STRAIGHT = np.array([0.0, 0.0, 0.0, 1.0])


# -- without ROS


def drive_for(drive: Drive, robot, ways: dict[str, tuple], begin_s: float, seconds: float) -> None:
    """Let hands move by ways, m, while the robot follows in its own steps."""
    for step in range(round(seconds / 0.002)):
        now_s = begin_s + step * 0.002
        if step % 7 == 0:
            for side, way in ways.items():
                at = np.array([0.4, 0, 1.2]) + np.array(way) * step * 0.002 / seconds
                drive.hands[side].heard_pose(at, STRAIGHT, round(now_s * 1e9) + 1, now_s)
                drive.hands[side].heard_buttons(0.0, float(now_s > begin_s + 0.1), True, now_s)
        if step % 5 == 0 and drive.advance(now_s):
            robot.follow(drive.joints)
        robot.step()


def test_the_palm_goes_where_the_hand_goes_and_the_other_arm_stays(robot, model) -> None:
    robot.reset(draw("lift_box", 1))
    drive = Drive(model)
    drive.joints = robot.joint_command
    home, began = robot.joint_command, drive.palms()
    drive_for(drive, robot, {"right": (0.10, 0.0, 0.15)}, 1.0, 1.5)
    way = drive.palms()["right"].position_m - began["right"].position_m
    assert way == pytest.approx(np.array([0.10, 0.0, 0.15]) * 1.4 / 1.5, abs=0.02)
    assert drive.error_m < 0.01
    assert (drive.joints[LEFT] == home[LEFT]).all()
    for _ in range(300):
        robot.step()
    assert np.abs(robot.joint_position - drive.joints).max() < 0.02
    assert (robot.joint_command[:15] == home[:15]).all(), "legs and waist are not driven"


def test_a_hand_beyond_reach_and_limits_is_followed_as_far_as_it_goes(robot, model) -> None:
    robot.reset(draw("lift_box", 1))
    drive, limits = Drive(model), model.jnt_range[: len(JOINT_NAMES)]
    drive.joints = robot.joint_command
    before = drive.joints.copy()
    for begin_s, way in ((1.0, (2.0, 1.0, 0.5)), (3.0, (-2.0, -2.0, -2.0))):
        drive_for(drive, robot, {"left": way, "right": way}, begin_s, 1.0)
        assert (drive.joints >= limits[:, 0] - 1e-6).all()
        assert (drive.joints <= limits[:, 1] + 1e-6).all()
        assert np.isfinite(robot.joint_position).all()
    assert np.abs(drive.joints - before).max() > 0.1


def test_hands_that_are_driven_through_the_robot_keep_clear_of_it(model) -> None:
    hulls, random = Hulls(model), np.random.default_rng(0)
    for _ in range(4):
        drive, now_s = Drive(model), 1.0
        drive.joints[list(ARM_JOINTS)] = NOMINAL_RAD
        ways = {side: random.uniform(-0.5, 0.5, 3) for side in HANDS}
        for step in range(100):
            now_s += 0.01
            for side, way in ways.items():
                at = np.array([0.4, 0, 1.2]) + way * min(1.0, max(0, step - 20) / 60)
                drive.hands[side].heard_pose(at, STRAIGHT, round(now_s * 1e9), now_s)
                drive.hands[side].heard_buttons(0.0, float(step > 5), True, now_s)
            drive.advance(now_s)
            if step % 10 == 9:
                assert hulls.gap_m(drive.joints[list(ARM_JOINTS)]) >= MARGIN_M - 1e-6


def test_servos_are_never_faster_than_they_may_be_whatever_is_asked_for(robot) -> None:
    robot.reset(draw("lift_box", 1))
    robot.follow(np.full(len(JOINT_NAMES), 100.0))
    last = robot.joint_command
    for _ in range(200):
        robot.step()
        assert np.abs(robot.joint_command - last).max() <= 6.0 * 0.002 + 1e-9
        last = robot.joint_command
    robot.begin()
    robot.step()
    robot.follow(np.zeros(len(JOINT_NAMES)))
    script = robot.later_command(5)
    for _ in range(5):
        robot.step()
    assert robot.joint_command == pytest.approx(script), "a script goes first"


@pytest.mark.parametrize("side", ["left", "right"])
def test_fingers_bend_within_their_limits_and_are_read_back(
    model: mujoco.MjModel, side: str
) -> None:
    first = JOINT_NAMES.index(f"{side}_hand_thumb_0_joint")
    low, high = model.jnt_range[first : first + 7].T
    for bend in np.linspace(0, 1, 5):
        angles = finger_angles(side, bend)
        assert (low <= angles).all() and (angles <= high).all()
        assert finger_bend(angles) == pytest.approx(bend)


# -- real nodes


@pytest.fixture(scope="module")
def headset(model_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Headset]:
    """A headset, a robot that teleop drives, and a recorder of both."""
    folder = tmp_path_factory.mktemp("driven")
    profile = yaml.safe_load((config_directory() / "robots/g1_teleop.yaml").read_text())
    cameras = [name for name in profile["streams"] if "camera" in name]
    profile["streams"] = {n: s for n, s in profile["streams"].items() if n not in cameras}
    (folder / "driven.yaml").write_text(yaml.safe_dump(profile))
    with (
        Headset() as headset,
        process("sim_robot", cache=model_cache, cameras="none"),
        process("teleop", cache=model_cache),
        process("record", profile=folder / "driven.yaml", root=folder / "episodes"),
    ):
        headset.wait("the robot", lambda: bool(headset.commands and headset.joints), 90)
        headset.wait("teleop", lambda: bool(headset.teleop.get("robot")), 90)
        headset.wait("the recorder", lambda: headset.status is not None, 60)
        yield headset


@pytest.fixture
def palms(model: mujoco.MjModel, headset: Headset):
    """Return a function that tells where the palms are, by what the robot's joints measure."""
    drive = Drive(model)

    def measured() -> dict[str, np.ndarray]:
        drive.joints = np.array([headset.joints[name] for name in JOINT_NAMES])
        return {side: pose.position_m for side, pose in drive.palms().items()}

    return measured


@in_real_time
def test_a_headset_with_jitter_and_a_drifting_clock_moves_the_hands(headset, palms) -> None:
    for _ in range(4):  # a busy machine may lose the tracking
        headset.clutch()
        began = palms()
        headset.move({"left": (0.08, 0.05, 0.10), "right": (0.05, -0.05, 0.06)}, 1.5)
        headset.wear(0.6)
        if headset.says("follows"):
            break
        headset.hands = {side: at.copy() for side, at in HANDS.items()}
    assert palms()["left"] - began["left"] == pytest.approx([0.08, 0.05, 0.10], abs=0.012)
    assert palms()["right"] - began["right"] == pytest.approx([0.05, -0.05, 0.06], abs=0.012)
    assert headset.says("follows")
    headset.move({"left": (-0.08, -0.05, -0.10), "right": (-0.05, 0.05, -0.06)}, 1.5)
    headset.wear(0.4)
    latency = headset.teleop["latency_ms"]
    assert latency["of"] > 50 and latency["p50"] < 50, latency


@in_real_time
def test_a_drop_out_stops_the_hand_until_it_is_clutched_again(headset, palms) -> None:
    headset.clutch()
    headset.tracked = {"head", "right"}
    headset.until("the loss", lambda: headset.teleop["hands"]["left"] == "lost")
    began = palms()
    headset.tracked = {"head", "left", "right"}
    headset.move({"left": (0.1, 0.0, 0.1)}, 0.7)
    assert palms()["left"] == pytest.approx(began["left"], abs=0.006)
    assert headset.teleop["hands"] == {"left": "lost", "right": "follows"}
    headset.clutch()
    headset.move({"left": (0.05, 0.0, 0.05)}, 0.7)
    headset.wear(0.5)
    assert palms()["left"] - began["left"] == pytest.approx([0.05, 0.0, 0.05], abs=0.012)


@in_real_time
def test_nobody_is_followed_who_does_not_hold_the_button_or_wear_the_headset(headset) -> None:
    headset.clutch()
    headset.held = False
    headset.until("the dead-man button", lambda: headset.says("not_held"))
    headset.wear(0.5)
    held = dict(headset.commands)
    headset.move({"left": (0.1, 0.0, 0.0), "right": (0.1, 0.0, 0.0)}, 0.5)
    assert headset.commands == pytest.approx(held, abs=1e-6)
    headset.held = True
    headset.clutch()
    headset.tracked = {"left", "right"}
    headset.until("the head", lambda: headset.says("lost"))
    headset.tracked = {"head", "left", "right"}
    headset.clutch()


@in_real_time
def test_the_trigger_bends_the_fingers(headset) -> None:
    headset.clutch()
    headset.trigger = 1.0
    wanted = finger_angles("left", 1.0)[5]
    index = "left_hand_index_0_joint"
    headset.until("the fist", lambda: abs(headset.commands[index] - wanted) < 0.02)
    headset.trigger = 0.0
    headset.until("the open hand", lambda: abs(headset.commands[index]) < 0.07)
    assert len(headset.commands) == len(JOINT_NAMES)


@in_real_time
def test_a_whole_box_is_lifted_and_set_down_by_hands_alone(headset) -> None:
    """Seed 0 has a box that is neither slippery nor heavy."""
    told = ""
    for _ in range(3):  # a busy machine may lose the tracking
        headset.held, headset.grip = False, 0.0
        headset.wear(0.3)
        reset = headset.call(PerformTask, "sim/perform", task="lift_box", seed=0, only_reset=True)
        assert reset.success
        headset.held = True
        headset.wear(0.3)
        if lift(headset) and (judged := headset.call(Trigger, "sim/judge")).success:
            assert "raised" in judged.message
            return
        told = f"{headset.teleop} {headset.call(Trigger, 'sim/judge').message}"
    raise AssertionError(told)


def lift(headset: Headset) -> bool:
    """Lift the box; return whether the hands were followed all the time."""
    headset.clutch()
    headset.trigger = 1.0
    headset.wear(0.4)
    headset.trigger = 0.0
    headset.wear(0.6)
    for _, seconds, (x, out, z) in LIFT_BOX:
        headset.move({"left": (x, out, z), "right": (x, -out, z)}, seconds)
        if not headset.says("follows"):
            return False
    headset.wear(1.0)
    return True


@in_real_time
def test_what_the_headset_does_is_recorded_with_its_own_clock(headset) -> None:
    """By a recorder whose profile is g1_teleop, here without cameras."""
    client = {kind: headset.node.create_client(kind, f"recorder/{name}_episode") for kind, name in
              ((StartEpisode, "start"), (StopEpisode, "stop"))}  # fmt: skip
    headset.until("all streams", headset.ready, 60)
    headset.clutch()
    answers = []
    for kind in (StartEpisode, StopEpisode):
        asked = client[kind].call_async(kind.Request(**({"pre_roll_s": 0.0, "force": True} if kind is StartEpisode else {})))  # fmt: skip
        headset.until("the answer", asked.done)
        answers.append(asked.result())
        assert answers[-1].success, answers[-1].message
        if kind is StartEpisode:
            for sign in (1, -1) * 3:
                headset.move({"left": (0.0, 0.0, 0.06 * sign)}, 1.0)
    certificate = Episode.open(Path(answers[-1].path)).certificate
    assert certificate is not None
    for part in ("head", "left_hand", "right_hand", "left_controller", "right_controller"):
        stream = certificate.streams[f"teleop_{part}"]
        assert stream.clock == "device", part
        # Six seconds: how exactly it is known depends on how late a busy machine delivers.
        assert stream.drift_pm_ppm is not None and stream.drift_pm_ppm < 1000, part
        assert stream.drift_ppm == pytest.approx(2000, abs=100 + 2 * stream.drift_pm_ppm), part


@in_real_time
def test_a_robot_that_performs_by_itself_is_not_disturbed(headset) -> None:
    client = headset.node.create_client(PerformTask, "sim/perform")
    assert client.wait_for_service(20)
    headset.clutch()
    asked = client.call_async(PerformTask.Request(task="lift_box", seed=1))
    headset.until("the answer", asked.done)  # it is worn meanwhile
    headset.until("the refusal", lambda: headset.says("refused"), 10)
    began = time.monotonic()
    headset.until("a while", lambda: time.monotonic() > began + 40 * FRAME_S)
    assert headset.says("refused")
