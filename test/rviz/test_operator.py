"""The shapes of an operator: on the robot where their frame is a link, else beside it."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.samples import T0

from robot_recorder.model.streams import FrameClock, RobotProfile, Role, StreamConfig
from robot_recorder.rviz.operator import OperatorReading, operator_shapes
from robot_recorder.rviz.placement import Placement
from robot_recorder.rviz.scene import SensorScene, SensorStream, sensors
from robot_recorder.rviz.shapes import GREY, PINK, SKY, Ball, Lines, Shape, Text

POSE = "geometry_msgs/msg/PoseStamped"
PLAIN = ("position/x (m)", "position/y (m)", "position/z (m)", "orientation/x (1)",
         "orientation/y (1)", "orientation/z (1)", "orientation/w (1)")  # fmt: skip
LEFT = np.array([0.4, 0.2, 1.1, 0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5)])  # turned left by 90 degrees
ASIDE = (0.0, -0.9, -0.7)


def pose(frame: str, values: np.ndarray) -> bytes:
    text = frame.encode() + b"\0"
    head = struct.pack("<iII", T0 // 10**9, 0, len(text)) + text
    head += b"\0" * (-len(head) % 8)
    return b"\0\1\0\0" + head + values.astype("<f8").tobytes()


def only(shapes: list[Shape], kind: type) -> Shape:
    (found,) = [shape for shape in shapes if isinstance(shape, kind)]
    return found


def test_a_hand_is_a_ball_with_axes_and_its_name() -> None:
    reading = OperatorReading("vr_left_hand", PLAIN, LEFT)
    shapes = operator_shapes(3, reading, "pelvis", ASIDE)
    ball, axes, label = (only(shapes, kind) for kind in (Ball, Lines, Text))
    assert isinstance(ball, Ball) and isinstance(axes, Lines) and isinstance(label, Text)
    assert ball.at == pytest.approx((0.4, -0.7, 0.4)) and ball.colour == PINK
    x_axis = np.array(axes.ends[1]) - axes.ends[0]
    assert x_axis == pytest.approx([0, 0.13, 0], abs=1e-3), "x points to the left"
    assert label.text == "vr_left_hand" and label.at[2] > ball.at[2]
    assert {shape.frame for shape in shapes} == {"pelvis"}
    head = operator_shapes(4, OperatorReading("vr_head", PLAIN, LEFT), "pelvis", ASIDE)
    big = only(head, Ball)
    assert isinstance(big, Ball) and big.size > 2 * ball.size
    assert not {s.key for s in shapes} & {s.key for s in head}, "each shape has its own key"
    silent = operator_shapes(3, reading, "pelvis", ASIDE, silent=True)
    assert {s.colour for s in silent if isinstance(s, Ball | Text)} == {GREY}


def test_a_body_is_a_figure_of_bones_joints_and_a_head() -> None:
    places = {"pelvis": (0, 0, 1), "chest": (0, 0, 1.2), "head": (0, 0, 1.6), "tail": (0.1, 0, 1)}
    names = tuple(p.replace("/", f"/{n}/") for n in places for p in PLAIN)
    values = np.concatenate([[*at, 0, 0, 0, 1] for at in places.values()]).astype(float)
    shapes = operator_shapes(0, OperatorReading("mocap_body", names, values), "base", (0, 0, 0))
    bones, label = only(shapes, Lines), only(shapes, Text)
    assert isinstance(bones, Lines) and set(bones.colours) == {SKY}
    assert bones.ends == ((0, 0, 1), (0, 0, 1.2), (0, 0, 1.2), (0, 0, 1.6))
    balls = [shape for shape in shapes if isinstance(shape, Ball)]
    assert len(balls) == 4 and max(balls, key=lambda b: b.size).at == (0, 0, 1.6)
    assert isinstance(label, Text) and label.text == "mocap_body" and label.at[2] > 1.7
    values[7:10] = np.nan  # a lost chest
    shapes = operator_shapes(0, OperatorReading("mocap_body", names, values), "base", (0, 0, 0))
    assert sum(isinstance(shape, Ball) for shape in shapes) == 3


def test_broken_poses_are_not_drawn() -> None:
    nothing = np.full(7, np.nan)
    assert operator_shapes(0, OperatorReading("head", PLAIN, nothing), "b", ASIDE) == []
    assert operator_shapes(0, OperatorReading("head", (), np.empty(0)), "b", ASIDE) == []
    unturned = np.array([0.0, 0, 1, 0, 0, 0, 0])
    axes = only(operator_shapes(0, OperatorReading("head", PLAIN, unturned), "b", ASIDE), Lines)
    assert isinstance(axes, Lines) and len(axes.ends) == 6


def test_only_poses_that_are_actions_are_an_operators() -> None:
    streams = tuple(
        StreamConfig(name, name, POSE, role)
        for name, role in (("head", Role.ACTION), ("cup", Role.OBSERVATION))
    )
    profile = RobotProfile("r", FrameClock(30.0), 10**8, streams)
    assert [stream.name for stream in sensors(profile)] == ["head"]


@pytest.mark.parametrize(
    ("frame", "placement", "drawn", "at"),
    [
        (
            "stage",
            Placement("pelvis", 1.0, ASIDE, frozenset({"pelvis"})),
            "pelvis",
            (0.4, -0.7, 0.4),
        ),
        ("", Placement("pelvis", 1.0, ASIDE), "pelvis", (0.4, -0.7, 0.4)),
        ("hand", Placement("pelvis", 1.0, ASIDE, frozenset({"hand"})), "hand", (0.4, 0.2, 1.1)),
        ("stage", None, "stage", (0.4, 0.2, 1.1)),
    ],
)
def test_poses_of_a_frame_that_the_robot_lacks_are_drawn_beside_it(
    frame: str, placement: Placement | None, drawn: str, at: tuple[float, ...]
) -> None:
    stream = SensorStream("vr_left_hand", "/vr/left_hand", POSE)
    scene = SensorScene([stream])
    scene.placement = placement
    scene.see(stream, pose(frame, LEFT), 1.0)
    ball = only(scene.shapes(1.0), Ball)
    assert isinstance(ball, Ball) and ball.frame == drawn and ball.at == pytest.approx(at)
