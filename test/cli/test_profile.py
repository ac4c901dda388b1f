"""``profile check`` and ``profile guess``, also of a running robot.

Holds also: live_topics.py, profile_live.py, profile_rows.py
"""

from __future__ import annotations

import importlib.util
import json
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.bags import small_robot
from support.terminal import typing

from robot_recorder.cli.main import main
from robot_recorder.configuration.profile import parse_profile


def test_profile_check_names_a_type_that_is_not_installed(tmp_path: Path, capsys) -> None:
    pytest.importorskip("std_msgs")
    path = tmp_path / "p.yaml"
    path.write_text(
        "robot: a\nstreams:\n  odd: {topic: odd, type: vendor_msgs/msg/Odd, role: context}\n"
    )
    assert main(["profile", "check", str(path)]) == 2
    assert "stream 'odd'" in (error := capsys.readouterr().err) and "vendor_msgs" in error


def test_the_shipped_configuration_is_valid() -> None:
    from robot_recorder.configuration.find import config_directory, load_profile, load_tasks
    from robot_recorder.sim.tasks import TASKS

    profiles = list((config_directory() / "robots").glob("*.yaml"))
    assert len(profiles) >= 2
    for path in profiles:
        load_profile(str(path))
    assert set(TASKS) <= set(load_tasks().tasks)


def test_a_bag_without_a_profile_is_aligned_by_a_guess(tmp_path: Path, capsys) -> None:
    bare = small_robot(tmp_path / "bare", 2)
    assert main(["align", str(bare)]) == 0
    assert "guessed one" in capsys.readouterr().out
    assert (tmp_path / "bare.npz").exists(), "beside the bag"
    assert main(["profile", "guess", str(bare)]) == 0
    text = capsys.readouterr().out
    profile = tmp_path / "mine.yaml"
    profile.write_text(text.replace("rate_hz: 20\n", "rate_hz: 20\n    latency_ms: 5\n"))
    assert parse_profile(profile.read_text(), "x").robot == "bare"
    assert main(["align", str(bare), "--profile", str(profile)]) == 0
    assert "guessed" not in capsys.readouterr().out


@pytest.mark.parametrize(("field", "coarse"), [("stamp.sec, unit: s", True), ("stamp", False)])
def test_a_stamp_field_that_is_too_coarse_for_the_rate_is_told(field: str, coarse: bool) -> None:
    from support.vendor import messages_of

    from robot_recorder.cli.profile_live import heard_streams
    from robot_recorder.cli.profile_rows import CheckedStream
    from robot_recorder.messages.stamps import StampReader
    from robot_recorder.offline.heard_topic import HeardTopic

    text = "Spec stamp\n" + "=" * 80 + "\nMSG: acme/Spec\nint32 sec\nuint32 nanosec\n"
    messages = messages_of(
        "acme/msg/A", text,
        lambda n, t: {"stamp": {"sec": 5 + int(t), "nanosec": round(t % 1 * 1e9)}}, 100,
    )  # fmt: skip
    (stream,) = parse_profile(
        "robot: a\nstreams:\n  s: {topic: a, type: acme/msg/A, role: observation, rate_hz: 100, "
        f"as: numbers, map: {{values: stamp.sec}}, stamp: {{field: {field}}}}}\n", "x",
    ).streams  # fmt: skip
    reader = StampReader(stream, False, text)
    times = [at for at, _ in messages]
    topic = HeardTopic("/a", stream.type, text, [d for _, d in messages], times, times, 300)
    row = CheckedStream(stream, "", reader.text, reader=reader)
    (heard,) = heard_streams([row], {"/a": topic}, "")
    assert ("3 values in 300 messages" in heard.coarse) == coarse == bool(heard.coarse)


@contextmanager
def robot() -> Iterator[Any]:
    """A robot of types that are installed, with a device's clock and commands as plain numbers."""
    rclpy = pytest.importorskip("rclpy")
    from builtin_interfaces.msg import Time
    from geometry_msgs.msg import PoseStamped
    from sensor_msgs.msg import CompressedImage, JointState
    from std_msgs.msg import Float64MultiArray, Header, MultiArrayLayout

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("drivers", namespace="/seven", context=context)
    make = node.create_publisher
    joints, command = (
        make(JointState, "joint_states", 10),
        make(Float64MultiArray, "arm/command", 10),
    )
    pose, camera = make(PoseStamped, "/hand", 10), make(CompressedImage, "eye/compressed", 10)
    make(JointState, "never/joint_states", 10)
    stop = threading.Event()

    def stamp(late_s: float = 0.0) -> Header:
        now = time.time() - late_s
        return Header(stamp=Time(sec=int(now), nanosec=int(now % 1 * 1e9)))

    def publish() -> None:
        number = 0
        while not stop.wait(0.02):
            angle = 90 * math.sin(time.time())
            joints.publish(JointState(header=stamp(), name=["a", "b"], position=[angle, -20.0]))
            command.publish(Float64MultiArray(layout=MultiArrayLayout(), data=[angle, 1.0]))
            pose.publish(PoseStamped(header=stamp(5000.0)))
            if number % 5 == 0:
                camera.publish(CompressedImage(header=stamp(), format="jpeg", data=bytes(100_000)))
            number += 1

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        yield node
    finally:
        stop.set()
        thread.join()
        node.destroy_node()
        context.try_shutdown()


def test_a_running_robot_is_guessed_checked_and_listened_to(tmp_path: Path, run) -> None:
    with robot():
        text = run("profile", "guess", "--live", "--seconds", "3")
        path = tmp_path / "seven.yaml"
        path.write_text(text)
        streams = {s.name: s for s in parse_profile(text, "guess").streams}
        # Tests of others on this machine may publish, too.
        assert set(streams) >= {"hand", "seven_arm_command", "seven_eye", "seven_joint_states"}
        assert streams["hand"].clock.value == "device" and "not of the robot's clock" in text
        command, joints = streams["seven_arm_command"], streams["seven_joint_states"]
        assert command.of == "seven_joint_states" and command.joint_names == ("a", "b")
        assert joints.units and "suspected" in text and 30 < (joints.rate_hz or 0) < 60
        assert 'left out: "/seven/never/joint_states": it has no messages' in text
        printed = run("profile", "check", path, "--live", "2")
        assert "2 joints, rad" in printed and "measured Hz" in printed and "pictures" in printed
        shown = run("profile", "guess", "--live", "--seconds", "4", "--namespace", "seven")
        own = parse_profile(shown, "guess")
        assert own.robot == "seven" and "hand" not in {s.name for s in own.streams}
        assert {s.topic for s in own.streams} == {"arm/command", "eye/compressed", "joint_states"}


def test_a_silent_stream_is_named_with_what_to_do(tmp_path: Path, capsys) -> None:
    path = tmp_path / "p.yaml"
    joints = "type: sensor_msgs/msg/JointState, role: observation, rate_hz: 50"
    path.write_text(
        f"robot: a\nstreams:\n  joints: {{topic: joint_states, {joints}}}\n"
        f"  never: {{topic: never/joint_states, {joints}}}\n  nobody: {{topic: nobody, {joints}}}\n"
        f"  other: {{topic: eye/compressed, {joints}, required: false}}\n"
    )
    with robot():
        code = main(
            ["profile", "check", str(path), "--live", "1.5", "--namespace", "/seven", "--json"]
        )
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert code == 1 and found["silent"] == ["never", "nobody", "other"]
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["joints"]["messages"] > 10 and 10 < rows["joints"]["measured_hz"] < 60
    assert "position/b (rad)" in rows["joints"]["now"] and rows["joints"]["stamp"] == "header"
    assert rows["nobody"]["messages"] == 0 and rows["nobody"]["now"] is None
    assert "nobody publishes /seven/nobody; start its driver, or correct 'topic'" in printed.err
    assert "has a publisher, and no message came" in printed.err
    assert (
        "published as sensor_msgs/msg/CompressedImage" in printed.err
        and "correct 'type'" in printed.err
    )


def test_a_profile_of_a_running_robot_is_made_with_a_live_preview(tmp_path: Path) -> None:
    file = tmp_path / "seven.yaml"
    live = ("--live", "--seconds", "3", "--namespace", "seven")
    with robot(), typing("profile", "new", file, *live) as person:
        person.answer("name of the robot", "seven")
        person.answer(r"keep arm_command\?")
        person.answer(r"keep eye\?", "s")
        person.until(r"keep joint_states\?")
        first = person.until(r"2 joints, rad: a (-?[\d.e-]+)")[1]
        person.until(rf"2 joints, rad: a (?!{first})")
        person.type("")
        assert person.ended() == 0, person.shown
        assert "2 of them aligned" in person.shown, "it is checked at the end"
    assert len(parse_profile(file.read_text(), "new").streams) == 2


def test_listening_says_what_is_missing(capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    import robot_recorder.cli.live_topics as live

    assert main(["profile", "guess"]) == 2
    assert "profile guess BAG, profile guess --live" in capsys.readouterr().err
    assert main(["profile", "guess", "x", "--live"]) == 2
    pytest.importorskip("rclpy")
    capsys.readouterr()
    assert main(["profile", "guess", "--live", "--seconds", "1", "--namespace", "lonely"]) == 2
    assert "no topic is published in the namespace lonely" in capsys.readouterr().err
    monkeypatch.setattr(
        live, "node_command", lambda *_: ["python3", "-c", "raise SystemExit('odd')"]
    )
    assert main(["profile", "guess", "--live"]) == 2
    assert "the robot cannot be listened to: odd" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["profile", "guess", "--live"]) == 2
    assert "needs ROS 2: source its setup file" in capsys.readouterr().err


CHECKED = """robot: a
streams:
  hands:
    {topic: hands, type: geometry_msgs/msg/PoseArray, role: observation, rate_hz: 50, as: poses,
     map: {names: [a, b], pose: "poses[0:2]"}}
  ft: {topic: ft, type: geometry_msgs/msg/Accel, role: observation, rate_hz: 90, as: wrench,
       map: {force: linear, torque: angular}, stamp: receipt}
  odd: {topic: odd, type: geometry_msgs/msg/Accel, role: observation, rate_hz: 9}
  named: {topic: named, type: std_msgs/msg/Float64MultiArray, role: action, rate_hz: 50, as: joint_state,
          names: [j1, j2, j3], unit: deg}
  bytes: {topic: bytes, type: std_msgs/msg/UInt8MultiArray, role: observation, rate_hz: 9}
  spare: {topic: spare, type: std_msgs/msg/UInt8MultiArray, role: observation, rate_hz: 9, required: false}
  text: {topic: text, type: std_msgs/msg/String, role: observation, rate_hz: 9}
"""


def test_a_row_says_what_each_stream_is_and_what_should_be_mapped(tmp_path: Path, capsys) -> None:
    pytest.importorskip("geometry_msgs")
    path = tmp_path / "p.yaml"
    path.write_text(CHECKED)
    assert main(["profile", "check", str(path), "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["hands"]["values"] == "2 bodies" and rows["hands"]["policy"] == "slerp"
    assert (rows["ft"]["values"], rows["ft"]["count"], rows["ft"]["stamp"]) == (
        "wrench",
        6,
        "receipt",
    )
    assert rows["named"]["values"] == "3 joints, rad" and rows["text"]["values"] == "text"
    assert rows["odd"]["values"] == "numbers by name of field, unit unknown"
    assert "carries bytes" in rows["bytes"]["values"]
    assert [w.split("'")[1] for w in found["warnings"]] == ["odd", "bytes"]
    assert "read field by field, with unknown units: map its fields" in printed.err
    assert main(["profile", "check", str(path)]) == 0
    assert "2 bodies" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("map_", "why"),
    [
        (
            "{force: linear, torque: nope}",
            r"'nope': geometry_msgs/Accel has no field nope; it has linear",
        ),
        ("{force: linear.x, torque: angular}", r"'map': force has 1 numbers, not 3"),
    ],
)
def test_a_mapping_that_does_not_fit_is_an_error_with_its_line(
    tmp_path: Path, capsys, map_: str, why: str
) -> None:
    pytest.importorskip("geometry_msgs")
    path = tmp_path / "p.yaml"
    path.write_text(CHECKED.replace("{force: linear, torque: angular}", map_))
    assert main(["profile", "check", str(path)]) == 2
    error = capsys.readouterr().err
    assert f"error: {path}:6: stream 'ft': " in error and why in error


def test_an_encoded_camera_is_shown_with_its_topic_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "arm.yaml"
    path.write_text(
        "robot: arm\nstreams:\n  head: {topic: head/image, type: sensor_msgs/msg/Image, "
        "role: observation, rate_hz: 30, encode: h264}\n"
    )
    there = importlib.util.find_spec
    for missing in (False, True):
        hidden = "av" if missing else ""
        monkeypatch.setattr(
            importlib.util,
            "find_spec",
            lambda name, off=hidden: None if name == off else there(name),
        )
        assert main(["profile", "check", str(path), "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        (row,) = found["rows"]
        assert row["values"] == "pictures, recorded as h264: head/image/foxglove"
        assert row["recorded_type"] == "foxglove_msgs/msg/CompressedVideo"
        assert row["type"] == "sensor_msgs/msg/Image"
        warnings = " ".join(found["warnings"])
        assert ("needs PyAV, which is not installed: apt install python3-av" in warnings) == missing
