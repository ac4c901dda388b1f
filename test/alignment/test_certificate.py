"""The sync certificate: figures, sentences, and storage as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from support.tallied import CAMERA

from robot_recorder.alignment.certificate import (
    Certificate,
    FrameStats,
    StreamCertificate,
    StreamInput,
    TickSpan,
    certify,
)
from robot_recorder.alignment.frames import NO_FLOATS, NO_INTS, Frame, FrameSample, SampleStatus
from robot_recorder.alignment.stream_tally import StreamTally
from robot_recorder.model.streams import FrameClock, SourceClockKind

MS = 1_000_000
T0 = 1_700_000_000_000_000_000
EVERY = TickSpan.of_bag(T0, T0, 0)


def frame(number: int, *samples: tuple[SampleStatus, float]) -> Frame:
    return Frame(
        number,
        T0 + number * 33 * MS,
        tuple(
            FrameSample(s, T0, round(skew * MS), NO_FLOATS, NO_INTS, NO_FLOATS)
            for s, skew in samples
        ),
    )


def count(stats: FrameStats, frames: list[Frame], names: tuple[str, ...]) -> None:
    shape = (len(frames), len(names))
    ticks = np.array([one.tick_ns for one in frames], dtype=np.int64)
    statuses = np.array([[s.status for s in one.samples] for one in frames], dtype=np.uint8)
    skews = np.array([[s.skew_ns for s in one.samples] for one in frames], dtype=np.int64)
    stats.add(ticks, statuses.reshape(shape), skews.reshape(shape), names)


def certificate(stamps_ms: list[float], frames: list[Frame], lost: int | None = 0) -> Certificate:
    tally = StreamTally(CAMERA)
    at = T0 + (np.array(stamps_ms) * MS).astype(np.int64)
    tally.push(at, np.maximum.accumulate(at) + 5 * MS)
    stats = FrameStats(EVERY)
    count(stats, frames, ("camera",))
    end = T0 + round(max(stamps_ms) * MS) + 5 * MS
    inputs = [StreamInput(CAMERA, "/camera", tally.figures(T0, end), lost)]
    return certify(inputs, stats, FrameClock(30.0))


def test_a_good_stream_has_no_findings() -> None:
    stamps = [i * 100 / 3 for i in range(300)]
    found = certificate(stamps, [frame(i, (SampleStatus.FRESH, i % 10)) for i in range(200)])
    stream = found.streams["camera"]
    assert stream.findings() == []
    assert (found.frames, found.complete, stream.count) == (200, 200, 300)
    assert stream.measured_hz is not None and abs(stream.measured_hz - 30) < 0.01
    assert (stream.skew_p50_ms, stream.skew_max_ms) == (4.5, 9.0)
    assert abs(stream.longest_gap_ms - 33.3) < 0.1
    assert stream.offset_ms == 5.0 and stream.drift_ppm is not None and abs(stream.drift_ppm) < 0.1
    assert found.summary == "200 frames at 30 Hz, 100.0% complete; worst skew p95 9.0 ms (camera)"


def test_findings_name_the_remedy() -> None:
    stamps = [i * 100 / 3 for i in range(150) if not 40 <= i < 70] + [4950.0, 4900.0]
    statuses = [SampleStatus.FRESH] * 6 + [SampleStatus.HELD] * 3 + [SampleStatus.MISSING]
    found = certificate(stamps, [frame(i, (s, 1)) for i, s in enumerate(statuses)], lost=7)
    text = " / ".join(found.streams["camera"].findings())
    assert "missing in 10.0% of the frames" in text and "held in 30.0%" in text
    assert "7 messages lost" in text and "silent for 1033 ms" in text
    assert "Hz instead of 30 Hz" in text
    assert "2 samples out of order by up to 66.7 ms" in text and "disorder_ms: 67" in text
    assert found.complete == 6
    back = certificate([i * 33 for i in range(200)] + [120.0], []).streams["camera"].findings()
    assert any("by up to 6.4 s: was its clock set back" in t for t in back)


def test_a_stream_without_samples_is_missing_in_every_frame() -> None:
    stats = FrameStats(EVERY)
    count(stats, [frame(0)], ())
    inputs = [StreamInput(CAMERA, "/camera", StreamTally(CAMERA).figures(T0, T0 + 9 * MS), None)]
    stream = certify(inputs, stats, FrameClock(None, "other")).streams["camera"]
    assert (stream.missing, stream.lost, stream.clock) == (1, None, "none")
    assert stream.findings() == ["nothing was recorded of it: is /camera published?"]


def test_drift_of_an_undisciplined_clock_is_reported_only_if_significant() -> None:
    stamps = [i * 100 / 3 for i in range(900)]
    tally = StreamTally(CAMERA)
    at = T0 + (np.array(stamps) * MS).astype(np.int64)
    tally.push(at + (np.array(stamps) * MS * 80e-6).astype(np.int64), at + 5 * MS)
    inputs = [StreamInput(CAMERA, "/camera", tally.figures(T0, int(at[-1])), 0)]
    stream = certify(inputs, FrameStats(EVERY), FrameClock(30.0)).streams["camera"]
    assert stream.drift_ppm is not None and abs(stream.drift_ppm - 80) < 1
    assert any(
        "drifts by +80 ppm" in text and "clock: device" in text for text in stream.findings()
    )
    assert stream.clock == SourceClockKind.ROBOT.value


def test_a_certificate_survives_json_and_missing_fields() -> None:
    found = certificate([0, 33, 66], [frame(0, (SampleStatus.FRESH, 1))])
    assert Certificate.from_dict(json.loads(json.dumps(found.to_dict()))) == found
    old = {
        "frames": 3,
        "complete": 2,
        "streams": {"joints": {"skew_p95_ms": 1.5, "fresh": 3, "x": 1}},
    }
    read = Certificate.from_dict(old)
    assert read.streams["joints"].fresh == 3 and read.streams["joints"].offset_ms is None
    assert isinstance(read.streams["joints"], StreamCertificate)
    assert Certificate.from_dict({}).summary == "no frames: nothing was aligned"


@pytest.mark.parametrize(
    "rubbish",
    [{"frames": "x"}, {"frames": -1}, {"rate_hz": []}, {"reference": 5},
     *({"streams": {"a": stream}} for stream in (
        {"offset_ms": "y"}, {"fresh": 1.5}, {"longest_gap_ms": None}, {"clock_events": 5},
        {"clock_events": [1]}, {"policy": None}, 5))],
)  # fmt: skip
def test_an_invalid_certificate_is_refused(rubbish: dict) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Certificate.from_dict(rubbish)


def spanned(frames: list[Frame], clock: FrameClock) -> Certificate:
    """Certify an episode of 10 s with 1 s of pre-roll and a deadline of 100 ms."""
    ticks = TickSpan.of_episode(T0, T0 + 1000 * MS, T0 + 11_000 * MS, 100 * MS)
    stats = FrameStats(ticks)
    count(stats, frames, ("camera",))
    tally = StreamTally(CAMERA)
    at = T0 + (np.arange(330) * 100 * MS) // 3
    tally.push(at, at)
    inputs = [StreamInput(CAMERA, "/camera", tally.figures(T0, T0 + 11_000 * MS), 0)]
    return certify(inputs, stats, clock)


def ticking(*numbers: int) -> list[Frame]:
    sample = FrameSample(SampleStatus.FRESH, T0, 0, NO_FLOATS, NO_INTS, NO_FLOATS)
    return [Frame(n, T0 + n * 1000 * MS // 30, (sample,)) for n in numbers]


@pytest.mark.parametrize("clock", [FrameClock(30.0), FrameClock(None, "camera")])
def test_frames_are_compared_with_the_number_expected_from_the_duration(clock: FrameClock) -> None:
    whole = spanned(ticking(*range(0, 330)), clock)
    assert whole.expected in (289, 290) and whole.absent == 0, "10 s but the last third of a second"
    assert whole.frames == 305, "from half a second after the pre-roll began"
    assert "not there" not in whole.summary
    half = spanned(ticking(*range(0, 330, 2)), clock)
    assert half.absent is not None and 144 <= half.absent <= 145
    assert f"{half.absent} of {half.expected} frames are absent" in half.summary
    none = spanned([], clock)
    assert (none.frames, none.absent) == (0, none.expected)
    assert spanned(ticking(*range(20, 400)), clock).absent == 0, "the pre-roll need not be there"


def test_a_lower_rate_limit_of_a_reference_expects_fewer_frames() -> None:
    assert spanned([], FrameClock(10.0, "camera")).expected == 96


def test_the_number_of_expected_frames_is_unknown_without_reference_samples() -> None:
    free = replace(CAMERA, rate_hz=None)
    inputs = [StreamInput(free, "/camera", StreamTally(free).figures(T0, T0 + MS), None)]
    ticks = TickSpan.of_episode(T0, T0, T0 + 10_000 * MS, 100 * MS)
    found = certify(inputs, FrameStats(ticks), FrameClock(None, "camera"))
    assert (found.expected, found.absent, found.frames) == (None, None, 0)


def test_stamps_of_zero_are_reported() -> None:
    at = T0 + np.arange(100) * 33 * MS
    some = np.where(np.arange(100) % 4 == 0, 0, at)
    for stamps, words in (
        (np.zeros_like(at), "all of its stamps are 0"),
        (some, "25 of 100 of its"),
    ):
        tally = StreamTally(CAMERA)
        tally.push(stamps, at)
        inputs = [StreamInput(CAMERA, "/camera", tally.figures(T0, int(at[-1])), 0)]
        found = certify(inputs, FrameStats(EVERY), FrameClock(30.0)).streams["camera"].findings()
        assert any(words in text and "receive time is used" in text for text in found)
    headerless = StreamTally(CAMERA, has_header=False)
    headerless.push(np.zeros_like(at), at)
    assert headerless.figures(T0, int(at[-1])).unstamped == 0
