"""The recorder without ROS: it turns batches of samples into episodes on disk."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from support.bench import MS, PROFILE, STREAM, Bench, recorded, until
from support.samples import wrench, wrench_topic

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.episodes.episode import Episode, episode_id
from robot_recorder.episodes.trash import TRASH
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, load_events
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.report import Verdict
from robot_recorder.recorder.disk_space import DiskLimits
from robot_recorder.recorder.live_audit import LiveAudit
from robot_recorder.recorder.recorder import RecorderState
from robot_recorder.recorder.recording import StopReason


def test_an_episode_has_exactly_the_samples_between_start_and_stop(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(300)
    assert bench.start().ok
    sent = bench.feed(200)
    assert bench.last.path.suffix == ".partial"
    assert bench.stop().ok
    bench.feed(50)
    path = bench.last.path
    assert recorded(path) == sent
    episode = Episode.open(path)
    assert episode.id == path.name and path.parent == tmp_path
    assert episode.facts["robot"] == "arm" and episode.facts["operator"] == "ann"
    lost = {"dds": None, "ring": 0, "queue": 0, "writer": 0}
    assert episode.streams["/wrist/wrench"] == {"written": 200, "lost": lost}
    assert recorded(path, "/labeller/labels") == [b"\0\1\0\0lift"]
    assert not open_store(tmp_path).unfinished()


def test_samples_received_while_the_bag_is_opened_are_in_it(tmp_path: Path) -> None:
    """Their batch arrives before the start is done, but they were received after the request."""
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
    assert recorded(bench.last.path) == sent


def test_refused_commands_change_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = bench.start()
    assert not answer.ok and "wrench is missing" in answer.reason
    assert not bench.stop().ok
    assert not bench.recorder.discard().ok
    bench.feed(10)
    assert bench.start().ok
    second = bench.start()
    assert not second.ok and bench.last.id in second.reason
    assert bench.stop().ok
    assert len(open_store(tmp_path).paths()) == 1


def test_a_forced_start_is_noted_in_the_episode(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.start(force=True).ok
    bench.stop()
    assert Episode.open(bench.last.path).facts["forced"] == "true"


def test_every_episode_begins_with_the_latched_messages(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    latched = Channel(wrench_topic("/robot_description"), latched=True, publishers=1)
    bench.feed(3, latched)
    last = bench.feed(1, latched)
    bench.feed(300)
    for _ in range(2):
        assert bench.start().ok
        bench.feed(5)
        assert bench.stop().ok
        assert recorded(bench.last.path, "/robot_description") == last


def test_an_unwritable_root_is_refused(tmp_path: Path) -> None:
    bench = Bench(Path("/proc/nowhere"))
    bench.feed(10)
    answer = bench.start()
    assert not answer.ok and "/proc/nowhere" in answer.reason
    assert bench.recorder.state is RecorderState.IDLE


def test_a_failing_disk_aborts_the_episode_and_the_losses_are_counted(tmp_path: Path) -> None:
    class Failing(McapWriter):
        written = 0

        def write(self, samples) -> None:
            Failing.written += len(samples)
            if Failing.written > 20:
                raise BagError("writing failed: No space left on device")
            super().write(samples)
            super().sync()

    bench = Bench(tmp_path, Failing)
    bench.feed(10)
    assert bench.start().ok
    bench.feed(10)
    until(lambda: bench.last.counts().get("/wrist/wrench") == 10)
    for _ in range(9):
        bench.feed(10)
        time.sleep(0.005)
    until(lambda: bench.recorder.must_stop()[0] is StopReason.WRITE_ERROR)
    answer = bench.stop()
    assert not answer.ok and "aborted" in answer.reason and "No space left" in answer.reason
    assert str(tmp_path / bench.last.id) in answer.reason
    episode = Episode.open(tmp_path / bench.last.id)
    assert episode.facts["aborted"] == "true" and "No space left" in episode.facts["error"]
    assert episode.facts["stop_reason"] == "write_error"
    figures = episode.streams["/wrist/wrench"]
    assert 0 < figures["written"] < 20
    assert figures["written"] + figures["lost"]["writer"] == 100
    assert len(recorded(episode.path)) == figures["written"]
    assert bench.recorder.state is RecorderState.IDLE
    Failing.written = -1000
    bench.feed(5)
    assert bench.start().ok and bench.stop().ok, "the next one works"


def test_on_a_slow_disk_messages_are_dropped_and_counted_and_memory_is_bounded(
    tmp_path: Path,
) -> None:
    class Slow(McapWriter):
        def write(self, samples) -> None:
            time.sleep(0.002 * len(samples))
            super().write(samples)

    size = len(wrench(0, frame_id="1700000000000000000"))
    bench = Bench(tmp_path, Slow, max_queue_bytes=20 * size)
    bench.feed(10)
    bench.start()
    worst = 0
    for _ in range(400):
        bench.feed(1)
        worst = max(worst, bench.last.queued_bytes)
    assert bench.stop().ok
    assert worst <= 21 * size + 100
    episode = Episode.open(bench.last.path)
    figures = episode.streams["/wrist/wrench"]
    assert figures["lost"]["queue"] > 0
    assert figures["written"] + figures["lost"]["queue"] == 400
    assert episode.lost == (figures["lost"]["queue"], False)
    assert len(recorded(episode.path)) == figures["written"]
    # the losses are also recorded in the bag
    reports = [m.data.decode().split() for m in read_messages(episode.path, {"/recorder/dropouts"})]
    assert all(r[:2] == ["/wrist/wrench", "queue"] for r in reports)
    assert sum(int(r[2]) for r in reports) == figures["lost"]["queue"]


def test_a_running_the_last_and_an_older_episode_can_be_labelled(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    first = bench.last.id

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
    assert bench.start(force=True).ok
    assert outcome(first, Outcome.SUCCESS, "failure").ok
    bench.stop()
    episode = Episode.open(tmp_path / first)
    assert [e.outcome for e in episode.events[1:]] == [
        Outcome.SUCCESS,
        Outcome.FAILURE,
        Outcome.SUCCESS,
    ]
    assert episode.facts["outcome"] == "success"
    assert Episode.open(bench.last.path).labels.outcome is Outcome.UNLABELLED
    missing = outcome("arm_20000101T000000_000_lift", Outcome.SUCCESS, "")
    assert not missing.ok and "no episode" in missing.reason


def test_labels_of_other_processes_are_kept_and_known_to_the_recorder(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    id = bench.last.id

    def outcome(cause: str) -> LabelEvent:
        return LabelEvent(
            bench.now, id, LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause=cause, previous="?"
        )

    assert bench.recorder.label(outcome("a")).ok
    assert bench.recorder.label(outcome("b")).ok
    noted = bench.recorder.store.read_note(bench.last.path).facts
    assert [e.previous for e in load_events(noted["labels"])[1:]] == ["unlabelled", "failure: a"]
    bench.stop()
    others = [
        threading.Thread(target=open_store(tmp_path).append_label, args=(outcome(f"other_{n}"),))
        for n in range(5)
    ]
    for number, other in enumerate(others):
        other.start()
        assert bench.recorder.label(outcome(f"own_{number}")).ok
    for other in others:
        other.join()
    assert bench.recorder.label(outcome("last")).ok
    log = Episode.open(tmp_path / id).events
    assert bench.last.events == log and bench.last.labels.cause == "last"
    causes = [e.cause for e in log[1:]]
    assert sorted(causes[2:-1]) == [
        *(f"other_{n}" for n in range(5)),
        *(f"own_{n}" for n in range(5)),
    ]
    assert [e.previous for e in log[2:]] == [f"failure: {cause}" for cause in causes[:-1]]


def test_discarding_moves_the_episode_and_deletes_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    bench.feed(10)
    bench.stop()
    id = bench.last.id
    assert bench.recorder.discard().ok
    assert not open_store(tmp_path).paths()
    assert len(recorded(tmp_path / TRASH / id)) == 10
    assert not bench.recorder.discard().ok
    assert not bench.recorder.discard("../escape").ok
    # and back
    restored = bench.recorder.restore()
    assert restored.ok and restored.value == tmp_path / id
    assert [p.name for p in open_store(tmp_path).paths()] == [id]
    assert not bench.recorder.restore(id).ok


def test_ids_sort_by_time_and_never_collide(tmp_path: Path) -> None:
    assert episode_id("g1", "lift", 1_700_000_000_123_456_789) == "g1_20231114T221320_123_lift"
    store = open_store(tmp_path)
    for expected in ("a.partial", "a-2.partial", "a-3.partial"):
        path = store.new_partial("a")
        assert path.name == expected
        path.mkdir()


def test_any_error_of_the_writer_is_reported_and_its_losses_are_counted(tmp_path: Path) -> None:
    class Buggy(McapWriter):
        def sync(self) -> None:
            raise TypeError("no such method")

    bench = Bench(tmp_path, Buggy)
    bench.feed(10)
    assert bench.start().ok
    end = time.monotonic() + 10
    sent = 0
    while bench.last.problem is None and time.monotonic() < end:
        sent += len(bench.feed(10))
        time.sleep(0.01)
    sent += len(bench.feed(10))
    answer = bench.stop()
    assert not answer.ok and "no such method" in answer.reason
    # nothing had reached the file: it goes to quarantine
    (kept,) = open_store(tmp_path).quarantined()
    assert "no message" in (kept / "reason.txt").read_text() and bench.last.path == kept
    assert bench.last.losses.count("/wrist/wrench", Place.WRITER) == sent


def test_a_disk_that_is_too_slow_is_still_synced(tmp_path: Path) -> None:
    synced: list[float] = []

    class Slow(McapWriter):
        def write(self, samples) -> None:
            time.sleep(0.002 * len(samples))
            super().write(samples)

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
    assert synced, "a queue that is never empty must not prevent syncing"


def test_opening_a_bag_slowly_loses_nothing(tmp_path: Path) -> None:
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
    assert recorded(bench.last.path) == sent


def test_the_last_latched_message_of_every_publisher_is_recorded(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    channel = Channel(wrench_topic("/tf_static"), latched=True, publishers=2)

    def publish(publisher: bytes, word: str) -> bytes:
        bench.now += 1
        data = wrench(bench.now, frame_id=word)
        sample = Sample(channel, data, bench.now, bench.now, publisher)
        bench.recorder.on_batch(Batch([sample]))
        return data

    publish(b"A", "a1")
    b1 = publish(b"B", "b1")
    publish(b"A", "a2")
    a3 = publish(b"A", "a3")
    bench.feed(100)
    assert bench.start().ok
    bench.stop()
    assert recorded(bench.last.path, "/tf_static") == [b1, a3]


def test_a_label_for_a_discarded_episode_is_rejected(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    bench.start()
    bench.stop()
    id = bench.last.id
    bench.recorder.discard()
    event = LabelEvent(bench.now, id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    answer = bench.recorder.label(event)
    assert not answer.ok and "trash" in answer.reason
    assert bench.last.labels.outcome is Outcome.UNLABELLED


@pytest.mark.announced("no such sensor")
@pytest.mark.parametrize(
    "breaks",
    [
        (Inspector, "__init__"),
        (Inspector, "report"),
        (LiveAudit, "certificate"),
        (LiveAudit, "add"),
    ],
    ids=lambda where: f"{where[0].__name__}.{where[1]}",
)
def test_an_episode_that_cannot_be_checked_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, breaks: tuple[type, str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("no such sensor")

    monkeypatch.setattr(*breaks, broken)
    bench = Bench(tmp_path)
    bench.feed(10)
    assert bench.start().ok
    sent = bench.feed(10)
    assert bench.recorder.stop_and_finalise(bench.now, lambda: True).ok
    episode = Episode.open(bench.last.path)
    assert recorded(episode.path) == sent
    for quality in (bench.last.quality, episode.quality):
        assert quality.verdict is Verdict.UNKNOWN
        assert quality.sentence == "not checked: KeyError: 'no such sensor'"


# -- pre-roll


def test_an_episode_begins_with_the_pre_roll(tmp_path: Path) -> None:
    bench = Bench(tmp_path, pre_roll_s=2.0)
    before = bench.feed(500)
    assert bench.start(pre_roll_s=-1).ok
    start_ns = bench.now
    during = bench.feed(10)
    assert bench.stop().ok
    got = recorded(bench.last.path)
    assert got[-10:] == during and got[:-10] == before[-len(got) + 10 :]
    assert 199 <= len(got) - 10 <= 201
    episode = Episode.open(bench.last.path)
    assert episode.facts["pre_roll_s"] == "2" and episode.start_ns == start_ns
    stamps = [m.receive_ns for m in read_messages(episode.path)]
    assert stamps == sorted(stamps)


def test_consecutive_episodes_overlap_by_the_pre_roll_and_lose_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, pre_roll_s=0.5)
    sent = bench.feed(100)
    got: list[list[bytes]] = []
    for _ in range(5):
        assert bench.start(pre_roll_s=-1).ok
        sent += bench.feed(30)
        assert bench.stop().ok
        got.append(recorded(bench.last.path))
    for one, two in pairwise(got):
        overlap = one.index(two[0])
        assert one[overlap:] == two[: len(one) - overlap], "the overlap is the same in both"
    everything = sorted({d for g in got for d in g}, key=sent.index)
    assert everything == sent[sent.index(everything[0]) :]


def test_pre_roll_beyond_the_memory_limit_is_counted_as_lost(tmp_path: Path) -> None:
    size = len(wrench(0, frame_id="1700000000000000000"))
    bench = Bench(tmp_path, pre_roll_s=2.0, max_ring_bytes=50 * size)
    sent = bench.feed(500)
    assert bench.recorder.ring.bytes <= 50 * size
    assert bench.start(pre_roll_s=-1).ok
    sent += bench.feed(20)
    bench.stop()
    figures = Episode.open(bench.last.path).streams["/wrist/wrench"]
    assert figures["written"] == 70 and figures["lost"]["ring"] == 150
    assert recorded(bench.last.path) == sent[-70:]


def test_losses_in_dds_are_counted_in_the_episode_in_which_they_happened(tmp_path: Path) -> None:
    bench = Bench(tmp_path, pre_roll_s=0.1)
    bench.channel.numbered = True

    def lose(count: int) -> None:
        at = bench.now
        bench.now += 10 * MS
        sample = Sample(bench.channel, wrench(bench.now), bench.now, bench.now)
        loss = Dropout("/wrist/wrench", Place.DDS, count, at, bench.now)
        bench.recorder.on_batch(Batch([sample], [loss]))

    bench.feed(100)
    lose(5)
    bench.feed(50)
    lose(7)  # in the pre-roll
    bench.feed(2)
    assert bench.start(pre_roll_s=-1).ok
    bench.feed(10)
    lose(11)
    bench.feed(10)
    recording = bench.recorder.stop(bench.now, StopReason.REQUEST)
    assert recording is not None
    lose(13)  # lost before or after the stop: only the next message shows it
    bench.feed(10)
    lose(17)
    assert bench.recorder.finalise(recording, lambda: True).ok
    episode = Episode.open(bench.last.path)
    assert episode.streams["/wrist/wrench"]["lost"]["dds"] == 7 + 11 + 13
    assert episode.lost == (31, True)


# -- priorities, disk, length


def test_images_are_dropped_before_states_and_labels_are_never_dropped(tmp_path: Path) -> None:
    writing = threading.Event()

    class Stuck(McapWriter):
        def write(self, samples) -> None:
            writing.wait(20)
            super().write(samples)

    bench = Bench(tmp_path, Stuck, max_queue_bytes=1_000_000)
    camera = Channel(wrench_topic("/camera"))
    bench.feed(10)
    assert bench.start().ok
    for _ in range(100):
        bench.feed(1)
        bench.now += 1
        samples = [
            Sample(camera, bytes(50_000), bench.now, bench.now),
            Sample(bench.own.labels, b"label", bench.now, bench.now),
        ]
        bench.recorder.on_batch(Batch(samples))
    assert bench.last.queued_bytes < 1_000_000
    dropped = bench.last.losses
    assert (dropped.count("/camera", Place.QUEUE) or 0) > 50
    assert dropped.count("/wrist/wrench", Place.QUEUE) == 0
    writing.set()
    assert bench.stop().ok
    counts = bench.last.counts()
    assert counts["/camera"] + (dropped.count("/camera", Place.QUEUE) or 0) == 100
    assert counts["/labeller/labels"] == 101 and counts["/wrist/wrench"] == 100


def test_a_start_is_refused_if_the_disk_is_short(tmp_path: Path, monkeypatch) -> None:
    free = shutil.disk_usage(tmp_path).free
    bench = Bench(tmp_path, disk=DiskLimits(min_free_bytes=free // 2, max_episode_s=1e12))
    bench.feed(100)
    answer = bench.start()
    assert not answer.ok and "GB free" in answer.reason and "make room" in answer.reason
    assert bench.start(force=True).ok and bench.recorder.must_stop()[0] is None
    monkeypatch.setattr("robot_recorder.recorder.recorder.free_bytes", lambda _: free // 2)
    assert bench.recorder.must_stop()[0] is StopReason.DISK_FULL
    assert bench.recorder.episodes_left() == 0
    bench.stop()
    answer = bench.start(force=True)
    assert not answer.ok and "min_free_mb" in answer.reason, "force does not use the reserve"
    monkeypatch.undo()
    plenty = Bench(tmp_path, disk=DiskLimits(max_episode_s=1.0, min_free_bytes=0))
    assert plenty.recorder.episodes_left() == -1
    plenty.feed(100)
    assert plenty.recorder.episodes_left() > 1000


def test_messages_waiting_to_be_written_do_not_use_the_reserve(tmp_path: Path, monkeypatch) -> None:
    """The pre-roll at a start and the queue at the end are written in any case."""
    bench = Bench(tmp_path, disk=DiskLimits(min_free_bytes=10**9, max_episode_s=1.0))
    sent = bench.feed(150)
    room = 2 * sum(map(len, sent))  # enough for one second, but not for 1.4 s of pre-roll as well
    monkeypatch.setattr("robot_recorder.recorder.recorder.free_bytes", lambda _: 10**9 + room // 2)
    assert bench.start(force=True, pre_roll_s=0.0).ok
    bench.stop()
    refused = bench.start(force=True, pre_roll_s=1.4)
    assert not refused.ok and "waiting to be written" in refused.reason, refused


def test_an_episode_must_stop_at_its_maximum_length(tmp_path: Path) -> None:
    bench = Bench(tmp_path, disk=DiskLimits(max_episode_s=0.05, min_free_bytes=0))
    bench.feed(10)
    assert bench.start().ok
    assert bench.recorder.must_stop() == (None, "")
    time.sleep(0.06)
    assert bench.recorder.must_stop()[0] is StopReason.MAX_LENGTH
    bench.stop()


def test_moving_the_bag_away_while_recording_is_noticed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.feed(10)
    assert bench.start().ok
    bench.last.path.rename(tmp_path / "elsewhere")
    end = time.monotonic() + 10
    while bench.last.problem is None and time.monotonic() < end:
        bench.feed(10)
        time.sleep(0.02)
    answer = bench.stop()
    assert not answer.ok and "No such file" in answer.reason


# -- starting while the last one is being finalised


def test_the_next_episode_starts_while_one_is_finalised(tmp_path: Path) -> None:
    finalising = threading.Event()

    class SlowToClose(McapWriter):
        def close(self) -> None:
            finalising.wait(20)
            super().close()

    bench = Bench(tmp_path, SlowToClose, pre_roll_s=0.5)
    bench.feed(100)
    assert bench.start("one").ok
    one = bench.feed(20)
    first = bench.recorder.stop(bench.now, StopReason.REQUEST)
    assert first is not None
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(bench.recorder.finalise(first, lambda: True))
    )
    thread.start()
    before = bench.recorder.state
    assert bench.start("two").ok and before is RecorderState.FINALISING
    assert bench.recorder.state is RecorderState.RECORDING and bench.recorder.finalising == 1
    event = LabelEvent(bench.now, first.id, LabelKind.OUTCOME, outcome=Outcome.SUCCESS)
    assert bench.recorder.label(event).ok, "an episode being finalised can be labelled"
    two = bench.feed(20)
    assert not bench.recorder.discard().ok, "a running episode cannot be discarded"
    finalising.set()
    thread.join()
    assert answers[0].ok and bench.stop().ok
    assert recorded(first.path) == one and recorded(bench.last.path) == two
    assert Episode.open(first.path).labels.outcome is Outcome.SUCCESS


def test_unknown_losses_are_null_and_the_reason_is_reported(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.channel.numbered = True
    bench.feed(10)
    assert bench.start().ok
    bench.feed(50)
    why = "a publisher had sent 9999 messages before it was discovered"
    loss = Dropout("/wrist/wrench", Place.DDS, None, bench.now, bench.now, why)
    bench.recorder.on_batch(Batch([], [loss]))
    bench.feed(50)
    assert bench.stop().ok
    episode = Episode.open(bench.last.path)
    entry = episode.streams["/wrist/wrench"]
    assert entry["lost"]["dds"] is None and entry["unknown"] == why
    assert episode.lost[1] is False and bench.last.unknown_losses() == ["/wrist/wrench"]
    assert episode.certificate is not None
    stream = episode.certificate.streams["wrench"]
    assert stream.lost is None and why in stream.lost_unknown and why in str(stream.findings())
    assert any(r.check == "losses" and why in r.sentence for r in episode.quality.findings)


def test_losses_of_a_stream_without_a_rate_are_judged(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    notes = Channel(BagTopic("/notes", "std_msgs/msg/String"), numbered=True)
    context = StreamConfig("notes", "notes", "std_msgs/msg/String", Role.CONTEXT)
    bench.recorder._profile = replace(PROFILE, streams=(STREAM, context))
    bench.recorder.streams.watch(notes, context)
    bench.feed(10)
    assert bench.start(force=True).ok
    bench.feed(100)
    bench.recorder.on_batch(
        Batch(
            [Sample(notes, b"\0\1\0\0" + bytes(8), bench.now, bench.now)],
            [Dropout("/notes", Place.DDS, 4148, bench.now, bench.now)],
        )
    )
    assert bench.stop().ok
    found = [r for r in bench.last.quality.findings if (r.check, r.stream) == ("losses", "notes")]
    assert len(found) == 1 and "4148" in found[0].sentence
