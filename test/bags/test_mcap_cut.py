"""Cutting a span of time out of MCAP files.

Holds also: mcap_copy.py.
"""

from __future__ import annotations

import errno
import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from support.samples import T0

from robot_recorder.bags.bag import describe
from robot_recorder.bags.mcap_compress import compress_file
from robot_recorder.bags.mcap_copy import copy_bytes
from robot_recorder.bags.mcap_cut import cut_files
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import write_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.bags.splitting import FileLimits
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.offline.structure import structure_problems

LATCHED = (OfferedQos(durability="transient_local"),)
# Topics and types: two ordinary ones; latched ones of one publisher, of two, and one that adds up.
TOPICS = {
    "/a": ("std_msgs/msg/String", (OfferedQos(),)),
    "/b": ("std_msgs/msg/Empty", (OfferedQos(),)),
    "/map": ("std_msgs/msg/String", LATCHED),
    "/two": ("std_msgs/msg/String", LATCHED * 2),
    "/tf_static": ("tf2_msgs/msg/TFMessage", LATCHED),
}
_COUNT = itertools.count()


@dataclass(frozen=True)
class Said:
    """A message of a generated bag: when it came, on which topic, its content."""

    at_ns: int
    topic: str
    data: bytes


def written(folder: Path, said: list[Said], flushes: set[int]) -> Path:
    """Write a bag, with a new chunk after the messages of these numbers; return its data file."""
    writer = McapWriter()
    writer.open(folder, {})
    channels: dict[str, Channel] = {}
    for number, one in enumerate(said):
        if one.topic not in channels:
            kind, qos = TOPICS[one.topic]
            channels[one.topic] = Channel(BagTopic(one.topic, kind, qos, "", "string data\n"))
            writer.add_topic(channels[one.topic])
        writer.write([Sample(channels[one.topic], one.data, one.at_ns, one.at_ns - 1)])
        if number in flushes:
            writer.sync()
    writer.close()
    (file,) = folder.glob("*.mcap")
    return file


def bag_of(folder: Path, files: tuple[Path, ...]) -> Path:
    write_metadata(folder, describe(list(files), [McapIndex.open(f) for f in files]))
    return folder


def told(bag: Path) -> list[Said]:
    return [Said(m.receive_ns, m.topic, m.data) for m in read_messages(bag)]


def expected_head(said: list[Said], from_ns: int) -> set[tuple[str, bytes]]:
    """Return what holds at a time on latched topics, by the rule and not by the code."""
    head: set[tuple[str, bytes]] = set()
    for topic in ("/map", "/two", "/tf_static"):
        before = [one.data for one in said if one.topic == topic and one.at_ns < from_ns]
        latest = before if topic != "/map" else before[-1:]
        head |= {(topic, data) for data in latest}
    return head


SAID = st.lists(
    st.tuples(st.sampled_from(sorted(TOPICS)), st.integers(0, 3), st.binary(max_size=3)),
    min_size=1, max_size=40,
)  # fmt: skip


@settings(max_examples=40)
@given(
    said=SAID,
    flushes=st.sets(st.integers(0, 40)),
    splits=st.lists(st.integers(1, 39), max_size=2),
    ends=st.tuples(st.integers(-2, 125), st.integers(-2, 125)),
    packed=st.booleans(),
)
def test_any_span_of_any_files_holds_what_was_received_in_it_behind_what_was_latched(
    tmp_path_factory: pytest.TempPathFactory, said, flushes, splits, ends, packed
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"cut_{next(_COUNT)}"
    folder.mkdir()
    at_ns, everything = T0, []
    for topic, pause, data in said:
        at_ns += pause
        everything.append(Said(at_ns, topic, b"\0\1\0\0" + data))
    cuts = [0, *sorted(s for s in set(splits) if s < len(everything)), len(everything)]
    files = []
    for number, (begin, end) in enumerate(itertools.pairwise(cuts)):
        file = written(
            folder / f"part_{number}", everything[begin:end], {f - begin for f in flushes}
        )
        if packed:
            compress_file(file, folder / f"packed_{number}.mcap")
            file = folder / f"packed_{number}.mcap"
        files.append(file)
    from_ns, to_ns = T0 + min(ends), T0 + max(ends)
    inside = [one for one in everything if from_ns <= one.at_ns <= to_ns]
    target = folder / "result"
    target.mkdir()
    if not inside:
        with pytest.raises(BagError, match="no messages in this span"):
            cut_files(files, target, from_ns, to_ns)
        assert not list(target.iterdir())
        return
    result = cut_files(files, target, from_ns, to_ns)
    found = told(bag_of(target, result.files))
    for topic in TOPICS:
        mine = [one for one in found if one.topic == topic]
        wanted = [one for one in inside if one.topic == topic]
        assert mine[len(mine) - len(wanted) :] == wanted
    first = McapIndex.open(result.files[0])
    head = {(one.topic, one.data) for one in found if one.at_ns <= max(from_ns, first.span()[0])}
    assert expected_head(everything, from_ns) <= head
    assert len(found) - len(inside) <= len(expected_head(everything, from_ns))
    for file in result.files:
        checked = scan(file)
        assert checked.sound and not checked.gaps
    with Reader(target) as reader:
        assert sum(1 for _ in reader.messages()) == len(found)
    sizes = result.linked_bytes + result.copied_bytes + result.made_bytes
    assert sizes == sum(f.stat().st_size for f in result.files)


def three_files(tmp_path: Path) -> list[Path]:
    """Three files of a hundred messages each, of which the second and third begin with what is latched."""
    files = []
    for number in range(3):
        begin = T0 + number * 100
        said = [Said(begin, "/map", b"\0\1\0\0map")]
        said += [Said(begin + i, "/a", bytes([0, 1, 0, 0, number, i])) for i in range(100)]
        files.append(written(tmp_path / f"part_{number}", said, set(range(0, 100, 10))))
    return files


def test_whole_files_inside_are_the_same_bytes_and_outlive_the_source(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    target = tmp_path / "result"
    target.mkdir()
    result = cut_files(files, target, T0 + 50, T0 + 250)
    assert [f.name for f in result.files] == ["result_0.mcap", "result_1.mcap", "result_2.mcap"]
    assert result.files[1].read_bytes() == files[1].read_bytes()
    assert result.linked_bytes == files[1].stat().st_size
    assert result.copied_bytes > result.made_bytes / 2, "chunks inside are copied as they are"
    for file in files:
        file.unlink()
    found = told(bag_of(target, result.files))
    assert [one.at_ns for one in found if one.topic == "/a"] == list(range(T0 + 50, T0 + 251))
    assert [one.at_ns for one in found if one.topic == "/map"] == [T0 + 50, T0 + 100, T0 + 200]


def test_a_first_file_that_lies_wholly_inside_is_linked_as_it_begins_with_what_is_latched(
    tmp_path: Path,
) -> None:
    target = tmp_path / "result"
    target.mkdir()
    files = three_files(tmp_path)
    result = cut_files(files, target, T0 + 100, T0 + 199)
    assert result.linked_bytes == files[1].stat().st_size and not result.made_bytes
    assert result.origins == (files[1],)


def test_a_part_that_begins_with_a_file_has_once_what_that_repeats(tmp_path: Path) -> None:
    target = tmp_path / "result"
    target.mkdir()
    result = cut_files(three_files(tmp_path), target, T0 + 100, T0 + 150)
    found = told(bag_of(target, result.files))
    assert [one.at_ns for one in found if one.topic == "/map"] == [T0 + 100]
    assert not structure_problems(Episode.open(target))


def test_where_files_cannot_be_linked_they_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    files, target = three_files(tmp_path), tmp_path / "result"
    target.mkdir()
    result = cut_files(files, target, T0, T0 + 199)
    shared = result.linked_bytes  # a file system that clones files needs no links
    assert shared + result.copied_bytes == sum(f.stat().st_size for f in files[:2])
    assert [f.read_bytes() for f in result.files] == [f.read_bytes() for f in files[:2]]


def test_bytes_are_copied_by_hand_where_the_kernel_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(os, "copy_file_range", refuse)
    (tmp_path / "a").write_bytes(bytes(range(100)))
    source, target = (
        os.open(tmp_path / "a", os.O_RDONLY),
        os.open(tmp_path / "b", os.O_WRONLY | os.O_CREAT),
    )
    try:
        assert copy_bytes(source, target, 10, 50) == 50
        with pytest.raises(OSError, match="became shorter"):
            copy_bytes(source, target, 90, 50)
    finally:
        os.close(source)
        os.close(target)
    assert (tmp_path / "b").read_bytes()[:50] == bytes(range(10, 60))


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    file = three_files(tmp_path)[0]
    os.truncate(file, file.stat().st_size // 2)
    with pytest.raises(BagError, match="cut off or damaged"):
        cut_files([file], tmp_path, T0, T0 + 50)
    with pytest.raises(BagError, match="cannot be read"):
        cut_files([tmp_path / "missing.mcap"], tmp_path, T0, T0 + 50)


def test_a_damaged_file_behind_the_part_is_not_needed(tmp_path: Path) -> None:
    files = three_files(tmp_path)
    os.truncate(files[1], files[1].stat().st_size // 2)
    target = tmp_path / "result"
    target.mkdir()
    assert cut_files(files, target, T0 + 5, T0 + 50).origins == (files[0],)
    for to_ns in (T0 + 100, T0 + 250):
        with pytest.raises(BagError, match=f"recover {files[1]}` makes a bag of what is readable"):
            cut_files(files, tmp_path, T0 + 5, to_ns)


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@example(0, 5, False)
@example(31, 200, True)
@given(st.integers(-5, 120), st.integers(0, 120), st.booleans())
def test_a_recording_in_several_files_is_cut_like_one_in_one(
    tmp_path_factory: pytest.TempPathFactory, from_at: int, length: int, packed: bool
) -> None:
    """Its later files repeat what is latched: a part has that once, whichever file it begins in."""
    folder = tmp_path_factory.getbasetemp() / f"cut_{next(_COUNT)}"
    folder.mkdir()
    writer = McapWriter(FileLimits(max_ns=30))
    writer.open(folder / "long", {})
    kind, qos = TOPICS["/map"]
    held = Channel(BagTopic("/map", kind, qos), latched=True)
    ordinary = Channel(BagTopic("/a", kind, (OfferedQos(),)))
    for channel in (held, ordinary):
        writer.add_topic(channel)
    writer.write([Sample(held, b"\0\1\0\0map", T0, T0)])
    for at_ns in range(T0, T0 + 120):
        writer.write([Sample(ordinary, b"\0\1\0\0" + bytes([at_ns % 251]), at_ns, at_ns)])
        if at_ns % 20 == 0:
            writer.sync()
    writer.close()
    files = sorted((folder / "long").glob("*.mcap"), key=lambda p: int(p.stem.rpartition("_")[2]))
    assert len(files) == 4
    if packed:
        for file in files:
            compress_file(file, folder / "packed")
            (folder / "packed").replace(file)
    from_ns, to_ns = T0 + from_at, T0 + from_at + length
    whole = told(folder / "long")
    inside = [one for one in whole if from_ns <= one.at_ns <= to_ns]
    target = folder / "part"
    target.mkdir()
    if not inside:
        return
    result = cut_files(files, target, from_ns, to_ns)
    found = told(bag_of(target, result.files))
    assert [one for one in found if one.topic == "/a"] == [o for o in inside if o.topic == "/a"]
    assert [one.data for one in found if one.topic == "/map"] == [b"\0\1\0\0map"]
    assert min(one.at_ns for one in found if one.topic == "/map") == found[0].at_ns
    assert not structure_problems(Episode.open(target))
