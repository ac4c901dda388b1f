"""What is found in a video that is followed packet by packet."""

from __future__ import annotations

import numpy as np
import pytest
from support.pictures import compressed
from support.samples import T0
from support.videos import CODECS, encoded, moving, scene, video

from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.messages.video_messages import VIDEO
from robot_recorder.quality.checks.picture_figures import VideoFigures, VideoPackets
from robot_recorder.quality.video_watch import VideoWatch, VideoWatches

STEP_NS = 33_333_333


def times(count: int, first: int = 0) -> list[int]:
    return [T0 + (first + n) * STEP_NS for n in range(count)]


def watched(data: list[bytes], codec: str = "h264") -> VideoFigures:
    watch = VideoWatch()
    return watch.add(VideoPackets(0, VIDEO, 0, times(len(data)), [video(d, codec) for d in data]))


@pytest.mark.parametrize("codec", CODECS)
def test_a_good_video_is_measured_now_and_then(codec: str) -> None:
    found = watched(encoded(moving(90), codec, gop=30), codec)
    assert found.times.tolist() == times(90) and not found.same.any()
    assert (found.early, found.skipped, found.problem) == (0, 0, "")
    assert [p.time_ns for p in found.pictures] == [T0, T0 + 61 * STEP_NS], "after 2 s"
    assert all((p.width, p.height) == (320, 240) and p.dark < 0.1 for p in found.pictures)


@pytest.mark.parametrize("codec", ["h264", "h265", "av1"])
def test_a_frozen_picture_is_found_across_key_frames(codec: str) -> None:
    frozen = encoded([*moving(30), *[scene(29)] * 90, *moving(30)], codec, gop=30)
    same = watched(frozen, codec).same
    assert not same[:30].any() and not same[-29:].any()
    runs = np.diff(np.flatnonzero(np.concatenate(([True], ~same, [True])))) - 1
    assert runs.max() > 45, "1.5 s: encoders improve a picture for some time"


@pytest.mark.parametrize("codec", CODECS)
def test_a_camera_with_noise_is_not_frozen(codec: str) -> None:
    rng = np.random.default_rng(0)
    noisy = [np.clip(scene(3) + rng.normal(0, 4, (240, 320, 3)), 0, 255).astype(np.uint8)
             for _ in range(60)]  # fmt: skip
    options = {"crf": "20"} if codec != "vp9" else {"b": "4M"}
    same = watched(encoded(noisy, codec, gop=30, **options), codec).same
    runs = np.diff(np.flatnonzero(np.concatenate(([True], ~same, [True])))) - 1
    assert runs.max() < 12, "0.4 s"


def test_packets_before_the_first_key_frame_are_counted_and_no_error() -> None:
    data = encoded(moving(35), gop=10)
    found = watched(data[4:])
    assert found.early == 6 and len(found.times) == 25
    assert all(p.decodable for p in found.pictures)


def test_broken_packets_are_found_with_the_first_good_picture_after_them() -> None:
    data = encoded(moving(40), gop=10)
    data[14] = data[14][:6] + b"\xff" * 30
    found = watched(data)
    bad = [p.time_ns for p in found.pictures if not p.decodable]
    good = [p.time_ns for p in found.pictures if p.decodable]
    assert bad == [T0 + 14 * STEP_NS] and good[:2] == [T0, T0 + 20 * STEP_NS]
    assert len(found.times) == 34


def test_a_truncated_message_is_a_broken_packet() -> None:
    messages = [video(d) for d in encoded(moving(12), gop=10)]
    messages[3] = messages[3][:20]
    found = VideoWatch().add(VideoPackets(0, VIDEO, 0, times(12), messages))
    assert [p.time_ns for p in found.pictures if p.decodable] == [T0, T0 + 10 * STEP_NS]
    assert next(p.time_ns for p in found.pictures if not p.decodable) == T0 + 3 * STEP_NS


def test_packets_that_give_neither_picture_nor_error_are_broken() -> None:
    data = encoded(moving(25), "h265", gop=10)
    data[4] = b"\0\0\1\x41" + b"\xff" * 40
    found = watched(data, "h265")
    bad = [p.time_ns for p in found.pictures if not p.decodable]
    assert bad[0] == T0 + 4 * STEP_NS and len(found.times) == 19


def test_a_change_of_size_and_of_brightness_is_measured_at_once() -> None:
    dark = [picture // 20 for picture in moving(20)]
    data = [*encoded(moving(20)), *encoded(dark), *encoded(moving(20, 160, 120))]
    found = watched(data)
    assert [(p.time_ns - T0) // STEP_NS for p in found.pictures] == [0, 20, 40]
    assert [p.width for p in found.pictures] == [320, 320, 160]
    assert found.pictures[1].dark > 0.95


def test_a_gap_is_skipped_up_to_the_next_key_frame() -> None:
    data = [video(d) for d in encoded(moving(40), gop=10)]
    watch = VideoWatch()
    watch.add(VideoPackets(0, VIDEO, 0, times(5), data[:5]))
    found = watch.add(VideoPackets(0, VIDEO, 12, times(28, 12), data[12:]))
    assert (found.skipped, found.early) == (8, 0) and len(found.times) == 20
    assert all(p.decodable for p in found.pictures)
    late = VideoWatch().add(VideoPackets(0, VIDEO, 12, times(28, 12), data[12:]))
    assert (late.skipped, late.early) == (8, 0), "the process was restarted"


def test_many_broken_packets_take_little_memory() -> None:
    rubbish = [b"\0\0\1\x65" + bytes([n % 256]) * 20 for n in range(3000)]
    found = watched(rubbish)
    assert 0 < len(found.pictures) < 300 and not len(found.times)


def test_videos_in_compressed_images_and_unknown_codecs() -> None:
    watches = VideoWatches()
    data = [compressed(d, "h264") for d in encoded(moving(5))]
    assert len(watches.add(VideoPackets(1, COMPRESSED, 0, times(5), data)).times) == 5
    problem = watches.add(VideoPackets(2, VIDEO, 0, times(1), [video(b"x", "theora")])).problem
    assert "'theora' is not supported" in problem
    watches.leave(1)
    watches.leave(7)
