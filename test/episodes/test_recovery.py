"""Recovery after a crash, a power cut or a bad disk: leftovers become episodes or go to quarantine."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from rosbags.rosbag2 import Reader
from support.leftovers import (
    EVENTS,
    ID,
    PER_ROUND,
    ROUNDS,
    TOPICS,
    data_file,
    read_by_others,
    record,
)
from support.samples import T0, wrench, wrench_topic

from robot_recorder.bags import mcap_records as mcap
from robot_recorder.bags import read_back
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.metadata import channel_metadata, topic_metadata
from robot_recorder.bags.reader import read_messages
from robot_recorder.bags.splitting import FileLimits
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.episodes.recovery import RecordingLock, recover, recover_all
from robot_recorder.episodes.store import EpisodeStore, Note
from robot_recorder.model.labels import Outcome
from robot_recorder.model.qos import OfferedQos
from robot_recorder.offline.structure import structure_problems

FLIPS = int(os.environ.get("FAULTS", "60"))
FIXED = len(mcap.MAGIC) + len(mcap.header("ros2", "robot_recorder"))


@pytest.fixture(scope="module")
def leftover(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[bytes]]]:
    return record(tmp_path_factory.mktemp("leftover"))


def copied(leftover: tuple[Path, dict[str, list[bytes]]], root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    return Path(shutil.copytree(leftover[0], root / leftover[0].name))


def kept(path: Path) -> dict[str, list[bytes]]:
    """Return the bag's messages; the mcap library must read as many."""
    messages: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
    for message in read_messages(path):
        messages[message.topic].append(message.data)
    with open(data_file(path), "rb") as file:
        by_mcap = [m.data for *_, m in make_reader(file, validate_crcs=True).iter_messages()]
    assert len(by_mcap) == sum(map(len, messages.values()))
    return messages


def test_a_killed_recorder_loses_nothing_that_was_synced(leftover, tmp_path: Path) -> None:
    partial = copied(leftover, tmp_path / "root")
    result = recover(EpisodeStore(partial.parent), partial)
    assert result.ok and result.messages == ROUNDS * PER_ROUND
    assert kept(result.path) == leftover[1]
    episode = Episode.open(result.path)
    assert episode.path.name == ID and episode.is_recovered
    assert episode.labels.outcome is Outcome.FAILURE and episode.labels.cause == "slip"
    assert episode.facts["robot"] == "arm" and episode.start_ns == T0
    assert episode.metadata["message_count"] == ROUNDS * PER_ROUND
    assert episode.lost[1] is False, "losses at the end are reported as unknown"
    qos = episode.metadata["topics_with_message_count"][0]["topic_metadata"]["offered_qos_profiles"]
    assert qos[0]["reliability"] == "reliable"
    assert not EpisodeStore(partial.parent).unfinished()
    assert [p for p in structure_problems(Episode.open(result.path)) if "recovered" not in p] == []
    assert sorted(p.name for p in result.path.iterdir()) == [f"{ID}_0.mcap", "metadata.yaml"]


def test_a_bag_that_was_closed_but_not_renamed_is_recovered(tmp_path: Path) -> None:
    partial, sent = record(tmp_path, close=True)
    result = recover(EpisodeStore(tmp_path), partial)
    assert result.ok and kept(result.path) == sent


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1))
def test_a_file_cut_anywhere_keeps_every_whole_message_before_the_cut(
    leftover, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    """A power cut leaves such files."""
    root = tmp_path_factory.getbasetemp() / "cut"
    partial = copied(leftover, root)
    path = data_file(partial)
    size = int(path.stat().st_size * share)
    whole = count_before(path, size)
    with open(path, "r+b") as file:
        file.truncate(size)
    result = recover(EpisodeStore(root), partial)
    if not result.ok:
        assert whole == 0 and (result.path / "reason.txt").is_file()
        assert data_file(result.path).stat().st_size == size, "moved unchanged"
        return
    messages = kept(result.path)
    assert sum(map(len, messages.values())) == whole
    for topic, sent in leftover[1].items():
        assert messages[topic] == sent[: len(messages[topic])]
    assert scan(data_file(result.path)).sound


def count_before(path: Path, size: int) -> int:
    """Count the message records before a place in the file, independently of our reader."""
    data, count = path.read_bytes(), 0
    at = FIXED
    while at + 9 <= len(data):
        op, length = mcap.HEAD.unpack_from(data, at)
        if op == mcap.Op.CHUNK:
            head = mcap.read_chunk_head(data[at + 9 : at + 9 + length])
            inner = at + 9 + head.records_at
            while inner < at + 9 + length:
                inner_op, inner_length = mcap.HEAD.unpack_from(data, inner)
                inner += 9 + inner_length
                count += inner_op == mcap.Op.MESSAGE and inner <= size
        at += 9 + length
    return count


def test_a_flipped_bit_loses_at_most_its_chunk_and_the_loss_is_counted(
    leftover, tmp_path: Path
) -> None:
    random_ = random.Random(1)
    size = data_file(leftover[0]).stat().st_size
    total = ROUNDS * PER_ROUND
    for number in range(FLIPS):
        partial = copied(leftover, tmp_path / "flip")
        path, at = data_file(partial), random_.randrange(size)
        with open(path, "r+b") as file:
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << random_.randrange(8))]))
        result = recover(EpisodeStore(partial.parent), partial)
        assert result.ok, f"flip {number} at {at}: {result.message}"
        messages = kept(result.path)
        lost = total - sum(map(len, messages.values()))
        assert lost in (0, PER_ROUND), f"flip {number} at {at}"
        for topic, sent in leftover[1].items():
            assert set(messages[topic]) <= set(sent), "no changed message is kept"
        episode = Episode.open(result.path)
        missing = json.loads(episode.facts["missing"])
        counted = sum(s["lost"]["writer"] for s in episode.streams.values())
        # Messages missing after the last one cannot be counted; all before it are.
        assert counted == lost or (counted == 0 and missing["unreadable_bytes"] > 0)


def test_unrepairable_directories_go_to_quarantine_with_the_reason(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    (tmp_path / "empty.partial").mkdir()
    rubbish = tmp_path / "rubbish.partial"
    rubbish.mkdir()
    (rubbish / "rubbish_0.mcap").write_bytes(random.Random(2).randbytes(100_000))
    results = {r.path.name: r for r in recover_all(store)}
    assert not any(r.ok for r in results.values()) and not store.unfinished()
    assert "no data file" in (tmp_path / ".quarantine/empty.partial/reason.txt").read_text()
    put_away = tmp_path / ".quarantine/rubbish.partial"
    assert "no message" in (put_away / "reason.txt").read_text()
    assert (put_away / "rubbish_0.mcap").stat().st_size == 100_000
    assert store.quarantined() == sorted(r.path for r in results.values())


def test_a_running_recording_is_left_alone(leftover, tmp_path: Path) -> None:
    partial = copied(leftover, tmp_path / "root")
    lock = RecordingLock(partial)
    assert recover_all(EpisodeStore(partial.parent)) == [] and partial.is_dir()
    lock.release()
    assert len(recover_all(EpisodeStore(partial.parent))) == 1


def test_a_bag_of_rosbag2s_own_writer_is_recovered(tmp_path: Path) -> None:
    """After a crash, rosbag2_py leaves chunks without checksum and no note."""
    from mcap.writer import CompressionType, Writer

    partial = tmp_path / "g1_x.partial"
    partial.mkdir()
    path = partial / "g1_x.partial_0.mcap"
    with open(path, "wb") as file:
        writer = Writer(
            file, chunk_size=20_000, compression=CompressionType.ZSTD, enable_crcs=False
        )
        writer.start("ros2", "libmcap 1.4.0")
        schema = writer.register_schema("geometry_msgs/msg/WrenchStamped", "ros2msg", b"x")
        channel = writer.register_channel("/a", "cdr", schema, {"offered_qos_profiles": ""})
        for number in range(1000):
            writer.add_message(channel, T0 + number, wrench(number), T0, 777)
        writer.flush()
        size = file.tell()
    with open(path, "r+b") as file:
        file.truncate(size - 10)
    result = recover(EpisodeStore(tmp_path), partial)
    assert result.ok and 900 < result.messages <= 1000
    assert len(list(read_messages(result.path))) == result.messages


def test_a_recovered_bag_of_rosbag2_is_read_completely_by_other_readers(tmp_path: Path) -> None:
    """rosbag2 stores the depth of its subscription in the channel; the note has the offered one."""
    from mcap.writer import CompressionType, Writer

    partial = tmp_path / f"{ID}.partial"
    partial.mkdir()
    topic = {**topic_metadata(wrench_topic("/a")), "definition": "x"}
    EpisodeStore(tmp_path).write_note(partial, Note({"episode_id": ID}, [topic]))
    stored = channel_metadata({**topic, "offered_qos_profiles": [OfferedQos(depth=10).to_dict()]})
    with open(partial / f"{partial.name}_0.mcap", "wb") as file:
        writer = Writer(file, chunk_size=20_000, compression=CompressionType.NONE)
        writer.start("ros2", "libmcap 1.4.0")
        schema = writer.register_schema("geometry_msgs/msg/WrenchStamped", "ros2msg", b"x")
        for name in ("/a", "/a", "/b"):  # two publishers of one topic, of different QoS
            channel = writer.register_channel(name, "cdr", schema, stored)
            stored = channel_metadata(topic)
            for number in range(300):
                writer.add_message(channel, T0 + number, wrench(number), T0, number)
        writer.flush()
    result = recover(EpisodeStore(tmp_path), partial)
    assert result.ok and result.messages == 900, result.message
    assert "read back by rosbags" in result.message
    assert read_by_others(result.path) == [900, 900]
    assert Episode.open(result.path).metadata["message_count"] == 900
    assert sum(1 for _ in read_messages(result.path)) == 900


def test_the_leftover_of_a_killed_rosbag2_py_is_recovered(tmp_path: Path) -> None:
    case = Path(__file__).parents[3] / "shared" / "cases" / "rosbag2_leftover"
    if not case.is_dir():
        pytest.skip("rosbag2_leftover, a file from a run with rosbag2_py, is missing")
    root = Path(shutil.copytree(case, tmp_path / "root"))
    for path in (root, *root.rglob("*")):
        path.chmod(0o755)
    (result,) = recover_all(EpisodeStore(root))
    assert result.ok and result.messages == 1104, result.message
    assert read_by_others(result.path) == [1104, 1104]
    assert [p for p in structure_problems(Episode.open(result.path)) if "recovered" not in p] == []


def test_a_repair_that_another_reader_does_not_confirm_goes_to_quarantine(
    leftover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = copied(leftover, tmp_path / "root")
    monkeypatch.setattr(read_back, "_READERS", {"rosbags": lambda path: {"/a": 7}})
    result = recover(EpisodeStore(partial.parent), partial)
    assert not result.ok and "rosbags reads 7 of 800 messages of /a" in result.message
    assert data_file(result.path).is_file() and ".quarantine" in str(result.path)


def test_a_bad_leftover_does_not_stop_the_recovery_of_the_others(leftover, tmp_path: Path) -> None:
    """Records with wrong lengths, an invalid note, a missing schema."""
    root = tmp_path / "root"
    good = copied(leftover, root)
    size = data_file(good).stat().st_size
    for number, damage in enumerate(
        (
            mcap.record(mcap.Op.MESSAGE, b"short"),
            mcap.record(mcap.Op.CHANNEL, b"\xff" * 40),
            mcap.record(mcap.Op.SCHEMA, b""),
        )
    ):
        bad = Path(shutil.copytree(good, root / f"a{number}.partial"))
        head = mcap.chunk({1: bytearray(mcap.ENTRY.pack(1, 0))}, damage + bytes(1000), size)[1]
        with open(data_file(bad), "ab") as file:
            file.write(head + damage)
        (bad / "recording.json").write_text('{"facts": {}, "topics": [{"name": "/a"}]}')
    nameless = Path(shutil.copytree(good, root / "b.partial"))
    (nameless / "recording.json").unlink()
    with open(data_file(nameless), "r+b") as file:
        file.seek(FIXED + 60)
        file.write(bytes(20))  # the chunk that has the only schemas
    results = {r.path.name: r for r in recover_all(EpisodeStore(root))}
    assert len(results) == 5 and not EpisodeStore(root).unfinished()
    assert not results["b.partial"].ok and "no name" in results["b.partial"].message
    assert all(r.messages == ROUNDS * PER_ROUND for name, r in results.items() if r.ok)
    assert sum(r.ok for r in results.values()) == 4
    notes = {
        name: json.loads(Episode.open(r.path).facts["missing"]).get("note", "")
        for name, r in results.items()
        if r.ok
    }
    assert {name for name, why in notes.items() if "cannot be read" in why} == {"a0", "a1", "a2"}


def test_recovery_keeps_the_facts_that_finalising_had_written(tmp_path: Path) -> None:
    """Killed between metadata and rename: those facts are more exact than recovered ones."""
    partial, sent = record(tmp_path, close=True)
    store = EpisodeStore(tmp_path)
    facts = {"stop_ns": str(T0 + 5), "sync": "{}", "streams": "{}", **label_facts(EVENTS)}
    path = store.finalise(partial, facts)
    path.rename(partial)
    result = recover(store, partial)
    episode = Episode.open(result.path)
    assert result.ok and kept(result.path) == sent and episode.is_recovered
    assert episode.facts["sync"] == "{}" and episode.facts["stop_ns"] == str(T0 + 5)
    assert episode.labels.cause == "slip"


# -- several files


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[bytes]]]:
    """Four files of two synced chunks each, the last unfinished."""
    limits = FileLimits(max_ns=2 * PER_ROUND * 1_000_000)
    partial, sent = record(tmp_path_factory.mktemp("split"), limits=limits)
    assert len(data_files(partial)) == 4
    return partial, sent


def data_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.mcap"))


def per_topic(path: Path) -> dict[str, list[bytes]]:
    messages: dict[str, list[bytes]] = {topic: [] for topic in TOPICS}
    for message in read_messages(path):
        messages[message.topic].append(message.data)
    return messages


def test_an_episode_of_several_files_is_recovered_with_all_that_was_synced(
    split, tmp_path: Path
) -> None:
    partial = copied(split, tmp_path / "root")
    result = recover(EpisodeStore(partial.parent), partial)
    assert result.ok and result.messages == ROUNDS * PER_ROUND, result.message
    assert "read back by rosbags" in result.message
    assert per_topic(result.path) == split[1]
    episode = Episode.open(result.path)
    assert [f["path"] for f in episode.metadata["files"]] == [f"{ID}_{n}.mcap" for n in range(4)]
    assert {t: s["written"] for t, s in episode.streams.items()} == {t: 800 for t in TOPICS}
    assert json.loads(episode.facts["repeated"]) == [{}, {"/c": 1}, {"/c": 1}, {"/c": 1}]
    assert episode.counts == {t: 800 for t in TOPICS}
    with Reader(result.path) as reader:
        assert sum(1 for _ in reader.messages()) == ROUNDS * PER_ROUND + 3
    assert [p for p in structure_problems(episode) if "recovered" not in p] == []


@settings(max_examples=12, deadline=None)
@given(files=st.integers(1, 4), share=st.floats(0, 1), finished=st.booleans())
def test_a_kill_at_any_point_keeps_every_whole_message_of_every_file(
    split,
    tmp_path_factory: pytest.TempPathFactory,
    files: int,
    share: float,
    finished: bool,
) -> None:
    """The last file is torn; the one before may not have got its index yet."""
    root = tmp_path_factory.getbasetemp() / "kill"
    partial = copied(split, root)
    every = data_files(partial)
    for later in every[files:]:
        later.unlink()
    torn = every[files - 1]
    size = int(torn.stat().st_size * share)
    whole = max(count_before(torn, size) - (files > 1), 0)  # without the repeated message
    with open(torn, "r+b") as file:
        file.truncate(size)
    if not finished and files > 1:
        before = every[files - 2]
        with open(before, "r+b") as file:
            file.truncate(scan(before).end)
    expected = (files - 1) * 2 * PER_ROUND + whole
    result = recover(EpisodeStore(root), partial)
    assert result.ok == bool(expected), result.message
    if not expected:
        return
    assert result.messages == expected
    for topic, data in per_topic(result.path).items():
        assert data == split[1][topic][: len(data)]
    assert [p for p in structure_problems(Episode.open(result.path)) if "recovered" not in p] == []


def test_a_file_that_cannot_be_repaired_is_put_aside_and_the_others_kept(
    split, tmp_path: Path
) -> None:
    partial = copied(split, tmp_path / "root")
    bad = data_files(partial)[1]
    bad.write_bytes(random.Random(3).randbytes(bad.stat().st_size))
    result = recover(EpisodeStore(partial.parent), partial)
    assert result.ok and result.messages == 6 * PER_ROUND, result.message
    episode = Episode.open(result.path)
    assert json.loads(episode.facts["missing"])["unreadable_files"] == [bad.name]
    assert (result.path / f"{bad.name}.unreadable").is_file(), "it is not thrown away"
    assert len(per_topic(result.path)["/a"]) == 600
    assert [f["path"] for f in episode.metadata["files"]] == [f"{ID}_{n}.mcap" for n in (0, 2, 3)]


def test_a_crash_between_two_renames_of_finalising_is_recovered(tmp_path: Path) -> None:
    partial, sent = record(tmp_path, close=True, limits=FileLimits(max_ns=150_000_000))
    for number in range(3):  # of more than ten files: the order is by number
        (partial / f"{partial.name}_{number}.mcap").rename(partial / f"{ID}_{number}.mcap")
    result = recover(EpisodeStore(tmp_path), partial)
    assert result.ok and per_topic(result.path) == sent, result.message
    names = Episode.open(result.path).metadata["relative_file_paths"]
    assert names == [f"{ID}_{number}.mcap" for number in range(16)]


def test_a_file_of_another_bag_among_them_is_not_mixed_in(split, tmp_path: Path) -> None:
    partial = copied(split, tmp_path / "root")
    shutil.copy(data_files(partial)[0], partial / "copy.mcap")
    result = recover(EpisodeStore(partial.parent), partial)
    assert not result.ok and "copy.mcap is not one of its data files" in result.message
