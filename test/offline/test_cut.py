"""Takes cut out of a long episode: each is an ordinary episode that stands by itself."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bags import NS, small_robot
from support.long_episode import ID, SHIFT, at, long_episode, mark, outcome
from support.samples import T0

from robot_recorder.bags.bag import describe
from robot_recorder.bags.mcap_index import McapIndex
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.metadata import write_metadata
from robot_recorder.bags.reader import BagMessage, read_messages
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.takes import TakeSpan, take_between, takes_of
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import TAKE, Outcome
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.cut import STAGING, Cut, Cutter
from robot_recorder.offline.structure import structure_problems

TASKS = parse_tasks("tasks: {carry_tray: {instruction: Carry., annotations: [grip]}}")


def cut(source: Path, takes: list[TakeSpan], check: bool = False, **more: object) -> list[Cut]:
    cutter = Cutter(Episode.open(source), EpisodeStore(source.parent), **more)  # type: ignore[arg-type]
    with cutter:
        return [cutter.make(planned, check) for planned in cutter.plan(takes)]


def part(source: Path, from_s: float | None, to_s: float | None) -> TakeSpan:
    take = take_between(Episode.open(source), from_s, to_s)
    assert isinstance(take, TakeSpan)
    return take


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_episode(tmp_path_factory.mktemp("cut"))


def test_each_take_is_an_episode_with_labels_certificate_verdict_and_where_it_is_from(
    source: Path,
) -> None:
    cuts = cut(source, takes_of(Episode.open(source))[0], check=True, pre_roll_s=0.5, tasks=TASKS)
    assert [c.id for c in cuts] == [
        "small_20231114T221322_000_lift_box",
        "small_20231114T221329_000_carry_tray",
    ]
    for one, (start_s, end_s) in zip(cuts, [(2, 5), (9, 12)], strict=True):
        assert one.path is not None and one.is_new
        episode = Episode.open(one.path)
        assert (episode.id, episode.start_ns, episode.stop_ns) == (one.id, at(start_s), at(end_s))
        assert episode.pre_roll_s == 0.5 and episode.duration_s == 3
        times = [m.receive_ns for m in episode.messages()]
        assert at(start_s - 0.5) <= times[0] and times[-1] <= at(end_s)
        assert not structure_problems(episode)
        assert episode.certificate is not None and episode.certificate.frames > 40
        assert episode.certificate.streams["joints"].count == 350
        assert one.quality.sentence == episode.quality.sentence != ""
        told = json.loads(episode.facts["cut_from"])
        assert (told["episode_id"], told["from_s"], told["to_s"]) == (ID, start_s - 0.5, end_s)
        assert len(told["index_sha256"]) == 64
        assert "stop_reason" not in episode.facts, "that is about the end of the recording"
    second = Episode.open(cuts[1].path or Path())
    assert second.labels.outcome is Outcome.FAILURE and second.labels.cause == "slip"
    assert second.facts["operator"] == "bob" and "grip" in second.facts["task_yaml"]
    assert not (source.parent / STAGING).exists()


def test_a_second_run_makes_nothing_anew(tmp_path: Path) -> None:
    source = long_episode(tmp_path)
    takes = takes_of(Episode.open(source))[0]
    first = cut(source, takes)
    again = cut(source, takes)
    assert [c.path for c in again] == [c.path for c in first] and not any(c.is_new for c in again)
    store = EpisodeStore(source.parent)
    store.discard(first[0].path or Path())
    (in_trash, _) = cut(source, takes)
    assert in_trash.path == store.trash.folder / first[0].id, "discarded on purpose"
    store.restore(first[0].id)
    with_more = cut(source, takes, pre_roll_s=0.25)
    assert [c.id for c in with_more] == [f"{c.id}-2" for c in first], (
        "another part, so another episode"
    )


def test_the_new_episode_outlives_the_source(tmp_path: Path) -> None:
    source = long_episode(tmp_path)
    wanted = [
        (m.topic, m.receive_ns, m.data)
        for m in read_messages(source)
        if at(2) <= m.receive_ns <= at(5)
    ]
    (first, _) = cut(source, takes_of(Episode.open(source))[0])
    for file in source.iterdir():
        file.unlink()
    assert first.path is not None
    assert [(m.topic, m.receive_ns, m.data) for m in read_messages(first.path)] == wanted


def test_the_whole_episode_is_linked_not_copied(tmp_path: Path) -> None:
    source = long_episode(tmp_path)
    os.chmod(source, 0o750)
    for file in source.iterdir():
        os.chmod(file, 0o640)
    (whole,) = cut(source, [part(source, None, None)])
    assert whole.written is not None and whole.path is not None
    assert (
        whole.written.linked_bytes
        and not whole.written.copied_bytes
        and not whole.written.made_bytes
    )
    assert Episode.open(whole.path).facts["stop_reason"] == "request", (
        "it has the end of the recording"
    )
    assert whole.path.name == f"{ID}-2"
    assert {p.stat().st_mode & 0o777 for p in whole.path.iterdir()} == {0o640}
    assert whole.path.stat().st_mode & 0o777 == 0o750


@settings(max_examples=8)
@given(st.floats(1, 15), st.floats(2, 5))
def test_frames_aligned_offline_are_those_of_the_source(
    source: Path, from_s: float, length_s: float
) -> None:
    """But for the first moments, when the aligner has not heard of every stream yet."""
    (made,) = cut(source, [part(source, from_s, from_s + length_s)])
    whole, of_part = frames_of(Episode.open(source)), frames_of(Episode.open(made.path or Path()))
    ticks = of_part.frames.ticks
    same = np.isin(whole.frames.ticks, ticks)
    settled = (ticks > at(from_s + 0.2)) & (ticks < at(from_s + length_s - 0.3))
    assert settled.sum() >= 20 * (length_s - 0.6)
    assert (whole.frames.ticks[same] == ticks).all()
    for one, other in zip(whole.frames.columns, of_part.frames.columns, strict=True):
        assert (one.status[same][settled] == other.status[settled]).all()
        assert (one.stamps[same][settled] == other.stamps[settled]).all()
        np.testing.assert_array_equal(one.values[same][settled], other.values[settled])


def dropout(topic: str, place: int, count: int, start_ns: int, end_ns: int) -> bytes:
    """Return a Dropout message as ROS encodes it."""
    stamp = struct.pack("<iI", *divmod(end_ns, NS))
    body = stamp + struct.pack("<I", 1) + b"\0\0\0\0"
    text = topic.encode() + b"\0"
    body += struct.pack("<I", len(text)) + text + bytes([place])
    body += bytes(-len(body) % 8) + struct.pack("<Q", count)
    body += struct.pack("<iI", *divmod(start_ns, NS)) + struct.pack(
        "<iI", *divmod(end_ns - start_ns, NS)
    )
    return b"\0\1\0\0" + body


def lossy(root: Path) -> Path:
    """Write an episode that lost messages: of /a at 3 s and over 5 s, of /b at 3 s, and says so."""
    writer = McapWriter()
    streams = {t: {"written": 20, "lost": lost} for t, lost in {
        "/a": {"dds": 5, "queue": 0}, "/b": {"dds": 2, "queue": 7}, "/c": {"dds": None, "queue": 0},
    }.items()}  # fmt: skip
    facts = {
        "episode_id": "lossy",
        "robot": "r",
        "start_ns": str(T0),
        "stop_ns": str(at(10)),
        "streams": json.dumps(streams),
    }
    writer.open(root / "lossy", facts)
    told = Channel(BagTopic("/recorder/dropouts", "robot_recorder/msg/Dropout"))
    channels = [Channel(BagTopic(t, "std_msgs/msg/Empty")) for t in streams]
    for channel in (*channels, told):
        writer.add_topic(channel)
    samples = [Sample(c, b"\0\1\0\0", at(i / 2), 0) for i in range(20) for c in channels]
    samples += [
        Sample(told, dropout("/a", 0, 3, at(3), at(3.1)), at(3.2), 0),
        Sample(told, dropout("/b", 0, 2, at(3), at(3.1)), at(3.2), 0),
        Sample(told, dropout("/a", 0, 2, at(4.9), at(5.1)), at(5.2), 0),
    ]
    writer.write(sorted(samples, key=lambda s: s.receive_ns))
    writer.close()
    return root / "lossy"


def test_losses_are_those_of_the_part_or_unknown(tmp_path: Path) -> None:
    source = lossy(tmp_path)
    (over, inside, outside) = cut(
        source, [part(source, 2, 5), part(source, 2, 4), part(source, 6, 8)]
    )

    def lost(made: Cut) -> dict[str, dict[str, int | None]]:
        return {
            t: s["lost"]
            for t, s in Episode.open(made.path or Path()).streams.items()
            if t != "/recorder/dropouts"
        }

    # Of the seven that /b lost in the queue nothing says when.
    assert lost(inside) == {
        "/a": {"dds": 3, "queue": 0},
        "/b": {"dds": 2, "queue": None},
        "/c": {"dds": None, "queue": 0},
    }
    assert lost(over)["/a"] == {"dds": None, "queue": 0}, "one goes over the end"
    assert lost(outside)["/a"] == {"dds": 0, "queue": 0}
    assert Episode.open(inside.path or Path()).streams["/a"]["written"] == 5


def test_a_crash_while_cutting_leaves_nothing_that_looks_like_an_episode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = long_episode(tmp_path)
    before = sorted(tmp_path.iterdir())
    left = tmp_path / STAGING / "half_made"
    left.mkdir(parents=True)
    (left / "metadata.yaml").write_text("rubbish")
    assert EpisodeStore(tmp_path).paths() == [source] and not EpisodeStore(tmp_path).unfinished()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EpisodeStore, "adopt", fail)
    with pytest.raises(BagError, match="No space left"):
        cut(source, [part(source, 2, 5)])
    assert [p for p in sorted(tmp_path.iterdir()) if p.name != ".locks"] == before


def test_a_link_in_the_place_of_the_staging_folder_is_not_followed(tmp_path: Path) -> None:
    source = long_episode(tmp_path / "root")
    (source.parent / STAGING).symlink_to(tmp_path / "gone")
    assert cut(source, [part(source, 2, 3)])[0].is_new
    assert not (source.parent / STAGING).is_symlink()


def test_only_one_cuts_into_a_root(source: Path) -> None:
    with (
        Cutter(Episode.open(source), EpisodeStore(source.parent)),
        pytest.raises(BagError, match="is being cut into by process"),
    ):
        cut(source, [])


def repeating(root: Path) -> Path:
    """Write an episode of two files, of which the later repeats /map: only the metadata says so."""
    path, files = root / "repeating", []
    qos = OfferedQos(durability="transient_local")
    for number in range(2):
        writer = McapWriter()
        writer.open(root / f"file_{number}", {})
        held = Channel(BagTopic("/map", "std_msgs/msg/Empty", (qos,)))
        other = Channel(BagTopic("/a", "std_msgs/msg/Empty", (OfferedQos(),)))
        begin_s = number * 5
        writer.add_topic(held)
        writer.add_topic(other)
        writer.write([Sample(held, b"\0\1\0\0", at(begin_s), T0)])
        writer.write([Sample(other, b"\0\1\0\0", at(begin_s + i / 2), 0) for i in range(10)])
        writer.close()
        path.mkdir(exist_ok=True)
        files.append(path / f"repeating_{number}.mcap")
        (root / f"file_{number}" / f"file_{number}_0.mcap").rename(files[-1])
        shutil.rmtree(root / f"file_{number}")
    metadata = describe(files, [McapIndex.open(file) for file in files])
    lost = {"dds": 0, "queue": 0}
    metadata["custom_data"] = {
        "episode_id": "repeating", "start_ns": str(T0), "stop_ns": str(at(10)),
        "repeated": json.dumps([{}, {"/map": 1}]),
        "streams": json.dumps({t: {"written": n, "lost": lost} for t, n in (("/map", 1), ("/a", 20))}),
    }  # fmt: skip
    write_metadata(path, metadata)
    return path


def test_what_only_the_metadata_says_is_repeated_is_not_counted_in_a_part(tmp_path: Path) -> None:
    source = repeating(tmp_path)
    for begin_s, maps in ((1, [at(1)]), (5, [at(5)])):
        (made,) = cut(source, [part(source, begin_s, 8)])
        episode = Episode.open(made.path or Path())
        found = [m.receive_ns for m in read_messages(episode.path) if m.topic == "/map"]
        assert found == maps and episode.streams["/map"]["written"] == 1
        assert not structure_problems(episode)
    assert "robot_recorder" not in episode.facts, "nothing says which version recorded it"


def test_one_that_is_there_is_told_with_its_own_labels(tmp_path: Path) -> None:
    source = long_episode(tmp_path)
    takes = takes_of(Episode.open(source))[0]
    path = cut(source, takes)[0].path or Path()
    EpisodeStore(tmp_path).amend(path, lambda _: label_facts([outcome(3, Outcome.FAILURE, "slip")]))
    assert cut(source, takes)[0].outcome == "failure: slip"


def test_a_part_of_a_part_keeps_where_both_are_from(tmp_path: Path) -> None:
    source = long_episode(tmp_path, provenance="[]")
    first = cut(source, [part(source, 2, 10)])[0].path or Path()
    second = cut(first, [part(first, 1, 3)])[0].path or Path()
    facts = Episode.open(second).facts
    told = json.loads(facts["cut_from"])
    assert told["episode_id"] == first.name and "provenance" not in {*told, *facts}
    assert (told["cut_from"]["episode_id"], told["cut_from"]["provenance"]) == (ID, "[]")


@pytest.mark.parametrize("more, stays", [({}, False), ({"unreadable_files": ["x_1.mcap"]}, True)])
def test_a_part_says_that_messages_may_be_missing_in_it(
    tmp_path: Path, more: dict[str, list[str]], stays: bool
) -> None:
    missing = json.dumps({"unreadable_bytes": 0, "unreadable_messages": 0, **more})
    source = long_episode(tmp_path, recovered="true", missing=missing)
    (made,) = cut(source, [part(source, 2, 5)])
    assert ("missing" in Episode.open(made.path or Path()).facts) == stays


def test_what_cannot_be_cut_is_told(tmp_path: Path) -> None:
    bag = small_robot(tmp_path / "bag", 1)
    (file,) = bag.glob("*.mcap")
    with pytest.raises(BagError, match="not a directory of MCAP files"):
        Cutter(Episode(file, Episode.open(bag).metadata), EpisodeStore(tmp_path))
    packed = Episode(bag, {**Episode.open(bag).metadata, "compression_mode": "MESSAGE"})
    with pytest.raises(BagError, match="ros2 bag convert"):
        Cutter(packed, EpisodeStore(tmp_path))


def test_a_take_that_cannot_be_checked_says_so_and_is_whole(tmp_path: Path) -> None:
    source = long_episode(tmp_path, *SHIFT, mark(TAKE, 14, 15), profile_yaml="robot: [")
    (made,) = cut(source, [part(source, 14, 15)], check=True)
    assert "not checked" in made.quality.sentence
    messages: list[BagMessage] = list(read_messages(made.path or Path()))
    assert len(messages) == 220
