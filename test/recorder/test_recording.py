"""One running episode: its end, its losses and what is noted of it.

Holds also: own_channels.py, stop_reason.py.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.bench import MS, PROFILE, STREAM, Bench, recorded, until
from support.samples import wrench
from support.streams import live

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import BagError
from robot_recorder.model.losses import Dropout, Place
from robot_recorder.model.streams import Role, StreamConfig
from robot_recorder.model.topics import BagTopic, Batch, Channel, Sample
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.verdict import Verdict
from robot_recorder.recorder.disk_space import DiskLimits
from robot_recorder.recorder.live_audit import LiveAudit
from robot_recorder.recorder.recorder import RecorderState
from robot_recorder.recorder.stop_reason import StopReason


def test_a_forced_start_is_noted_in_the_episode(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    assert bench.start(force=True).ok
    bench.stop()
    assert Episode.open(bench.last.path).facts["forced"] == "true"


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
    def broken(*_: object, **__: object) -> None:
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
    bench.recorder.streams.watch(live(notes, context))
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
