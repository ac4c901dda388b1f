"""A bag of several files is read as one without, and each of its files can be played alone."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import threading
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader
from support.samples import T0, wrench, wrench_topic

from robot_recorder.bags import mcap_writer, splitting
from robot_recorder.bags import writer as writer_module
from robot_recorder.bags.bag import opened, read_bag
from robot_recorder.bags.columns import read_columns, read_types
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import METADATA_FILE, custom_data_of, read_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.bags.splitting import FileLimits, file_limits
from robot_recorder.bags.writer import writer_factory
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.topics import BagTopic, Channel, Sample

MS = 1_000_000
TOPICS = ("/joints", "/camera", "/tf_static")
Message = tuple[str, bytes, int]


@pytest.fixture(params=["mcap", "rosbag2_py"])
def kind(request: pytest.FixtureRequest) -> str:
    if not importlib.util.find_spec(request.param):
        pytest.skip(f"{request.param} is not installed here")
    return str(request.param)


def write(
    path: Path, messages: list[Message], limits: FileLimits, kind: str = "mcap", batch: int = 7
) -> None:
    """Write a bag in batches, with a sync after every third; /tf_static is latched."""
    writer = writer_factory(kind, limits)()
    channels = {t: Channel(wrench_topic(t), latched=t == "/tf_static") for t in TOPICS}
    writer.open(path, {"who": "test"})
    added: set[str] = set()
    for first in range(0, len(messages), batch):
        some = messages[first : first + batch]
        for topic in sorted({t for t, _, _ in some} - added):
            writer.add_topic(channels[topic])
            added.add(topic)
        writer.write([Sample(channels[t], data, at, at - 1000) for t, data, at in some])
        if first // batch % 3 == 2:
            writer.sync()
    writer.close()


def read(path: Path) -> list[Message]:
    return [(m.topic, m.data, m.receive_ns) for m in read_messages(path)]


def steady(count: int, latched: tuple[int, ...] = (0,)) -> list[Message]:
    """One message a millisecond; those numbered are latched."""
    return [
        ("/tf_static" if number in latched else "/joints", wrench(number), T0 + number * MS)
        for number in range(count)
    ]


def test_a_bag_is_cut_by_time_and_described_as_rosbag2_does(kind: str, tmp_path: Path) -> None:
    messages = steady(25)
    write(tmp_path / "bag", messages, FileLimits(max_ns=10 * MS), kind)
    metadata = read_metadata(tmp_path / "bag")
    names = ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    assert metadata["relative_file_paths"] == names
    assert [
        (
            file["path"],
            file["starting_time"]["nanoseconds_since_epoch"] - T0,
            file["duration"]["nanoseconds"],
            file["message_count"],
        )
        for file in metadata["files"]
    ] == [
        (names[0], 0, 9 * MS, 10),
        (names[1], 10 * MS, 9 * MS, 11),
        (names[2], 20 * MS, 4 * MS, 6),
    ]
    assert metadata["message_count"] == 27, "with the repeated ones, as every reader finds them"
    assert metadata["duration"]["nanoseconds"] == 24 * MS
    assert custom_data_of(metadata)["who"] == "test"
    assert read(tmp_path / "bag") == messages


def test_a_bag_is_cut_by_size(kind: str, tmp_path: Path) -> None:
    messages = [("/camera", bytes([n]) * 30_000, T0 + n) for n in range(100)]
    write(tmp_path / "bag", messages, FileLimits(max_bytes=1_000_000), kind)
    sizes = [path.stat().st_size for path in (tmp_path / "bag").glob("*.mcap")]
    assert len(sizes) == 4 and max(sizes) <= 1_000_000
    assert read(tmp_path / "bag") == messages


def test_repeated_messages_count_for_other_readers_and_not_for_us(
    kind: str, tmp_path: Path
) -> None:
    messages = steady(30, latched=(0, 15))
    path = tmp_path / "bag"
    write(path, messages, FileLimits(max_ns=10 * MS), kind)
    metadata, _ = read_bag(path)
    counts = {
        entry["topic_metadata"]["name"]: entry["message_count"]
        for entry in metadata["topics_with_message_count"]
    }
    assert counts == {"/tf_static": 2, "/joints": 28} and metadata["message_count"] == 30
    with opened(path) as bag:
        assert {t.name: t.messages for t in bag.topics()} == counts
    typed: Counter[str] = Counter()
    for topic, _, column in read_types(path, verify=True):
        typed[topic] += len(column.receives)
    assert typed == counts
    with Reader(path) as reader:
        assert Counter(c.topic for c, _, _ in reader.messages()) == {"/tf_static": 4, "/joints": 28}
        assert reader.message_count == 32
    read_from = [
        int(at)
        for segment in read_columns(path, {"/tf_static"}, T0 + 12 * MS)
        for some in segment.columns.values()
        for at in some.receives
        if at >= T0 + 12 * MS
    ]
    assert read_from == [T0 + 15 * MS], "also when the reading begins later"


def test_repeats_of_a_topic_with_two_types_are_counted_together(tmp_path: Path) -> None:
    writer = McapWriter(FileLimits(max_ns=10 * MS))
    writer.open(tmp_path / "bag", {})
    types = ("std_msgs/msg/String", "geometry_msgs/msg/WrenchStamped")
    channels = [Channel(BagTopic("/tf_static", kind), latched=True) for kind in types]
    for number, channel in enumerate(channels):
        writer.add_topic(channel)
        writer.write([Sample(channel, wrench(number), T0 + number, 0)])
    writer.write([Sample(channels[0], wrench(2), T0 + 20 * MS, 0)])
    writer.close()
    assert json.loads(custom_data_of(read_metadata(tmp_path / "bag"))["repeated"]) == [
        {},
        {"/tf_static": 2},
    ]
    with opened(tmp_path / "bag") as bag:
        assert [(t.type, t.messages) for t in bag.topics()] == [(types[0], 2), (types[1], 1)]


def test_each_file_begins_with_what_is_latched_and_is_played_alone(
    kind: str, tmp_path: Path
) -> None:
    messages = steady(30, latched=(0, 15))
    write(tmp_path / "bag", messages, FileLimits(max_ns=10 * MS), kind)
    latched = [messages[0], messages[0], messages[15]]
    for number, (_, data, _) in enumerate(latched):
        alone = Path(shutil.copy(tmp_path / "bag" / f"bag_{number}.mcap", tmp_path))
        found = read(alone)
        genuine = messages[10 * number : 10 * number + 10]
        repeated = [("/tf_static", data, genuine[0][2])] if number else []
        assert sorted(found) == sorted(repeated + genuine)
        with open(alone, "rb") as file:
            first = next(make_reader(file).iter_messages())
        assert (first[1].topic, first[2].data) == ("/tf_static", data)
        assert first[2].publish_time == T0 - 1000 + (15 * MS if number == 2 else 0)


def test_without_limits_nothing_is_cut_and_nothing_noted(kind: str, tmp_path: Path) -> None:
    write(tmp_path / "bag", steady(500), FileLimits(), kind)
    metadata = read_metadata(tmp_path / "bag")
    assert metadata["relative_file_paths"] == ["bag_0.mcap"]
    assert "repeated" not in custom_data_of(metadata)


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(TOPICS), st.integers(0, 3000), st.integers(-2, 9)), max_size=60
    ),
    max_bytes=st.sampled_from([0, 1, 500, 4000]),
    max_ms=st.integers(0, 40),
    batch=st.integers(1, 30),
)
def test_whatever_is_cut_is_read_back_exactly(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[str, int, int]],
    max_bytes: int,
    max_ms: int,
    batch: int,
) -> None:
    """Times may also run backwards, and messages be larger than a file."""
    path = tmp_path_factory.mktemp("cut") / "bag"
    now, messages = T0, []
    for number, (topic, size, step_ms) in enumerate(steps):
        now += step_ms * MS
        messages.append((topic, number.to_bytes(4, "little") + bytes(size), now))
    write(path, messages, FileLimits(max_bytes, max_ms * MS), batch=batch)
    for topic in TOPICS:  # of one topic in order of receipt, and then of writing
        sent = sorted((m for m in messages if m[0] == topic), key=lambda m: m[2])
        assert [m for m in read(path) if m[0] == topic] == sent
    metadata = read_metadata(path)
    with Reader(path) as reader:
        by_others = [(c.topic, bytes(data)) for c, _, data in reader.messages()]
    assert len(by_others) == metadata["message_count"]
    assert {(t, d) for t, d, _ in messages} == set(by_others)
    assert read_bag(path)[0]["message_count"] == len(messages)
    (path / METADATA_FILE).unlink()  # the files themselves say what they repeat
    assert sorted(read(path)) == sorted(messages)


def test_a_slow_disk_does_not_hold_up_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The earlier file is finished in another thread; ``sync`` waits for it, as for any data."""
    finish, let_go = McapWriter._finish, threading.Event()

    def slow(self: McapWriter, *args: object) -> object:
        assert let_go.wait(10)
        return finish(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(McapWriter, "_finish", slow)
    writer, channel = McapWriter(FileLimits(max_ns=MS)), Channel(wrench_topic("/joints"))
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    for number in range(5):
        writer.write([Sample(channel, wrench(number), T0 + number * MS, T0)])
    assert len(list((tmp_path / "bag").glob("*.mcap"))) == 5
    let_go.set()
    writer.sync()
    writer.close()
    assert len(read(tmp_path / "bag")) == 5


def test_an_error_of_an_earlier_file_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise OSError(5, "Input/output error")

    writer, channel = McapWriter(FileLimits(max_ns=MS)), Channel(wrench_topic("/joints"))
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    monkeypatch.setattr(mcap_writer, "sync_directory", broken)
    writer.write([Sample(channel, wrench(n), T0 + n * MS, T0) for n in range(2)])
    with pytest.raises(BagError, match="Input/output error"):
        writer.sync()
    writer.abandon()


def test_without_file_descriptors_the_current_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer, channel = McapWriter(FileLimits(max_ns=MS)), Channel(wrench_topic("/joints"))
    writer.open(tmp_path / "bag", {})
    writer.add_topic(channel)
    data_file = mcap_writer._DataFile

    def none_left(path: Path) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(mcap_writer, "_DataFile", none_left)
    writer.write([Sample(channel, wrench(n), T0 + n * MS, T0) for n in range(3)])
    monkeypatch.setattr(mcap_writer, "_DataFile", data_file)
    writer.write([Sample(channel, wrench(3), T0 + 3 * MS, T0)])
    writer.close()
    metadata = read_metadata(tmp_path / "bag")
    assert [file["message_count"] for file in metadata["files"]] == [3, 1]


def test_a_bag_has_a_largest_number_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(splitting, "MOST_FILES", 3)
    messages = steady(50)
    write(tmp_path / "bag", messages, FileLimits(max_ns=MS))
    assert len(read_metadata(tmp_path / "bag")["files"]) == 3
    assert read(tmp_path / "bag") == messages


@pytest.mark.parametrize("told", ["rubbish", "[[1]]", '[{}, {"/tf_static": "x"}]', "{}", "[" * 200])
def test_an_invalid_note_of_repeats_leaves_the_bag_readable(told: str, tmp_path: Path) -> None:
    path = tmp_path / "bag"
    write(path, steady(15), FileLimits(max_ns=10 * MS))
    text = (path / METADATA_FILE).read_text()
    note = json.dumps([{}, {"/tf_static": 1}])
    assert note in text
    (path / METADATA_FILE).write_text(text.replace(f"'{note}'", json.dumps(told)))
    assert len(read(path)) == 16, "the repeated message is then one like the others"


def test_a_writer_that_cannot_split_says_so_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """rosbag2_py of Humble has no ``split_bagfile``."""
    name = "robot_recorder.bags.rosbag2_writer"
    monkeypatch.setitem(sys.modules, "rosbag2_py", SimpleNamespace(SequentialWriter=object))
    monkeypatch.delitem(sys.modules, name, raising=False)
    try:
        writer_factory("rosbag2_py")
        with pytest.raises(ConfigError, match="take writer:=mcap"):
            writer_factory("rosbag2_py", FileLimits(max_ns=MS))
    finally:
        sys.modules.pop(name, None)


def test_a_writer_of_another_package_does_not_split(monkeypatch: pytest.MonkeyPatch) -> None:
    added = SimpleNamespace(found={"theirs": McapWriter})
    monkeypatch.setattr(writer_module, "extensions", lambda group: added)
    assert writer_factory("theirs") is McapWriter
    with pytest.raises(ConfigError, match="writer 'theirs' does not split files"):
        writer_factory("theirs", FileLimits(max_ns=MS))


@pytest.mark.parametrize(("mb", "s"), [(-1, 0.0), (0, 0.5), (0, float("nan")), (10**10, 0.0)])
def test_limits_that_make_no_sense_are_refused(mb: int, s: float) -> None:
    name = "max_file_mb" if mb else "max_file_s"
    with pytest.raises(ConfigError, match=f"parameter '{name}' is .* 0 for no limit"):
        file_limits(mb, s)
    assert file_limits(0, 0.0) == FileLimits() and not FileLimits()
    assert file_limits(2, 1.5) == FileLimits(2_000_000, 1_500_000_000)


def test_a_topic_without_messages_at_the_end_hides_nothing(tmp_path: Path) -> None:
    """Its description is in a chunk of its own, without messages."""
    writer = McapWriter()
    first, last = Channel(wrench_topic("/joints")), Channel(wrench_topic("/camera"))
    writer.open(tmp_path / "bag", {})
    writer.add_topic(first)
    writer.write([Sample(first, wrench(1), T0, T0)])
    writer.sync()
    writer.add_topic(last)
    writer.close()
    assert read(tmp_path / "bag") == [("/joints", wrench(1), T0)]
