"""Unknown message types: values where they can be decoded, or a reason why not."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support.samples import T0

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.cli.main import main
from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import align_episode
from robot_recorder.offline.check import check_episode
from robot_recorder.offline.plan import make_plan

STORE = get_typestore(Stores.ROS2_JAZZY)
WIDE = "std_msgs/Header header\nwstring words\nfloat64 x\n"
STORE.register(
    get_types_from_msg("std_msgs/Header header\nuint8[4] id\nfloat64[] q\n", "own_msgs/msg/State")
)
JOINTS = "sensor_msgs/msg/JointState"


def made(kind: str, **fields: Any) -> Any:
    return STORE.types[kind](**fields)


def header(at_ns: int) -> Any:
    stamp = made("builtin_interfaces/msg/Time", sec=at_ns // 10**9, nanosec=at_ns % 10**9)
    return made("std_msgs/msg/Header", stamp=stamp, frame_id="")


def bag(
    path: Path, others: dict[str, tuple[str, Any]], names: tuple[str, ...] = ("a", "b")
) -> Path:
    """Write joints at 100 Hz and other topics at 10 Hz.

    Args:
        path: of the bag.
        others: type and constructor of messages, by topic.
        names: of the joints.
    """
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        joints = writer.add_connection("/joint_states", JOINTS, typestore=STORE)
        topics = {
            topic: writer.add_connection(topic, kind, msgdef=WIDE, rihs01="RIHS01_" + "0" * 64)
            if kind.endswith("/Wide")
            else writer.add_connection(topic, kind, typestore=STORE)
            for topic, (kind, _) in others.items()
        }
        for k in range(200):
            at = T0 + k * 10_000_000
            message = made(
                JOINTS, header=header(at), name=list(names), position=np.sin([k / 30, 1 + k / 30]),
                velocity=np.zeros(0), effort=np.zeros(0),
            )  # fmt: skip
            writer.write(joints, at, bytes(STORE.serialize_cdr(message, JOINTS)))
            for topic, (kind, make) in others.items() if k % 10 == 0 else ():
                data = make(k, at)
                data = data if isinstance(data, bytes) else bytes(STORE.serialize_cdr(data, kind))
                writer.write(topics[topic], at, data)
    return path


def cloud(k: int, at: int) -> Any:
    return made(
        "sensor_msgs/msg/PointCloud2", header=header(at), height=1, width=k, fields=[],
        is_bigendian=False, point_step=16, row_step=16 * k, data=np.zeros(16 * k, np.uint8), is_dense=True,
    )  # fmt: skip


def scan(k: int, at: int) -> Any:
    return made(
        "sensor_msgs/msg/LaserScan", header=header(at), angle_min=0.0, angle_max=1.0,
        angle_increment=0.1, time_increment=0.0, scan_time=0.1, range_min=0.0, range_max=9.0,
        ranges=np.ones(2400, np.float32), intensities=np.zeros(0, np.float32),
    )  # fmt: skip


def wide(k: int, at: int) -> bytes:
    """Serialise by hand: a header, three wide characters of 4 bytes, padding and a number."""
    stamp = struct.pack("<iI", at // 10**9, at % 10**9)
    words = struct.pack("<I", 3) + "wün".encode("utf-32-le")
    return b"\0\1\0\0" + stamp + struct.pack("<I", 1) + bytes(4) + words + struct.pack("<d", 1.5)


def state(k: int, at: int) -> Any:
    return made(
        "own_msgs/msg/State",
        header=header(at),
        id=np.arange(4, dtype=np.uint8),
        q=np.ones(3 + k // 100),
    )


OTHERS = {
    "/points": ("sensor_msgs/msg/PointCloud2", cloud),
    "/scan": ("sensor_msgs/msg/LaserScan", scan),
    "/wide": ("own_msgs/msg/Wide", wide),
    "/state": ("own_msgs/msg/State", state),
}


def test_messages_without_values_are_aligned_by_stamp_with_a_reason(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag", OTHERS)
    episode = Episode.open(path)
    plan = make_plan(episode)
    aligned = align_episode(episode, plan, plan.frame_clock(10, "none"))
    names = [s.name for s in aligned.streams]
    for number, name in enumerate(names):
        column = aligned.frames.columns[number]
        assert (column.status[1:-1] != SampleStatus.MISSING).all(), name
        assert aligned.counts[number].undecodable == aligned.counts[number].mismatched == 0, name
    widths = {n: len(v) for n, v in zip(names, aligned.value_names)}
    assert widths["scan"] == 0 and widths["points"] == 7
    assert aligned.value_names[names.index("wide")] == ("x (?)",)
    assert aligned.value_names[names.index("state")] == tuple(f"q/{i} (?)" for i in range(4))
    last = aligned.frames.columns[names.index("state")].values
    assert np.isnan(last[2, 3]) and np.isfinite(last[-1]).all()
    report = check_episode(path).report
    assert report.verdict.text == "accept", report.sentence
    said = [b for b in report.broken if re.search(r"\bscan: ", b)]
    assert len(said) == 1 and "no values: " in said[0], report.broken


@pytest.mark.parametrize("names", [(), ("left", "right")])
def test_joints_without_names_get_the_same_note_in_every_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: tuple[str, ...]
) -> None:
    path = bag(tmp_path / "bag", {}, ())
    profile = tmp_path / "profile.yaml"
    listed = f", names: [{', '.join(names)}]" if names else ""
    profile.write_text(
        "robot: arm\nstreams:\n  joints: {topic: /joint_states, type: sensor_msgs/msg/JointState, "
        f"role: observation, rate_hz: 100{listed}}}\n"
    )
    for words in (["align", "--out", str(tmp_path / "t.npz")], ["check"]):
        code = main([words[0], str(path), "--profile", str(profile), *words[1:]])
        told = capsys.readouterr().out
        assert ("fill name[]" in told) != bool(names)
        assert code == (1 if words[0] == "check" and not names else 0), told
    table = np.load(tmp_path / "t.npz")
    labels = names or ("0", "1")
    assert table["joints.names"].tolist() == [f"position/{label} (rad)" for label in labels]
    assert np.isfinite(table["joints.values"]).all() and len(table["index"]) > 50
