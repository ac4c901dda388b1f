"""The picture of an episode.

Holds also: plots.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import HEADER, IMAGE, JOINTS, joint_state, small_robot
from support.full_robot import full_robot
from support.made import bag
from support.pictures import compressed, compressed_depth, pixels
from support.samples import T0, wrench, write_bag
from support.sounds import BYTES, BYTES_DEFINITION, DEFINITION, STAMPED, sent_bytes, stamped
from support.two_arms import two_arms

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.content.contents import Contents
from robot_recorder.content.depth_pictures import UNKNOWN
from robot_recorder.content.groups import commands_of, observed_joints
from robot_recorder.content.series import load
from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.report import picture as report_picture
from robot_recorder.report.panels import panels
from robot_recorder.report.picture import draw
from robot_recorder.report.plots import plot_array, plt, strongest_moment

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


def drawn(bag: Path, target: Path) -> np.ndarray:
    """Return the picture of a bag, uint8[h, w, 3]."""
    draw(load(Contents.open(bag)), target)
    return pixels(target)


def test_the_picture_has_curves_and_a_film_strip(tmp_path: Path) -> None:
    image = drawn(small_robot(tmp_path / "bag", 4.0), tmp_path / "a.png")
    assert image.shape[1] == 1500
    # matplotlib's first colour
    blue = (np.abs(image.astype(int) - (180, 119, 31)) < 20).all(axis=2)
    assert blue.sum() > 2000, "curves"
    strip = image[110:230, 150:1280]
    assert strip.std() > 20, "the film strip shows something"


def test_a_silent_camera_leaves_a_gap(tmp_path: Path) -> None:
    whole = drawn(small_robot(tmp_path / "bag", 4.0), tmp_path / "a.png")
    from robot_recorder.content import series as episode_data

    data = load(Contents.open(tmp_path / "bag"))
    camera = data.pictures[0]
    half = episode_data.Pictures(
        camera.topic, camera.times_s, [c for c in camera.chosen if c[0] < 2]
    )
    draw(episode_data.EpisodeData(data.contents, data.series, [half], []), tmp_path / "b.png")
    gap = pixels(tmp_path / "b.png")
    ground = (np.abs(gap[110:220, 800:1270].astype(int) - 33) < 3).mean()
    assert ground > 0.9 and (np.abs(whole[110:220, 800:1270].astype(int) - 33) < 3).mean() < 0.5


def test_an_empty_bag_can_be_drawn(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [])
    assert drawn(tmp_path / "bag", tmp_path / "a.png").shape[1] == 1500


def test_a_bag_of_one_message_can_be_drawn(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [("/w", wrench(T0), T0)])
    assert drawn(tmp_path / "bag", tmp_path / "a.png").shape[1] == 1500


def test_cells_of_an_unknown_type_are_a_heat_map(tmp_path: Path) -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    image = drawn(GRIPPER, tmp_path / "gripper.png")
    assert (image.max(axis=2) < 25).mean() > 0.1, "cells at rest are dark"


def test_an_unwritable_target_is_an_error(tmp_path: Path) -> None:
    data = load(Contents.open(small_robot(tmp_path / "bag", 1.0)))
    with pytest.raises(ConfigError, match="cannot be written"):
        draw(data, tmp_path / "nowhere" / "a.png")


def joints_only(path: Path, topics: dict[str, tuple[bytes, ...]]) -> Path:
    """Write a bag of JointStates, or of pictures, that all begin at the same time."""
    writer = McapWriter()
    writer.open(path, {})
    for topic, messages in topics.items():
        kind = IMAGE if topic.startswith("/camera") else JOINTS
        channel = Channel(BagTopic(topic, kind, (OfferedQos(),), "", HEADER))
        writer.add_topic(channel)
        at = [T0 + i * 10**7 for i in range(len(messages))]
        writer.write([Sample(channel, data, t, t) for t, data in zip(at, messages)])
    writer.close()
    return path


def test_two_arms_with_a_topic_each_are_both_shown(tmp_path: Path) -> None:
    def arm(factor: float) -> tuple[bytes, ...]:
        return tuple(joint_state(T0 + i * 10**7, factor * i / 100) for i in range(100))

    data = load(
        Contents.open(
            joints_only(
                tmp_path / "bag", {"/left/joint_states": arm(1), "/right/joint_states": arm(-1)}
            )
        )
    )
    assert [s.topic.name for s in observed_joints(data)] == [
        "/left/joint_states",
        "/right/joint_states",
    ]
    assert commands_of(data, data.series[0]) == {}, "the other arm is not a command"


def test_each_of_two_robots_has_its_own_commands(tmp_path: Path) -> None:
    moved = tuple(joint_state(T0 + i * 10**7, i / 100) for i in range(100))
    topics = [f"/{robot}/joint_{what}" for robot in "ab" for what in ("commands", "states")]
    data = load(Contents.open(joints_only(tmp_path / "bag", dict.fromkeys(topics, moved))))
    for series in observed_joints(data):
        (command,) = {s.topic.name for s, _ in commands_of(data, series).values()}
        assert command == series.topic.name.replace("states", "commands")


def test_a_bag_of_undecodable_video_can_be_drawn(tmp_path: Path) -> None:
    video = tuple(compressed(b"\0\0\0\1", "h264", T0 + i * 10**7) for i in range(10))
    bag = joints_only(tmp_path / "bag", {"/camera/image": video})
    assert drawn(bag, tmp_path / "a.png").shape[1] == 1500
    problems = load(Contents.open(bag)).problems
    assert any("before the first key frame of its video" in problem for problem in problems)


def test_depth_is_drawn_with_a_scale_in_metres(tmp_path: Path) -> None:
    """The same for all pictures, beside the strip; what is unknown has a colour of its own."""
    near, far = np.full((48, 64), 500, np.uint16), np.full((48, 64), 2000, np.uint16)
    near[:, :20] = 0
    times = [T0 + n * 10**7 for n in range(100)]
    sent = [(t, compressed_depth(near if t < times[50] else far, stamp_ns=t)) for t in times]
    path = bag(tmp_path / "bag", {"/eye/depth/compressedDepth": (COMPRESSED, sent)})
    (camera,) = load(Contents.open(path)).pictures
    assert camera.scale is not None and camera.scale.labels == ("0.4 m", "2 m")
    colours = drawn(path, tmp_path / "a.png")
    strip = colours[110:170, 140:1285]  # left of it the name, right of it the scale
    first, last = strip[30, 100], strip[30, -60]
    assert first.argmax() == 0 and last.argmax() == 2, "blue is near, red is far"
    assert np.abs(strip[30, 15].astype(int) - UNKNOWN).max() < 12
    bar = colours[100:200, 1300:1320].reshape(-1, 3).astype(int)
    assert (np.abs(bar - first).max(axis=1) < 40).any()
    assert (np.abs(bar - last).max(axis=1) < 40).any()
    assert (np.abs(bar - UNKNOWN).max(axis=1) < 12).any()


def test_labels_are_not_parsed_as_formulas(tmp_path: Path) -> None:
    facts = {
        "episode_id": "a $\\foo$ b",
        "labels": '[{"kind":"task","task":"$x","instruction":"拿 $3 {# $4}","stamp_ns":1}]',
    }
    assert (
        drawn(small_robot(tmp_path / "bag", 1.0, 0.0, "/", **facts), tmp_path / "a.png").shape[1]
        == 1500
    )


def test_what_has_no_room_is_counted_and_a_chosen_stream_is_drawn_whole(
    tmp_path: Path, monkeypatch
) -> None:
    bag = two_arms(tmp_path / "bag")
    monkeypatch.setattr(report_picture, "_LEAST", 0.0)
    monkeypatch.setattr(report_picture, "_MOST", 3.0)
    texts: list[str] = []
    monkeypatch.setattr(plt.Figure, "text", lambda *a, **k: texts.append(str(a[3])), raising=True)
    draw(load(Contents.open(bag)), tmp_path / "a.png")
    assert "3 more streams in the report; show --stream NAME draws all of a stream here" in texts
    assert "right_arm: position with right_leader (dashed)" in texts
    texts.clear()
    draw(load(Contents.open(bag), streams=["touch", "bodies"]), tmp_path / "b.png")
    titles = [t for t in texts if t.split(":")[0] in ("touch", "bodies", "right_arm", "left_arm")]
    assert titles == [
        "touch: normal", "bodies: position/hand",
        "bodies: orientation/hand, position/head, orientation/head",
    ]  # fmt: skip
    assert not any("in the report" in t for t in texts)


def test_pads_are_drawn_at_the_moment_of_the_strongest_touch(tmp_path: Path) -> None:
    data = load(Contents.open(two_arms(tmp_path / "bag")))
    (touch,) = [p for p in panels(data) if p.pads]
    assert 1.0 < strongest_moment(touch) < 3.0
    draw(data, tmp_path / "a.png")
    assert pixels(tmp_path / "a.png").shape[1] == 1500


def test_sound_is_a_waveform_and_unreadable_sound_is_named(tmp_path: Path) -> None:
    tone = 0.5 * np.sin(np.arange(16_000))
    mic = [stamped("int16", part * 2**15, rate=8000) for part in tone.reshape(20, 800)]
    mp3 = [sent_bytes(b"\xff\xfb\x90\x64" + bytes(k)) for k in range(20)]
    path = bag(
        tmp_path / "bag",
        {"/mic": (STAMPED, [(T0 + k * 10**8, d) for k, d in enumerate(mic)]),
         "/talk": (BYTES, [(T0 + k * 10**8, d) for k, d in enumerate(mp3)])},
        {STAMPED: DEFINITION, BYTES: BYTES_DEFINITION},
    )  # fmt: skip
    image = drawn(path, tmp_path / "a.png")
    blue = (np.abs(image.astype(int) - (180, 119, 31)) < 60).all(axis=2)
    assert blue.sum() > 10_000, "a waveform fills its panel"
    talk = [p for p in panels(load(Contents.open(path))) if p.topic.stream == "talk"]
    assert [p.note for p in talk] == ["its sound is mp3, which is not decoded"]


def test_the_pad_beside_a_heat_map_does_not_change_its_scale(tmp_path: Path) -> None:
    found = panels(load(Contents.open(full_robot(tmp_path / "bag"))))
    (pad,) = [p for p in found if p.pads]
    figure = plt.figure()
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    plot_array(axes, pad)
    assert axes.get_ylim() == (8, 0) and len(axes.get_images()) == 2
    plt.close(figure)
