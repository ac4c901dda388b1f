"""Writing behind a queue: slow disks, failing writers, and what is dropped first."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from support.bench import Bench, recorded
from support.samples import wrench, wrench_topic

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.floor.store import open_store
from robot_recorder.model.losses import Place
from robot_recorder.model.topics import Batch, Channel, Sample


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
