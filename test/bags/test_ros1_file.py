"""ROS 1 bags are read as if ROS 2 had recorded them: the same values, times and definitions.

Holds also: ros1_records.py, ros1_types.py.
"""

from __future__ import annotations

import itertools
import json
import re
import struct
import tracemalloc
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.rosbag1 import Reader, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from support import ros1
from support.ros1 import JOINT_STATE, KUAVO, NS, SENSORS, STEP, T0, TYPES

from robot_recorder.bags.bag import opened, read_bag
from robot_recorder.bags.columns import bag_topics, read_columns
from robot_recorder.bags.ros1_file import Ros1File
from robot_recorder.bags.ros1_types import Ros1Types
from robot_recorder.cli.main import main
from robot_recorder.content.contents import Contents
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.check import check_episode
from robot_recorder.offline.definitions import bag_definitions

BAGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = itertools.count()


def plain(value: Any) -> Any:
    """Return a message as nested lists, without the names of classes, and without ``seq``."""
    if hasattr(value, "__dataclass_fields__"):
        names = [n for n in value.__dataclass_fields__ if n != "__msgtype__"]
        header = value.__msgtype__.partition("_msgs/msg/")[2] == "Header"
        return {n: plain(getattr(value, n)) for n in names if not (header and n == "seq")}
    if isinstance(value, np.ndarray):
        return [plain(v) for v in value.tolist()]
    if isinstance(value, list):
        return [plain(v) for v in value]
    return repr(value) if isinstance(value, float) else value


def types_of(path: Path) -> Any:
    """Return the message types that a bag defines, for another reader."""
    store = get_typestore(Stores.EMPTY)
    for name, text in bag_definitions(path).items():
        found = get_types_from_msg(text, name)
        store.register({k: v for k, v in found.items() if k not in store.fielddefs})
    usual = get_typestore(Stores.ROS2_JAZZY).fielddefs
    store.register({k: v for k, v in usual.items() if k not in store.fielddefs})
    return store


def read(path: Path, topics: set[str] | None = None) -> list[tuple[str, int, Any]]:
    """Return topic, receive time and content of every message, decoded by the bag's definitions."""
    store, found = types_of(path), []
    for message in Episode.open(path).messages(topics):
        content = store.deserialize_cdr(message.data, message.type)
        found.append((message.topic, message.receive_ns, plain(content)))
    return found


def told(path: Path, topics: set[str]) -> tuple[int, str]:
    """Return how many messages are read, and what is told at the end."""
    count, problem = 0, ""
    try:
        for segment in read_columns(path, topics):
            count += sum(len(column.receives) for column in segment.columns.values())
    except BagError as error:
        problem = str(error)
    return count, problem


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_values_and_times_are_those_that_were_written(tmp_path: Path, compression: str) -> None:
    bag = ros1.kuavo_bag(tmp_path / "kuavo.bag", compression)
    sent = ros1.kuavo_messages()
    assert read(bag) == [(topic, at_ns, plain(message)) for topic, at_ns, message in sent]
    episode = Episode.open(bag)
    assert episode.topics == KUAVO
    assert episode.counts["/sensors_data_raw"] == 300 and episode.metadata["message_count"] == 800
    assert episode.start_ns == T0
    assert episode.duration_s == pytest.approx(2.99 + 1e-6)
    assert episode.unread == [] and episode.size_bytes == bag.stat().st_size
    for segment in read_columns(bag, {"/sensors_data_raw"}):
        column = segment.columns["/sensors_data_raw"]
        assert (column.receives - column.stamps() == 3_001_000).all()


def test_definitions_are_those_of_ros2(tmp_path: Path) -> None:
    bag = ros1.kuavo_bag(tmp_path / "kuavo.bag", count=1)
    kind, text = bag_topics(bag)["/sensors_data_raw"]
    assert kind == SENSORS
    assert text.splitlines()[:4] == [
        "std_msgs/Header header", "builtin_interfaces/Time sensor_time",
        "kuavo_msgs/jointData joint_data", "kuavo_msgs/imuData imu_data",
    ]  # fmt: skip
    assert "seq" not in text and "MSG: geometry_msgs/Quaternion\nfloat64 x\n" in text


# -- random messages of random types against rosbags' own deserialization

NUMBER_TYPES = {
    "bool": st.booleans(), "byte": st.integers(-128, 127), "char": st.integers(0, 255),
    "int8": st.integers(-128, 127), "uint8": st.integers(0, 255),
    "int16": st.integers(-(2**15), 2**15 - 1), "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1), "float32": st.floats(width=32),
    "float64": st.floats(),
}  # fmt: skip
PACK = {"bool": "?", "byte": "b", "char": "B", "int8": "b", "uint8": "B", "int16": "h",
        "uint32": "I", "int64": "q", "float32": "f", "float64": "d"}  # fmt: skip


def text_bytes(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<I", len(data)) + data


@st.composite
def a_value(draw, kind: str, parts: dict[str, list[tuple[str, str, str]]]) -> tuple[bytes, Any]:
    """Return the ROS 1 bytes of a value, and the value."""
    if kind in PACK:
        value = draw(NUMBER_TYPES[kind])
        data = struct.pack("<" + PACK[kind], value)
        return data, plain(struct.unpack("<" + PACK[kind], data)[0])
    if kind == "string":
        text = draw(
            st.text(st.characters(blacklist_categories=["Cs"], min_codepoint=1), max_size=9)
        )
        return text_bytes(text), text
    if kind in ("time", "duration"):
        sec, nanosec = draw(st.integers(0, 2**31 - 1)), draw(st.integers(0, NS - 1))
        return struct.pack("<II", sec, nanosec), {"sec": sec, "nanosec": nanosec}
    if kind == "Header":
        stamp, time = draw(a_value("time", parts))
        frame, name = draw(a_value("string", parts))
        seq = struct.pack("<I", draw(st.integers(0, 2**32 - 1)))
        return seq + stamp + frame, {"stamp": time, "frame_id": name}
    found = [(name, draw(a_field(one, array, parts))) for one, array, name in parts[kind]]
    return b"".join(d for _, (d, _) in found), {name: v for name, (_, v) in found}


@st.composite
def a_field(draw, kind: str, array: str, parts: Any) -> tuple[bytes, Any]:
    if not array:
        return draw(a_value(kind, parts))
    count = int(array[1:-1]) if array != "[]" else draw(st.integers(0, 3))
    values = [draw(a_value(kind, parts)) for _ in range(count)]
    begin = struct.pack("<I", count) if array == "[]" else b""
    return begin + b"".join(d for d, _ in values), [v for _, v in values]


BASES = [*PACK, "string", "time", "duration", "Header"]


@st.composite
def types_and_messages(draw) -> tuple[str, list[tuple[bytes, Any]]]:
    """Return the definition of a vendor's type with two levels of parts, and some messages."""
    arrays = st.sampled_from(["", "", "[]", "[1]", "[3]"])
    parts: dict[str, list[tuple[str, str, str]]] = {}
    for name, inner in (("Leaf", []), ("Part", ["Leaf"]), ("Whole", ["Leaf", "Part"])):
        kinds = draw(st.lists(st.sampled_from([*BASES, *inner]), min_size=1, max_size=5))
        parts[name] = [(kind, draw(arrays), f"f{i}") for i, kind in enumerate(kinds)]

    def lines(name: str) -> str:
        return "".join(f"{kind}{array} {field}  # note\n" for kind, array, field in parts[name])

    text = "int32 kLimit = 3\n" + lines("Whole")
    for name in ("Part", "Leaf"):
        text += f"{'=' * 80}\nMSG: vendor_msgs/{name}\n{lines(name)}"
    text += f"{'=' * 80}\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
    return text, draw(st.lists(a_value("Whole", parts), min_size=1, max_size=4))


@settings(BAGS, max_examples=100)
@given(types_and_messages())
def test_any_message_of_any_type_keeps_its_values(made) -> None:
    text, messages = made
    types, store = Ros1Types(), get_typestore(Stores.EMPTY)
    name, definition = types.add("vendor_msgs/Whole", text)
    store.register(get_types_from_msg(definition, name))
    for data, value in messages:
        assert plain(store.deserialize_cdr(types.to_cdr(name, data), name)) == value


@st.composite
def sent_messages(draw) -> list[ros1.Sent]:
    """Return messages in the order of a file, which is not the order of their times."""
    makers = {"/joint_states": ros1.joint_state, "/sensors_data_raw": ros1.sensors,
              "/camera/depth/image_raw": ros1.image}  # fmt: skip
    found = draw(st.lists(st.tuples(st.sampled_from([*makers]), st.integers(0, 40)), max_size=60))
    return [(topic, T0 + number * STEP, makers[topic](number)) for topic, number in found]


@settings(BAGS, max_examples=25)
@given(sent_messages(), st.sampled_from(["none", "bz2", "lz4"]), st.integers(1, 4000))
def test_a_bag_has_the_messages_that_rosbags_reads(
    tmp_path, sent, compression, chunk_bytes
) -> None:
    bag = tmp_path / f"{next(numbers)}.bag"
    ros1.write_bag(bag, KUAVO, sent, compression, chunk_bytes)
    expected: dict[str, list[tuple[int, str]]] = defaultdict(list)
    with Reader(bag) as reader:
        for connection, at_ns, data in reader.messages():
            message = ros1.STORE.deserialize_ros1(data, connection.msgtype)
            expected[connection.topic].append((at_ns, repr(plain(message))))
        assert Episode.open(bag).counts == {t: i.msgcount for t, i in reader.topics.items()}
    found: dict[str, list[tuple[int, str]]] = defaultdict(list)
    times = []
    for topic, at_ns, content in read(bag):
        found[topic].append((at_ns, repr(content)))
        times.append(at_ns)
    assert times == sorted(times)
    assert {t: sorted(m) for t, m in found.items()} == {t: sorted(m) for t, m in expected.items()}


@settings(BAGS, max_examples=100)
@given(st.data())
def test_damage_never_raises_anything_but_a_named_error(tmp_path: Path, data) -> None:
    compression = data.draw(st.sampled_from(["none", "bz2", "lz4"]))
    whole = tmp_path / f"{compression}.bag"
    if not whole.exists():
        ros1.write_bag(whole, KUAVO, ros1.kuavo_messages(20), compression, 3000)
    content = bytearray(whole.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(13, len(content) - 9))
        content[at : at + 8] = data.draw(st.binary(min_size=8, max_size=8))
    bag = tmp_path / f"{next(numbers)}.bag"
    bag.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        for message in Episode.open(bag).messages():
            assert message.topic and message.type
    except BagError as error:
        assert str(bag) in str(error)


# -- bags that are damaged, not ended, or of other formats


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_bag_without_an_index_is_read_and_the_remedy_named(tmp_path: Path, compression) -> None:
    bag = ros1.without_index(ros1.kuavo_bag(tmp_path / "x.bag", compression, 100))
    bag = bag.rename(tmp_path / "x.bag.active")
    assert Episode.open(bag).metadata["message_count"] == 268
    count, problem = told(bag, {*KUAVO})
    assert count == 268
    assert problem.startswith(f"{bag} has no index, it was not ended: what is there is read")
    assert f"`rosbag reindex {bag}` writes the index again" in problem


@pytest.mark.parametrize("compression", ["none", "bz2", "lz4"])
def test_a_truncated_bag_is_read_as_far_as_it_goes(tmp_path: Path, compression: str) -> None:
    bag = ros1.kuavo_bag(tmp_path / "x.bag", compression, 300)
    data = bag.read_bytes()
    bag.write_bytes(data[: len(data) // 2])
    count, problem = told(bag, {*KUAVO})
    assert 200 < count < 600
    assert "has no index, it was damaged or cut off later" in problem
    found = read_until_error(bag)
    assert found == [(t, at, plain(m)) for t, at, m in ros1.kuavo_messages()[:count]]


def read_until_error(path: Path) -> list[tuple[str, int, Any]]:
    store, found = types_of(path), []
    with pytest.raises(BagError):
        for m in Episode.open(path).messages():
            found.append((m.topic, m.receive_ns, plain(store.deserialize_cdr(m.data, m.type))))
    return found


def test_the_chunk_that_was_being_written_is_read(tmp_path: Path) -> None:
    bag = ros1.write_bag(tmp_path / "x.bag", KUAVO, ros1.kuavo_messages(60), chunk_bytes=10**9)
    data = bytearray(ros1.without_index(bag).read_bytes())
    at = data.index(b"size=") + len(b"size=")
    data[at : at + 8] = bytes(8)  # rosbag writes both sizes when a chunk is full
    bag.write_bytes(data[: len(data) * 9 // 10])
    count, problem = told(bag, {*KUAVO})
    assert 100 < count < 160 and "has no index" in problem


def test_messages_whose_topic_is_lost_with_another_chunk_are_counted(tmp_path: Path) -> None:
    bag = ros1.without_index(ros1.kuavo_bag(tmp_path / "x.bag", "lz4", 300))
    data = bytearray(bag.read_bytes())
    at = data.index(b"compression=lz4") + 40
    data[at : at + 2000] = bytes(2000)
    bag.write_bytes(data)
    with pytest.raises(BagError, match="no messages are found"):
        Episode.open(bag)  # all connections are in the first chunk
    bag = ros1.write_bag(tmp_path / "y.bag", KUAVO, ros1.kuavo_messages(50), chunk_bytes=5000)
    data = bytearray(ros1.without_index(bag).read_bytes())
    at = data.index(b"topic=/sensors_data_raw") - 30
    data[at : at + 30] = b"\xff" * 30  # behind the connection of /joint_states
    bag.write_bytes(data)
    count, problem = told(bag, {*KUAVO})
    assert 40 < count < 50
    assert re.search(
        r"; \d\d messages are left out, because the record of their topic is lost", problem
    )


def test_a_damaged_chunk_is_left_out_and_told(tmp_path: Path) -> None:
    bag = ros1.kuavo_bag(tmp_path / "x.bag", "bz2", 300)
    with Reader(bag) as reader:
        third = reader.chunks[reader.chunk_infos[2].pos]
        lost = sum(reader.chunk_infos[2].connection_counts.values())
    with open(bag, "r+b") as file:
        file.seek(third.datapos)
        file.write(bytes(third.datasize))
    count, problem = told(bag, {*KUAVO})
    assert count == 800 - lost
    assert (
        problem.startswith(f"{bag} is damaged near byte ") and "cannot be decompressed" in problem
    )


@pytest.mark.parametrize("place", [1, 5000, 2**40, 2**64 - 1])
def test_an_index_that_is_elsewhere_costs_no_message(tmp_path: Path, place: int) -> None:
    bag = ros1.kuavo_bag(tmp_path / "x.bag", count=60)
    data = bytearray(bag.read_bytes())
    at = data.index(b"index_pos=") + len(b"index_pos=")
    data[at : at + 8] = place.to_bytes(8, "little")
    bag.write_bytes(data)
    count, problem = told(bag, {*KUAVO})
    assert count == 160 and "has no index, it was damaged or cut off later" in problem


def test_bags_that_cannot_be_read_are_refused_with_the_remedy(tmp_path: Path) -> None:
    whole = ros1.kuavo_bag(tmp_path / "x.bag", count=3).read_bytes()
    at = whole.index(b"index_pos")
    encrypted = bytearray(whole)
    field = b"encryptor=a/b"
    length = int.from_bytes(whole[13:17], "little")
    encrypted[13:17] = struct.pack("<I", length + 4 + len(field))
    encrypted[at - 4 : at - 4] = struct.pack("<I", len(field)) + field
    for name, data, words in (
        ("old", b"#ROSBAG V1.2\n" + whole[13:], "of format 1.2, not 2.0: `rosbag fix`"),
        ("short", whole[:13], "has no index, it was not ended, and no messages are found in it"),
        ("encrypted", bytes(encrypted), "is encrypted: `rosbag decrypt`"),
    ):
        bag = tmp_path / f"{name}.bag"
        bag.write_bytes(data)
        with pytest.raises(BagError, match=words) as raised:
            Episode.open(bag)
        assert str(bag) in str(raised.value)


def test_a_bag_without_messages_is_opened(tmp_path: Path) -> None:
    metadata, _ = read_bag(ros1.write_bag(tmp_path / "x.bag", {}, []))
    assert metadata["message_count"] == 0 and metadata["topics_with_message_count"] == []


# -- messages that cannot be converted, connections, definitions


def test_messages_that_cannot_be_converted_are_counted(tmp_path: Path, capsys) -> None:
    sent = [m for m in ros1.kuavo_messages(100) if m[0] == "/joint_states"]
    for number in (7, 50, 51):
        sent[number] = ("/joint_states", sent[number][1], b"\xff" * 40)
    bag = ros1.write_bag(tmp_path / "x.bag", {"/joint_states": JOINT_STATE}, sent)
    assert [m.data == b"" for m in Episode.open(bag).messages()].count(True) == 3
    alignment = frames_of(Episode.open(bag))
    assert alignment.counts[0].undecodable == 3
    problems = check_episode(bag).problems
    words = f"/joint_states: 3 messages cannot be converted from ROS 1's {JOINT_STATE} ("
    assert any(problem.startswith(words) for problem in problems)
    assert main(["align", str(bag), "--out", str(tmp_path)]) == 0
    assert "joint_states: 3 samples cannot be decoded" in capsys.readouterr().out
    contents = Contents.open(bag)
    assert sum(1 for _ in contents.batches()) == 1
    assert any("3 messages cannot be decoded" in problem for problem in contents.problems)


def test_a_long_sequence_in_a_damaged_message_costs_no_time() -> None:
    types = Ros1Types()
    name, _ = types.add(
        "a/B", "Part[] parts\n" + "=" * 80 + "\nMSG: a/Part\nfloat64 x\nfloat64 y\n"
    )
    with pytest.raises(ValueError, match="sequence length"):
        types.to_cdr(name, b"\xff\xff\xff\xff" + bytes(100))


@pytest.mark.parametrize(
    "text", ["float64 x y\n", "Part part\n", "A inner\n", f"int8 a\n{'=' * 80}\nint8 b\n", "a@b c"]
)
def test_a_definition_that_is_not_understood_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        Ros1Types().add("a/A", text)


def test_a_topic_with_an_unreadable_definition_is_told(tmp_path: Path) -> None:
    bag = tmp_path / "x.bag"
    with Writer(bag) as writer:
        joints = writer.add_connection("/joint_states", JOINT_STATE, typestore=ros1.STORE)
        odd = writer.add_connection("/odd", "a/msg/B", msgdef="no definition!", md5sum="0" * 32)
        for number in range(20):
            data = ros1.STORE.serialize_ros1(ros1.joint_state(number), JOINT_STATE)
            writer.write(joints, T0 + number * STEP, data)
            writer.write(odd, T0 + number * STEP, b"1234")
    assert Episode.open(bag).unread == [
        "/odd: its 20 messages are ros1 without a readable definition, not cdr: not read"
    ]
    assert told(bag, {"/joint_states", "/odd"}) == (20, "")


def test_latched_and_other_connections_of_a_topic_are_one_topic(tmp_path: Path) -> None:
    bag = tmp_path / "x.bag"
    with Writer(bag) as writer:
        for number in range(3):
            connection = writer.add_connection(
                "/joint_states", JOINT_STATE, typestore=ros1.STORE, callerid=f"/node{number}",
                latching=int(number == 1),
            )  # fmt: skip
            for sample in range(number, 30, 3):
                data = ros1.STORE.serialize_ros1(ros1.joint_state(sample), JOINT_STATE)
                writer.write(connection, T0 + sample * STEP, data)
    (topic,) = Episode.open(bag).metadata["topics_with_message_count"]
    offers = topic["topic_metadata"]["offered_qos_profiles"]
    assert [offer["durability"] for offer in offers] == ["volatile", "transient_local"]
    assert topic["message_count"] == 30
    assert [at for _, at, _ in read(bag)] == [T0 + i * STEP for i in range(30)]


def test_two_definitions_of_one_type_are_both_decoded(tmp_path: Path) -> None:
    bag = tmp_path / "x.bag"
    rule = "=" * 80
    old = f"Header header\nState state\n{rule}\nMSG: a/State\nfloat64 q\n"
    new = f"Header header\nState state\n{rule}\nMSG: a/State\nfloat32 v\nfloat64 q\n"
    begin = struct.pack("<III", 5, 7, 9) + text_bytes("base")
    with Writer(bag) as writer:
        ids = [
            writer.add_connection(topic, "a/msg/Arm", msgdef=text, md5sum=md5 * 32)
            for topic, text, md5 in (("/left", old, "0"), ("/right", new, "1"), ("/left", new, "1"))
        ]
        for number in range(4):
            writer.write(ids[0], T0 + number * STEP, begin + struct.pack("<d", number))
            writer.write(ids[1], T0 + number * STEP, begin + struct.pack("<fd", -1, number))
            writer.write(ids[2], T0 + number * STEP, begin + struct.pack("<fd", -1, number))
    episode = Episode.open(bag)
    (left, _), (right, text) = bag_topics(bag)["/left"], bag_topics(bag)["/right"]
    assert left == "a/msg/Arm" and right.startswith("a/msg/Arm_") and "a/State_" in text
    found = read(bag)
    assert [m["state"] for t, _, m in found if t == "/left"] == [
        {"q": repr(float(i))} for i in range(4)
    ]
    assert [m["state"] for t, _, m in found if t == "/right"] == [
        {"v": "-1.0", "q": repr(float(i))} for i in range(4)
    ]
    assert episode.unread == [
        f"/left: its 4 messages of type {right} are not read; those of a/msg/Arm are"
    ]


def test_a_standard_type_with_fields_of_its_own_is_not_decoded_as_the_standard_one() -> None:
    types = Ros1Types()
    parts = f"{'=' * 80}\nMSG: std_msgs/Header\nuint32 seq\ntime stamp\nstring frame_id\n"
    usual = (
        "Header header\nstring[] name\nfloat64[] position\nfloat64[] velocity\nfloat64[] effort\n"
    )
    own, _ = types.add(
        "sensor_msgs/JointState", usual.replace("float64[] v", "float32[] v") + parts
    )
    assert own.startswith("sensor_msgs/msg/JointState_")
    assert types.add("sensor_msgs/JointState", usual + parts)[0] == JOINT_STATE


@pytest.mark.parametrize(
    "kind", ["sensor_msgs/msg/Imu", "sensor_msgs/msg/CameraInfo", "geometry_msgs/msg/PoseStamped",
             "geometry_msgs/msg/WrenchStamped", "geometry_msgs/msg/TransformStamped", JOINT_STATE,
             "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/Image", "std_msgs/msg/String"],
)  # fmt: skip
def test_the_standard_types_of_ros1_keep_their_names(kind: str) -> None:
    text, _ = ros1.STORE.generate_msgdef(kind)
    assert Ros1Types().add(kind.replace("/msg/", "/"), text)[0] == kind


# -- commands


def test_commands_take_a_bag(tmp_path: Path, capsys) -> None:
    bag = ros1.kuavo_bag(tmp_path / "kuavo.bag", "lz4")
    assert main(["profile", "guess", str(bag)]) == 0
    profile = capsys.readouterr().out
    assert "topic: /joint_states" in profile and "topic: /sensors_data_raw" in profile
    assert main(["align", str(bag), "--rate", "50", "--out", str(tmp_path / "x.npz")]) == 0
    assert "100.0% complete" in capsys.readouterr().out
    assert main(["certificate", str(bag)]) == 0
    assert main(["latency", str(bag)]) in (0, 1)
    assert main(["show", str(bag), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "kuavo.bag.png").stat().st_size > 10_000
    capsys.readouterr()
    assert main(["check", str(bag), "--json"]) in (0, 1)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["messages"] == 800 and found["problems"] == []
    assert main(["check", str(bag), "--save"]) == 2
    assert "is a ROS 1 bag, which has no place for verdicts" in capsys.readouterr().err
    ros1.kuavo_bag(tmp_path / "other.bag", count=50)
    assert main(["check", str(tmp_path), "--json"]) in (0, 1)
    assert [e["episode_id"] for e in json.loads(capsys.readouterr().out)] == [
        "kuavo.bag",
        "other.bag",
    ]


def test_aligned_values_are_those_of_the_bag(tmp_path: Path) -> None:
    alignment = frames_of(Episode.open(ros1.kuavo_bag(tmp_path / "kuavo.bag")), rate_hz=100)
    column, names = alignment.column("sensors_data_raw"), alignment.names("sensors_data_raw")
    at = next(i for i, name in enumerate(names) if name.startswith("joint_data/joint_q/0 "))
    fresh = column.stamps > 0
    numbers = (column.stamps[fresh] - T0 + 3_000_000) / STEP
    assert len(numbers) > 250
    assert column.values[fresh, at] == pytest.approx(np.cos(numbers / 40), abs=1e-6)


def test_a_bag_beside_the_metadata_of_another_is_itself(tmp_path: Path) -> None:
    bag = ros1.kuavo_bag(tmp_path / "kuavo.bag", count=10)
    (tmp_path / "metadata.yaml").write_text("rosbag2_bagfile_information: {}\n")
    assert Episode.open(bag).path == bag


def test_memory_is_bounded_by_some_chunks(tmp_path: Path) -> None:
    types = {"/camera": ros1.IMAGE}
    pixels = np.zeros(1_000_000, np.uint8)
    head = ros1.header(T0)
    sent = (
        ("/camera", T0 + n * STEP, TYPES[ros1.IMAGE](head, 1000, 1000, "mono8", 0, 1000, pixels))
        for n in range(300)
    )
    bag = ros1.write_bag(tmp_path / "x.bag", types, sent, chunk_bytes=800_000)
    with opened(bag) as of:
        (file,) = of.files
        assert isinstance(file, Ros1File)
        tracemalloc.start()
        count = sum(1 for _ in file.messages({"/camera"}, 0))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert count == 300 and peak < 20_000_000
