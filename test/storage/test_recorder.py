"""The recorder without ROS: batches of samples in, episodes on disk out."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.samples import WRENCH, wrench, wrench_topic

from robot_recorder.core.errors import BagError
from robot_recorder.core.labels import LabelEvent, LabelKind, Outcome
from robot_recorder.core.streams import RobotProfile, Role, StreamConfig
from robot_recorder.core.topics import BagTopic, Channel, Sample
from robot_recorder.storage.episodes import TRASH, Episode, EpisodeStore, episode_id
from robot_recorder.storage.mcap_writer import McapWriter
from robot_recorder.storage.reader import read_messages
from robot_recorder.storage.recorder import Assignment, Recorder, RecorderState

STREAM = StreamConfig("wrench", "wrist/wrench", WRENCH, Role.OBSERVATION, 100)
LABELS = BagTopic("/labeller/labels", "robot_recorder/msg/Label")


class Bench:
    """A recorder with one stream and a clock of its own."""

    def __init__(self, root: Path, new_writer=McapWriter, queue: int = 10_000_000) -> None:
        self.channel = Channel(wrench_topic())
        self.recorder = Recorder(
            "arm", RobotProfile("arm", 30, 10**8, (STREAM,)), EpisodeStore(root), new_writer, queue,
            LABELS, "/synchronizer/frames", lambda e: b"\0\1\0\0" + e.task.encode(),
        )  # fmt: skip
        self.recorder.watch(self.channel, STREAM)
        self.now = time.time_ns()

    def feed(self, count: int, channel: Channel | None = None) -> list[bytes]:
        sent = []
        for _ in range(count):
            self.now += 10_000_000
            sent.append(wrench(self.now, frame_id=str(self.now)))
            self.recorder.on_batch([Sample(channel or self.channel, sent[-1], self.now, self.now)])
        return sent

    def start(self, task: str = "lift", force: bool = False):
        self.now += 1
        return self.recorder.start(Assignment(task, "Lift it.", "ann"), force, self.now)

    def stop(self):
        return self.recorder.stop(self.now, lambda _: True)


def recorded(path: Path, topic: str = "/wrist/wrench") -> list[bytes]:
    return [m.data for m in read_messages(path, {topic})]


def test_exactly_what_arrives_between_start_and_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(300)
    assert bench.start().ok
    sent = bench.feed(200)
    assert bench.recorder.run.path.suffix == ".partial"
    assert bench.stop().ok
    bench.feed(50)
    path = bench.recorder.run.path
    assert recorded(path) == sent
    episode = Episode.open(path)
    assert episode.id == path.name and path.parent == tmp_path
    assert episode.facts["robot"] == "arm" and episode.facts["operator"] == "ann"
    assert json.loads(episode.facts["streams"])["/wrist/wrench"] == {
        "written": 200,
        "dropped": 0,
        "missed": None,
    }
    assert episode.duration_s == pytest.approx(2.0)
    assert recorded(path, LABELS.name) == [b"\0\1\0\0lift"]
    assert not EpisodeStore(tmp_path).unfinished()


def test_samples_received_while_the_bag_is_opened_are_in_it(tmp_path: Path) -> None:
    """They come in a batch before the start is through, but were received after it was asked for."""
    sent: list[bytes] = []
    holder: list[Bench] = []

    class SlowToOpen(McapWriter):
        def open(self, directory: Path, custom_data: dict[str, str]) -> None:
            sent.extend(holder[0].feed(7))
            super().open(directory, custom_data)

    bench = Bench(tmp_path, SlowToOpen)
    holder.append(bench)
    bench.feed(300)
    assert bench.start().ok
    sent += bench.feed(3)
    bench.stop()
    assert recorded(bench.recorder.run.path) == sent


def test_refusals_change_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    verdict = bench.start()
    assert not verdict.ok and "never heard" in verdict.reason
    assert not bench.stop().ok
    assert not bench.recorder.discard().ok
    bench.feed(10)
    assert bench.start().ok
    second = bench.start()
    assert not second.ok and bench.recorder.run.id in second.reason
    assert bench.stop().ok
    assert len(EpisodeStore(tmp_path).paths()) == 1


def test_force_records_and_says_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.start(force=True).ok
    bench.stop()
    assert Episode.open(bench.recorder.run.path).facts["forced"] == "true"


def test_latched_messages_head_every_episode(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    latched = Channel(wrench_topic("/robot_description"), latched=True, publishers=1)
    bench.feed(3, latched)
    last = bench.feed(1, latched)
    bench.feed(300)
    for _ in range(2):
        assert bench.start().ok
        bench.feed(5)
        assert bench.stop().ok
        assert recorded(bench.recorder.run.path, "/robot_description") == last


def test_an_unwritable_root_is_refused(tmp_path: Path) -> None:
    bench = Bench(Path("/proc/nowhere"))
    bench.feed(10)
    verdict = bench.start()
    assert not verdict.ok and "/proc/nowhere" in verdict.reason
    assert bench.recorder.state is RecorderState.IDLE


def test_a_failing_disk_ends_in_an_honest_stop(tmp_path: Path) -> None:
    class Failing(McapWriter):
        written = 0

        def write(self, *args) -> None:
            Failing.written += 1
            if Failing.written > 20:
                raise BagError("writing failed: No space left on device")
            super().write(*args)

    bench = Bench(tmp_path, Failing)
    bench.feed(10)
    assert bench.start().ok
    bench.feed(100)
    verdict = bench.stop()
    assert not verdict.ok and "No space left" in verdict.reason and ".partial" in verdict.reason
    counts = bench.recorder.run.counts
    assert counts.written["/wrist/wrench"] + counts.dropped["/wrist/wrench"] == 100
    assert counts.written.total() == 20
    assert not EpisodeStore(tmp_path).paths() and len(EpisodeStore(tmp_path).unfinished()) == 1
    assert bench.recorder.state is RecorderState.IDLE


def test_a_slow_disk_drops_counts_and_stays_bounded(tmp_path: Path) -> None:
    class Slow(McapWriter):
        def write(self, *args) -> None:
            time.sleep(0.002)
            super().write(*args)

    size = len(wrench(0, frame_id="1700000000000000000"))
    bench = Bench(tmp_path, Slow, queue=20 * size)
    bench.feed(10)
    bench.start()
    worst = 0
    for _ in range(400):
        bench.feed(1)
        worst = max(worst, bench.recorder.queued_bytes)
    assert bench.stop().ok
    assert worst <= 21 * size + 100
    counts = bench.recorder.run.counts
    assert counts.dropped["/wrist/wrench"] > 0
    assert counts.written["/wrist/wrench"] + counts.dropped["/wrist/wrench"] == 400
    episode = Episode.open(bench.recorder.run.path)
    assert episode.lost == (counts.dropped["/wrist/wrench"], False)
    assert len(recorded(episode.path)) == counts.written["/wrist/wrench"]


def test_labels_during_after_and_long_after(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    first = bench.recorder.run.id

    def outcome(id: str, what: Outcome, previous: str):
        event = LabelEvent(
            bench.now, id, LabelKind.OUTCOME, by="eve", outcome=what, previous=previous
        )
        return bench.recorder.label(event)

    assert outcome(first, Outcome.SUCCESS, "unlabelled").ok
    bench.stop()
    assert Episode.open(tmp_path / first).labels.outcome is Outcome.SUCCESS
    assert outcome(first, Outcome.FAILURE, "success").ok
    bench.now += 10**9
    bench.feed(5)
    bench.start()
    assert outcome(first, Outcome.SUCCESS, "failure").ok
    bench.stop()
    episode = Episode.open(tmp_path / first)
    assert [e.outcome for e in episode.events[1:]] == [
        Outcome.SUCCESS,
        Outcome.FAILURE,
        Outcome.SUCCESS,
    ]
    assert episode.facts["outcome"] == "success"
    assert Episode.open(bench.recorder.run.path).labels.outcome is Outcome.UNLABELLED
    missing = outcome("arm_20000101T000000_000_lift", Outcome.SUCCESS, "")
    assert not missing.ok and "no episode" in missing.reason


def test_discard_moves_and_deletes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    bench.feed(10)
    bench.stop()
    id = bench.recorder.run.id
    assert bench.recorder.discard().ok
    assert not EpisodeStore(tmp_path).paths()
    assert len(recorded(tmp_path / TRASH / id)) == 10
    assert not bench.recorder.discard().ok
    assert not bench.recorder.discard_finished("../escape").ok


def test_ids_sort_by_time_and_never_collide(tmp_path: Path) -> None:
    assert episode_id("g1", "lift", 1_700_000_000_123_456_789) == "g1_20231114T221320_123_lift"
    store = EpisodeStore(tmp_path)
    for expected in ("a.partial", "a-2.partial", "a-3.partial"):
        path = store.new_partial("a")
        assert path.name == expected
        path.mkdir()


def test_any_error_of_the_writer_is_told_and_counted(tmp_path: Path) -> None:
    class Buggy(McapWriter):
        def sync(self) -> None:
            raise TypeError("no such method")

    bench = Bench(tmp_path, Buggy)
    bench.feed(10)
    assert bench.start().ok
    end = time.monotonic() + 10
    sent = 0
    while bench.recorder.error is None and time.monotonic() < end:
        sent += len(bench.feed(10))
        time.sleep(0.01)
    sent += len(bench.feed(10))
    verdict = bench.stop()
    assert not verdict.ok and "no such method" in verdict.reason
    counts = bench.recorder.run.counts
    assert counts.dropped["/wrist/wrench"] >= 10
    assert counts.written["/wrist/wrench"] + counts.dropped["/wrist/wrench"] == sent


def test_a_disk_that_is_too_slow_is_synced_all_the_same(tmp_path: Path) -> None:
    synced: list[float] = []

    class Slow(McapWriter):
        def write(self, *args) -> None:
            time.sleep(0.002)
            super().write(*args)

        def sync(self) -> None:
            synced.append(time.monotonic())
            super().sync()

    bench = Bench(tmp_path, Slow)
    bench.feed(10)
    bench.start()
    began = time.monotonic()
    while time.monotonic() < began + 6:
        bench.feed(10)
        time.sleep(0.01)
    bench.stop()
    assert synced, "never empty, never synced"


def test_a_slow_open_loses_nothing(tmp_path: Path) -> None:
    sent: list[bytes] = []
    holder: list[Bench] = []

    class SlowToOpen(McapWriter):
        def open(self, directory: Path, custom_data: dict[str, str]) -> None:
            sent.extend(holder[0].feed(300))  # three seconds on the robot's clock
            super().open(directory, custom_data)

    bench = Bench(tmp_path, SlowToOpen)
    holder.append(bench)
    bench.feed(100)
    assert bench.start().ok
    bench.stop()
    assert recorded(bench.recorder.run.path) == sent


def test_latched_messages_of_several_publishers(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    channel = Channel(wrench_topic("/tf_static"), latched=True, publishers=2)

    def publish(publisher: bytes, word: str) -> bytes:
        bench.now += 1
        data = wrench(bench.now, frame_id=word)
        sample = Sample(channel, data, bench.now, bench.now, publisher)
        bench.recorder.on_batch([sample])
        return data

    publish(b"A", "a1")
    b1 = publish(b"B", "b1")
    publish(b"A", "a2")
    a3 = publish(b"A", "a3")
    bench.feed(100)
    assert bench.start().ok
    bench.stop()
    assert recorded(bench.recorder.run.path, "/tf_static") == [b1, a3]


def test_a_label_of_a_discarded_episode_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    bench.stop()
    id = bench.recorder.run.id
    bench.recorder.discard()
    event = LabelEvent(bench.now, id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    verdict = bench.recorder.label(event)
    assert not verdict.ok and "trash" in verdict.reason
    assert bench.recorder.run.labels.outcome is Outcome.UNLABELLED
