"""The recorder without ROS: it turns batches of samples into episodes on disk."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from support.bench import MS, STREAM, Bench, recorded
from support.samples import frame, wrench

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.trash import TRASH
from robot_recorder.floor.store import open_store
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, load_events
from robot_recorder.model.streams import Policy
from robot_recorder.model.topics import Batch, Sample
from robot_recorder.recorder.live_stream import LiveStream
from robot_recorder.recorder.recorder import RecorderState
from robot_recorder.recorder.stop_reason import StopReason


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


def test_frames_that_arrive_after_the_stop_belong_to_the_episode_of_their_tick(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path)
    bench.feed(300)
    assert bench.start().ok
    bench.feed(100)
    stopped = bench.now
    wanted = []

    def flush() -> bool:
        for tick in (stopped - 200 * MS, stopped, stopped + 1):
            data = frame(tick)
            bench.now += MS
            samples = [
                Sample(channel, data, bench.now, bench.now)
                for channel in (bench.own.frames, bench.channel)
            ]
            bench.recorder.on_batch(Batch(samples))
            if tick <= stopped:
                wanted.append(data)
        short = Sample(bench.own.frames, b"\0\1\0\0", bench.now, bench.now)
        bench.recorder.on_batch(Batch([short]))
        return True

    assert bench.recorder.stop_and_finalise(stopped, flush).ok
    path = bench.last.path
    assert recorded(path, "/synchronizer/frames") == wanted
    assert len(recorded(path)) == 100


def test_frames_of_ticks_before_the_start_belong_to_the_episode_before(tmp_path: Path) -> None:
    """Also in both episodes, if the pre-roll of the second begins in the first."""

    def feed(bench: Bench, tick: int, at: int) -> None:
        bench.recorder.on_batch(Batch([Sample(bench.own.frames, frame(tick), at, at)]))

    for pre_roll_s, shared in ((0.0, 0), (0.1, 1)):
        bench = Bench(tmp_path / str(shared))
        bench.feed(300)
        assert bench.start().ok
        bench.feed(100)
        stopped = bench.now
        first = bench.recorder.stop(stopped, StopReason.REQUEST)
        assert first is not None
        bench.now += 40 * MS
        assert bench.start(pre_roll_s=pre_roll_s).ok
        began = bench.now
        for tick in (stopped - 200 * MS, stopped - 10 * MS, stopped + 5 * MS, began, began + 100):
            bench.now += 10 * MS
            feed(bench, tick, bench.now)
        assert bench.recorder.finalise(first, lambda: True).ok
        second = bench.last
        assert bench.stop().ok
        frames = [recorded(r.path, "/synchronizer/frames") for r in (first, second)]
        assert frames[0] == [frame(stopped - 200 * MS), frame(stopped - 10 * MS)]
        both = [frame(stopped - 10 * MS), frame(stopped + 5 * MS)] if shared else []
        assert frames[1] == [*both, frame(began), frame(began + 100)]


def test_frames_that_arrive_while_the_bag_is_closed_are_not_called_lost(tmp_path: Path) -> None:
    holder: list[Bench] = []

    class SlowToClose(McapWriter):
        def close(self) -> None:
            bench = holder[0]
            late = Sample(bench.own.frames, frame(bench.now - MS), bench.now + MS, bench.now + MS)
            bench.recorder.on_batch(Batch([late]))
            super().close()

    bench = Bench(tmp_path, SlowToClose)
    holder.append(bench)
    bench.feed(300)
    assert bench.start().ok
    bench.feed(100)
    assert bench.stop().ok
    assert bench.last.lost() == 0 and not recorded(bench.last.path, "/synchronizer/frames")


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


def test_streams_whose_messages_have_no_numbers_are_named(tmp_path: Path) -> None:
    """Their losses on the way are unknown, which the answer to a start says."""
    bench = Bench(tmp_path)
    assert bench.recorder.uncounted(bench.now) == [], "nothing arrives yet, so nothing is known"
    bench.feed(300)
    assert bench.recorder.uncounted(bench.now) == ["wrench"]
    bench.channel.numbered = True
    assert bench.recorder.uncounted(bench.now) == []


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


def test_an_unwritable_root_is_refused(tmp_path: Path) -> None:
    bench = Bench(Path("/proc/nowhere"))
    bench.feed(10)
    answer = bench.start()
    assert not answer.ok and "/proc/nowhere" in answer.reason
    assert bench.recorder.state is RecorderState.IDLE


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


def test_a_start_warns_of_a_required_stream_without_values(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    why = "no values: acme_msgs/msg/Skin carries bytes (data)"
    skin = replace(STREAM, name="skin", type="acme_msgs/msg/Skin", policy=Policy.NEAREST)
    bench.recorder.streams.watch(
        LiveStream(bench.channel, skin, StampReader(skin, True), None, why)
    )
    bench.feed(300)
    answer = bench.start()
    assert answer.ok and "stream 'skin' has no values" in answer.reason
    assert any("skin" in sentence for sentence in bench.recorder.warnings())
    bench.stop()
