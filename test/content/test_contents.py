"""Decoding any bag, some seconds at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.bags import HEADER, JOINTS, NS, angle, joint_state, small_robot
from support.made import bag
from support.samples import T0, WRENCH, wrench, write_bag
from support.sounds import BYTES, BYTES_DEFINITION, DEFINITION, STAMPED, info, sent_bytes, stamped
from support.two_arms import two_arms

from robot_recorder.bags import columns, mcap_file
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.content.contents import ContentBatch, Contents
from robot_recorder.messages.audio import AUDIO_INFO
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.streams import Role
from robot_recorder.model.topics import BagTopic, Channel, Sample

GRIPPER = Path(__file__).parents[3] / "shared" / "data" / "gripper_closes_can"


def two_types(path: Path, messages: list[tuple[str, bytes, int]]) -> Path:
    """Write a bag whose topic /x has messages of these types, bytes and receive times."""
    writer = McapWriter()
    writer.open(path, {})
    channels = {
        kind: Channel(BagTopic("/x", kind, (OfferedQos(),), "", HEADER))
        for kind in dict.fromkeys(m[0] for m in messages)
    }
    for channel in channels.values():
        writer.add_topic(channel)
    writer.write([Sample(channels[kind], data, at, at) for kind, data, at in messages])
    writer.close()
    return path


def joined(batches: list[ContentBatch]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return times and values of each topic."""
    found: dict[str, list] = {}
    for batch in batches:
        for numbers in batch.numbers:
            found.setdefault(numbers.topic.name, []).append(numbers)
    return {
        name: (
            np.concatenate([p.times_s for p in parts]),
            np.concatenate([p.values for p in parts]),
        )
        for name, parts in found.items()
    }


def test_every_number_and_picture_of_a_bag_is_read_once(tmp_path: Path, monkeypatch) -> None:
    contents = Contents.open(small_robot(tmp_path / "bag", 4.0))
    assert [(t.name, t.sort, t.count) for t in contents.topics] == [
        ("/camera/image/compressed", Sort.IMAGE, 80),
        ("/joint_states", Sort.JOINTS, 400),
        ("/wrist/wrench", Sort.WRENCH, 400),
    ]
    assert all(t.role is Role.OBSERVATION for t in contents.topics)
    batches = list(contents.batches())
    times, values = joined(batches)["/joint_states"]
    assert len(times) == 400 and np.allclose(
        values[:, 0], angle(times + contents.start_ns / NS - T0 / NS), atol=1e-4
    )
    assert sum(len(i.times_s) for b in batches for i in b.images) == 80
    assert batches[0].images[0].picture(0).pixels().shape == (240, 240, 3)
    assert batches[-1].share == 1.0 and not contents.problems
    # The same bag, read in many small parts.
    monkeypatch.setattr(columns, "_SPAN_MESSAGES", 50)
    again = joined(list(contents.batches()))["/joint_states"]
    assert (again[0] == times).all() and (again[1] == values).all()


def test_receive_times_replace_stamps_of_another_clock(tmp_path: Path) -> None:
    messages = [("/w", wrench(5 * NS + i * 10**7), T0 + i * 10**7) for i in range(50)]
    write_bag(McapWriter(), tmp_path / "bag", messages)
    times, _ = joined(list(Contents.open(tmp_path / "bag").batches()))["/w"]
    assert np.allclose(times, np.arange(50) / 100)


def test_stamps_of_a_device_are_shown_at_the_robots_time(tmp_path: Path) -> None:
    """Its clock is 1.5 s off, which is too little to be told from a delay without the profile."""
    profile = f"""{{robot: r, frame_rate_hz: 30, streams: {{w: {{topic: /w, type: {WRENCH},
    role: action, rate_hz: 100, clock: device, latency_ms: 4}}}}}}"""
    random, step = np.random.default_rng(2), 10**7
    writer = McapWriter()
    writer.open(tmp_path / "bag", {"profile_yaml": profile, "start_ns": str(T0), "episode_id": "e"})
    channel = Channel(BagTopic("/w", WRENCH, (OfferedQos(),), "", HEADER))
    writer.add_topic(channel)
    for i in range(300):
        stamp = T0 + i * step - (NS * 3 // 2 if i != 250 else -NS * 999)
        received = T0 + i * step + 4_000_000 + round(random.exponential(2e6))
        writer.write([Sample(channel, wrench(stamp), received, received)])
    writer.close()
    contents = Contents.open(tmp_path / "bag")
    times, _ = joined(list(contents.batches()))["/w"]
    assert not contents.problems
    late = times[120:] - np.arange(120, 300) / 100
    assert np.abs(np.delete(late, 130)).max() < 5e-4, "without the delays, s"
    assert 0 < late[130] < 0.05, "one broken stamp: shown by its receipt"


def test_a_stamp_that_is_far_off_does_not_stretch_the_time_axis(tmp_path: Path) -> None:
    stamps = [T0 + i * 10**7 if i != 20 else 0 for i in range(50)]
    write_bag(
        McapWriter(),
        tmp_path / "bag",
        [("/w", wrench(s), T0 + i * 10**7) for i, s in enumerate(stamps)],
    )
    times, _ = joined(list(Contents.open(tmp_path / "bag").batches()))["/w"]
    assert np.allclose(times, np.arange(50) / 100)


def test_undecodable_messages_are_counted_and_the_rest_is_read(tmp_path: Path) -> None:
    messages = [
        ("/w", wrench(T0 + at) if at % 50_000_000 else b"\0\1\0\0" + bytes(9), T0 + at)
        for at in range(0, 500_000_000, 10_000_000)
    ]
    write_bag(McapWriter(), tmp_path / "bag", messages)
    contents = Contents.open(tmp_path / "bag")
    assert len(joined(list(contents.batches()))["/w"][0]) == 40
    assert contents.problems == [
        "/w: 10 messages cannot be decoded (message ends at byte 13, 16 are needed)"
    ]


def test_a_damaged_bag_is_read_up_to_the_damage(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(columns, "_SPAN_MESSAGES", 50)
    monkeypatch.setattr(mcap_file, "CHUNK_BYTES", 20_000)
    bag = small_robot(tmp_path / "bag", 4.0)
    (file,) = bag.glob("*.mcap")
    data = bytearray(file.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 100_000] = bytes(100_000)
    file.write_bytes(data)
    contents = Contents.open(bag)
    numbers = joined(list(contents.batches()))
    assert 50 < len(numbers["/joint_states"][0]) < 400
    assert len(contents.problems) == 1 and "is damaged at byte" in contents.problems[0]


def test_a_truncated_bag_is_read_to_its_end_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcap_file, "CHUNK_BYTES", 20_000)
    bag = small_robot(tmp_path / "bag", 4.0)
    (file,) = bag.glob("*.mcap")
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    contents = Contents.open(bag)
    assert 0 < len(joined(list(contents.batches()))["/joint_states"][0]) < 400
    assert any("cut off" in problem for problem in contents.problems), contents.problems


def test_an_empty_bag_opens(tmp_path: Path) -> None:
    write_bag(McapWriter(), tmp_path / "bag", [])
    contents = Contents.open(tmp_path / "bag")
    assert contents.topics == () and list(contents.batches()) == [] and contents.description == ""


def test_a_real_recording_of_an_unknown_type_is_read() -> None:
    if not GRIPPER.exists():
        pytest.skip("the recording gripper_closes_can is not beside the checkout")
    contents = Contents.open(GRIPPER)
    pads = next(t for t in contents.topics if t.sort is Sort.NUMBERS)
    times, values = joined(list(contents.batches([pads])))[pads.name]
    assert pads.type == "pr2_msgs/msg/PressureState" and values.shape == (468, 44)
    assert 1 / np.median(np.diff(times)) == pytest.approx(25, rel=0.1)
    assert values[-1].sum() > values[0].sum(), "the gripper has closed on the can"


def test_empty_messages_at_the_beginning_do_not_hide_later_ones(tmp_path: Path) -> None:
    messages = [
        ("/j", joint_state(T0 + i * 10**7, *([] if i < 3 else [0.1, 0.2])), i) for i in range(20)
    ]
    bag = two_types(tmp_path / "bag", [(JOINTS, m[1], T0 + m[2] * 10**7) for m in messages])
    contents = Contents.open(bag)
    times, values = joined(list(contents.batches()))["/x"]
    assert values.shape == (17, 2) and times[0] == pytest.approx(0.03) and not contents.problems


def test_a_topic_with_two_types_shows_one_and_names_the_other(tmp_path: Path) -> None:
    at = [T0 + i * 10**7 for i in range(20)]
    wrenches = [(WRENCH, wrench(t), t) for t in at]
    bag = two_types(
        tmp_path / "bag", [*wrenches, *((JOINTS, joint_state(t, 1.0), t + 1) for t in at)]
    )
    contents = Contents.open(bag)
    found = joined(list(contents.batches()))
    assert found["/x"][1].shape == (20, 6)
    assert any(JOINTS in problem for problem in contents.problems)


def test_invalid_custom_data_is_named_and_hides_nothing(tmp_path: Path) -> None:
    facts = {"labels": "[[", "quality": "{}x", "pre_roll_s": "soon", "task": "lift_box"}
    contents = Contents.open(small_robot(tmp_path / "bag", 1.0, 0.0, "/", **facts))
    assert contents.episode.events == [] and contents.episode.pre_roll_s == 0
    assert contents.episode.facts["task"] == "lift_box"
    assert [w for w in ("labels", "quality", "pre_roll_s") if any(w in p for p in contents.problems)] == [
        "labels", "quality", "pre_roll_s"
    ]  # fmt: skip
    assert len(joined(list(contents.batches()))) == 2


@pytest.mark.parametrize(("shift_s", "words"), [(3, "3.0 s after"), (-9, "9.0 s before")])
def test_a_clock_that_is_off_is_reported(tmp_path: Path, shift_s: int, words: str) -> None:
    messages = [("/w", wrench(T0 + shift_s * NS + i * 10**7), T0 + i * 10**7) for i in range(50)]
    write_bag(McapWriter(), tmp_path / "bag", messages)
    contents = Contents.open(tmp_path / "bag")
    times, _ = joined(list(contents.batches()))["/w"]
    assert np.allclose(times, np.arange(50) / 100)
    assert len(contents.problems) == 1 and words in contents.problems[0]


def test_actions_come_first_and_streams_of_one_topic_keep_their_names(tmp_path: Path) -> None:
    contents = Contents.open(two_arms(tmp_path / "bag"))
    assert [(t.stream, t.name) for t in contents.topics] == [
        ("right_leader", "/right/leader"),
        ("left_leader", "/left/leader"),
        ("left_arm", "/left/states"),
        ("right_arm", "/right/states"),
        ("touch", "/hand"),
        ("bodies", "/hand"),
    ]
    (batch,) = contents.batches()
    assert [n.topic.stream for n in batch.numbers if n.topic.name == "/hand"] == ["touch", "bodies"]


def test_no_two_topics_have_the_same_name_of_a_stream(tmp_path: Path) -> None:
    few = [(T0 + k * NS, joint_state(T0 + k * NS, 0.1)) for k in range(2)]
    topics = dict.fromkeys(("/arm/data", "/arm/image", "/arm"), (JOINTS, few))
    found = Contents.open(bag(tmp_path / "bag", topics)).topics
    assert len({t.stream for t in found}) == 3


def test_points_and_sound_come_with_their_messages(tmp_path: Path) -> None:
    mic = [(T0 + k * 10**8, stamped("int16", np.full(800, 2**14), rate=8000)) for k in range(5)]
    path = bag(tmp_path / "bag", {"/mic": (STAMPED, mic)}, DEFINITION)
    (batch,) = Contents.open(path).batches()
    (sounds,) = batch.sounds
    samples = sounds.samples()
    assert samples is not None and samples.values.shape == (4000, 1)
    assert (samples.values == 0.5).all() and np.diff(samples.times_s) == pytest.approx(1 / 8000)
    assert batch.numbers[0].values[:, 1] == pytest.approx(0.5)


@pytest.mark.parametrize("coding, names", [("wave", 3), ("mp3", 1), ("", 1)])
def test_bytes_of_sound_are_read_as_the_audio_info_of_the_bag_says(
    tmp_path: Path, coding: str, names: int
) -> None:
    data = sent_bytes(np.full(800, 2**14, "<i2").tobytes())
    topics = {"/mic/audio": (BYTES, [(T0 + k * 10**8, data) for k in range(5)])}
    if coding:
        said = info("S16LE", coding, rate=8000)
        topics["/mic/audio_info"] = (AUDIO_INFO, [(T0, said)])
    definitions = {BYTES: BYTES_DEFINITION, AUDIO_INFO: "uint8 channels\n"}
    contents = Contents.open(bag(tmp_path / "bag", topics, definitions))
    (batch,) = contents.batches()
    found = next(n for n in batch.numbers if n.topic.stream.startswith("mic"))
    assert len(found.names) == names
    why = [p for p in contents.problems if "sound is" in p or "its sound" in p]
    assert len(why) == (names == 1) and (coding != "mp3" or "mp3" in why[0])
