"""Pictures, distances and video of cameras."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("rerun")
from support.described import picture
from support.made import bag
from support.pictures import compressed_depth, raw
from support.recordings import Recorded, view
from support.samples import T0

from robot_recorder.messages.image_messages import COMPRESSED, RAW


def test_every_picture_is_logged_unchanged(recorded: Recorded) -> None:
    times, blobs = recorded.rows("/streams/camera", "EncodedImage:blob")
    numbers = [n for n in range(80) if n != 7]  # 7 is damaged
    assert times == pytest.approx(np.array(numbers) / 20)
    assert [bytes(blob[0]) for blob in blobs] == [picture(number) for number in numbers]
    assert recorded.viewed.pictures == {"/camera/image/compressed": 79}
    assert any("1 pictures cannot be decoded" in note for note in recorded.viewed.notes)


def depths(path: Path) -> Path:
    """Write a bag of depth in mm and, compressed, in m."""
    ramp = np.linspace(500, 4000, 48 * 64).reshape(48, 64).astype(np.uint16)
    ramp[:10] = 0
    at = [T0 + n * 10**8 for n in range(12)]
    small = (ramp / 1000).astype(np.float32)
    return bag(path, {
        "/near/depth": (RAW, [(t, raw(ramp[..., None], "16UC1", stamp_ns=t)) for t in at]),
        "/far/depth": (COMPRESSED, [(t, compressed_depth(small, "rvl", t)) for t in at]),
    })  # fmt: skip


def test_distances_are_logged_with_their_unit(tmp_path: Path) -> None:
    seen = view(depths(tmp_path / "bag"), tmp_path / "a.rrd")
    for name in ("near_depth", "far_depth"):
        entity = f"/streams/{name}"
        times, blobs = seen.rows(entity, "EncodedDepthImage:blob")
        assert len(times) == 12
        values = cv2.imdecode(np.frombuffer(bytes(blobs[0][0]), np.uint8), cv2.IMREAD_UNCHANGED)
        assert values is not None and values.dtype == np.uint16
        assert set(values[:9].ravel()) == {0} and values[-1, -1] == pytest.approx(4000, rel=0.01)
        assert seen.rows(entity, "EncodedDepthImage:meter")[1] == [[1000.0]] * 12
        assert seen.rows(entity, "EncodedDepthImage:depth_range")[1] == [[[0.0, 4000.0]]]
    assert not [note for note in seen.viewed.notes if "depth" in note]


def recorded_video(path: Path, codec: str) -> tuple[Path, list[bytes]]:
    from support.videos import encoded, moving, video

    from robot_recorder.messages.video_messages import VIDEO

    data = encoded(moving(30), codec, gop=10)
    messages = [(T0 + n * 10**8, video(d, codec, T0 + n * 10**8)) for n, d in enumerate(data)]
    return bag(path, {"/eye/video": (VIDEO, messages[4:])}), data


@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
def test_video_is_logged_as_it_is_from_its_first_key_frame_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/ffmpeg")
    path, data = recorded_video(tmp_path / "bag", codec)
    seen = view(path, tmp_path / "a.rrd")
    times, samples = seen.rows("/streams/eye_video", "VideoStream:sample")
    assert [bytes(sample[0]) for sample in samples] == data[10:]
    assert times == pytest.approx(np.arange(6, 26) / 10)
    keys = [key[0] for key in seen.rows("/streams/eye_video", "VideoStream:is_keyframe")[1]]
    assert [n for n, key in enumerate(keys) if key] == [0, 10]
    assert "/eye/video: 6 pictures before the first key frame of its video" in seen.viewed.notes
    assert seen.viewed.pictures == {"/eye/video": 20}


def test_video_that_the_viewer_cannot_play_is_logged_as_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    monkeypatch.setattr("shutil.which", lambda name: None)
    path, _ = recorded_video(tmp_path / "bag", "h264")
    seen = view(path, tmp_path / "a.rrd")
    _, blobs = seen.rows("/streams/eye_video", "EncodedImage:blob")
    assert len(blobs) == 20 and bytes(blobs[0][0]).startswith(b"\xff\xd8")
    monkeypatch.setattr("robot_recorder.view.cameras.can_decode", lambda codec: False)
    seen = view(path, tmp_path / "b.rrd")
    assert len(seen.rows("/streams/eye_video", "VideoStream:sample")[1]) == 20, "another viewer may"
