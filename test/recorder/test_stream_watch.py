"""Passing samples feed the health of their streams and the latched messages.

Holds also: live_stream.py.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.bench import PROFILE, STREAM
from support.samples import T0, wrench, wrench_topic
from support.streams import live

from robot_recorder.clocks.robot_clock import RobotClock
from robot_recorder.encoding.encoders import EncodedStream
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.streams import Policy, StreamHealth
from robot_recorder.model.topics import Channel, Sample
from robot_recorder.recorder.live_stream import LiveStream
from robot_recorder.recorder.stream_watch import StreamWatch

MS = 1_000_000


def sample(channel: Channel, at: int, late_ms: int = 0) -> Sample:
    return Sample(channel, wrench(at - late_ms * MS), at, at)


@pytest.mark.parametrize("batch", [1, 7, 50])
def test_health_does_not_depend_on_batches(batch: int) -> None:
    watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic())
    watch.watch(live(channel, STREAM))
    sent = [sample(channel, T0 + i * 10 * MS) for i in range(400)]
    for first in range(0, 400, batch):
        watch.add(sent[first : first + batch])
    now = sent[-1].receive_ns
    ((monitor, report),) = watch.health(now)
    assert monitor.config is STREAM and watch.streams[0].channel is channel
    assert report.health is StreamHealth.OK
    assert report.rate_hz == pytest.approx(100, rel=0.05)
    ((_, later),) = watch.health(now + 2000 * MS)
    assert later.health is StreamHealth.STALE


def test_what_the_middleware_still_holds_is_not_taken_for_silence() -> None:
    """Subscriptions are emptied ten times a second: the last sample known may be that old."""
    watch, channel = (
        StreamWatch(replace(PROFILE, stale_ns=60 * MS), RobotClock()),
        Channel(wrench_topic()),
    )
    watch.watch(live(channel, STREAM))
    for at in range(T0, T0 + 3000 * MS, 10 * MS):
        watch.add([sample(channel, at)])
    watch.until_ns = end = T0 + 3000 * MS
    ((_, report),) = watch.health(end + 99 * MS)
    assert report.health is StreamHealth.OK and report.age_s == pytest.approx(0.01)
    watch.until_ns = end + 100 * MS
    assert watch.health(end + 110 * MS)[0][1].health is StreamHealth.STALE
    watch.until_ns = end  # no batches come any more, or this process stood still
    assert watch.health(end + 600 * MS)[0][1].health is StreamHealth.OK
    assert watch.health(end + 900 * MS)[0][1].health is StreamHealth.OK
    assert watch.health(end + 1100 * MS)[0][1].health is StreamHealth.STALE


@pytest.mark.parametrize("stood_ms", [600, 1000, 2000, 5000])
def test_a_recorder_that_stood_still_does_not_blame_the_streams(stood_ms: int) -> None:
    """What waited for it comes in one batch: it is neither silence nor too much at once."""
    watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic())
    watch.watch(live(channel, STREAM))
    for at in range(T0, T0 + 3000 * MS, 100 * MS):
        watch.add([sample(channel, at + n * MS) for n in range(0, 100, 10)])
        watch.until_ns = at + 100 * MS
    now = watch.until_ns + stood_ms * MS
    assert watch.health(now)[0][1].health is StreamHealth.OK, "before the batch is there"
    watch.add([sample(channel, at) for at in range(watch.until_ns, now, 10 * MS)])
    for later in range(0, 2000, 100):
        watch.until_ns = now + later * MS
        ((_, report),) = watch.health(watch.until_ns)
        assert report.health is StreamHealth.OK and not report.remedy
        assert report.rate_hz == pytest.approx(100, rel=0.06)
        watch.add([sample(channel, watch.until_ns + n * MS) for n in range(0, 100, 10)])


def test_what_the_graph_says_counts_at_once_also_where_time_stands_still() -> None:
    """A paused simulator: nothing comes, and the time is always that of the last batch."""
    watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic())
    watch.watch(live(channel, STREAM))
    watch.until_ns = T0
    found = watch.health(T0)
    assert found[0][1].health is StreamHealth.NEVER and watch.health(T0) is found
    channel.wrong_type = "std_msgs/msg/String"
    assert watch.health(T0)[0][1].health is StreamHealth.WRONG_TYPE
    channel.wrong_type = ""
    watch.add([sample(channel, T0)])
    assert watch.health(T0)[0][1].health is StreamHealth.OK


def test_stamps_are_compared_only_where_messages_have_them() -> None:
    for stamped in (True, False):
        watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic())
        watch.watch(LiveStream(channel, STREAM, StampReader(STREAM, stamped)))
        for i in range(300):
            watch.add([sample(channel, T0 + i * 10 * MS, late_ms=3000)])
        watch.add([Sample(channel, b"short", T0 + 3000 * MS, T0)])
        ((_, report),) = watch.health(T0 + 3000 * MS)
        assert (report.health is StreamHealth.CLOCK) == stamped


@pytest.mark.parametrize("late_ms", [700, 3000])
def test_the_age_of_a_latched_message_is_no_offset_of_its_clock(late_ms: int) -> None:
    for stamped in (True, False):  # by its header, or when DDS says it was sent
        config = replace(STREAM, rate_hz=None, policy=Policy.PREVIOUS)
        watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic(), latched=True)
        watch.watch(LiveStream(channel, config, StampReader(config, stamped)))
        watch.add([Sample(channel, wrench(T0 - late_ms * MS), T0, T0 - late_ms * MS)])
        ((_, report),) = watch.health(T0 + MS)
        assert report.clock_offset_s is None and report.health is StreamHealth.OK


def test_latched_messages_are_kept_and_shifted_with_the_clock() -> None:
    watch = StreamWatch(PROFILE, RobotClock())
    latched, other = (Channel(wrench_topic(name), latched=name == "/tf") for name in ("/tf", "/a"))
    watch.add([sample(latched, T0), sample(other, T0 + 1)])
    watch.shift(1000 * MS)
    assert watch.latched.before(T0 + 500 * MS) == []
    (kept,) = watch.latched.before(T0 + 2000 * MS)
    assert kept.channel is latched


def test_an_encoded_stream_is_watched_as_it_arrives_and_kept_as_it_is_recorded() -> None:
    source, channel = (Channel(wrench_topic(n), latched=True) for n in ("/map", "/map/compressed"))
    config = replace(STREAM, encode=EncodeSettings(Codec.JPEG))
    encoded = EncodedStream(config, source, channel)
    watch = StreamWatch(PROFILE, RobotClock(), frozenset([source]))
    watch.watch(replace(live(channel, STREAM), encoded=encoded))
    watch.add([sample(source, T0)])
    watch.keep_encoded([sample(channel, T0)])
    ((monitor, report),) = watch.health(T0 + MS)
    assert (monitor.topic, monitor.recorded_topic) == ("/map", "/map/compressed")
    assert monitor.config is config and monitor.received == 1 and report.health is StreamHealth.OK
    (kept,) = watch.latched.before(T0 + MS)
    assert kept.channel is channel, "the raw one is not written into every episode"


def test_a_required_stream_that_could_have_values_is_named_with_what_to_do() -> None:
    watch, channel = StreamWatch(PROFILE, RobotClock()), Channel(wrench_topic())
    config = replace(STREAM, name="skin", type="acme_msgs/msg/Skin", policy=Policy.NEAREST)
    why = "no values: acme_msgs/msg/Skin carries bytes (data)"
    reader = StampReader(config, True)
    watch.watch(LiveStream(channel, config, reader, None, why))
    watch.watch(LiveStream(channel, replace(config, required=False), reader, None, why))
    (sentence,) = watch.lacking
    assert sentence.startswith(
        "stream 'skin' has no values (acme_msgs/msg/Skin carries bytes (data))"
    )
    assert "profile guess proposes" in sentence
