"""Depth: its scale, and its colours."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import compressed, compressed_depth, raw
from support.videos import video

from robot_recorder.content.depth_pictures import (
    UNKNOWN,
    DepthPicture,
    DepthScale,
    depth_of,
    scale_colours,
)
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.messages.video_messages import VIDEO
from robot_recorder.model.errors import DecodeError

RAMP = np.linspace(0.5, 4.0, 48 * 64).reshape(48, 64).astype(np.float32)
MM = (RAMP * 1000).astype(np.uint16)


@pytest.mark.parametrize(
    ("type_name", "message"),
    [
        (RAW, raw(MM[..., None], "16UC1")),
        (RAW, raw(MM.astype(">u2")[..., None], "16UC1", 4, True)),
        (RAW, raw(MM[..., None], "mono16")),
        (RAW, raw(RAMP[..., None], "32FC1")),
        (RAW, raw(RAMP.astype(np.float64)[..., None], "64FC1")),
        (COMPRESSED, compressed_depth(MM)),
        (COMPRESSED, compressed_depth(MM, "rvl")),
        (COMPRESSED, compressed_depth(RAMP)),
        (COMPRESSED, compressed_depth(RAMP, "rvl")),
        (COMPRESSED, compressed(cv2.imencode(".png", MM)[1].tobytes(), "16UC1; png compressed")),
    ],
)
def test_distances_are_metres_in_every_encoding(type_name: str, message: bytes) -> None:
    depth = depth_of(type_name, message, "/camera/depth/image")
    assert depth is not None and depth.metres == pytest.approx(RAMP, rel=0.01)


def test_light_is_no_depth() -> None:
    jpeg = cv2.imencode(".jpg", np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for type_name, message in (
        (RAW, raw(np.zeros((4, 4, 3), np.uint8), "rgb8")), (RAW, raw(MM[..., None], "mono16")),
        (COMPRESSED, compressed(jpeg, "jpeg")), (VIDEO, video(b"x")),
        (COMPRESSED, compressed(jpeg, "16UC1; jpeg compressed")),
    ):  # fmt: skip
        assert depth_of(type_name, message, "/camera/infra") is None


def test_damaged_depth_is_an_error() -> None:
    for data in (b"", bytes(40), b"\x89PNG\r\n\x1a\n" + bytes(20)):
        with pytest.raises(DecodeError):
            depth_of(COMPRESSED, compressed(bytes(12) + data, "16UC1; compressedDepth png"))
    with pytest.raises(DecodeError):
        depth_of(RAW, raw(np.zeros((4, 0, 1), np.uint16), "16UC1"))


@given(st.floats(0.01, 500), st.floats(0.001, 500))
def test_a_scale_has_round_ends_around_the_distances(near: float, length: float) -> None:
    values = np.linspace(near, near + length, 4000).reshape(40, 100)
    scale = DepthScale.of([DepthPicture(values)])
    low, high = np.percentile(values, [1, 99])
    assert 0 <= scale.near_m <= low * 1.001 and scale.far_m >= high * 0.999
    assert scale.far_m - scale.near_m < 1.6 * max(high - low, 0.06 * high, 0.02)
    assert all(len(label) <= 9 for label in scale.labels), scale.labels


def test_scales_of_usual_scenes() -> None:
    assert DepthScale.of([DepthPicture(RAMP)]).labels == ("0.5 m", "4 m")
    assert DepthScale.of([DepthPicture(RAMP), DepthPicture(RAMP + 6)]).labels == ("0 m", "10 m")
    assert DepthScale.of([DepthPicture(np.full((2, 2), np.nan))]).labels == ("0 m", "1 m")
    assert DepthScale.of([]).labels == ("0 m", "1 m")


def test_near_is_blue_far_is_red_and_unknown_is_grey() -> None:
    depth = DepthPicture(np.array([[0.5, 4.0, np.nan, 9.0, 0.1]], dtype=np.float32))
    drawn = depth.colours(DepthScale(0.5, 4.0))[0]
    first, *_, last = scale_colours(9)
    assert tuple(drawn[0][::-1]) == first and tuple(drawn[1][::-1]) == last
    assert tuple(drawn[2]) == UNKNOWN and UNKNOWN not in scale_colours(256)
    assert (drawn[3] == drawn[1]).all() and (drawn[4] == drawn[0]).all(), "beyond the scale"


def test_shrinking_keeps_edges() -> None:
    values = np.full((480, 640), 1.0, np.float32)
    values[:, 320:] = 3.0
    values[:100] = np.nan
    small = DepthPicture(values).shrunk(320)
    assert small.metres.shape == (240, 320)
    known = small.metres[np.isfinite(small.metres)]
    assert set(known.tolist()) == {1.0, 3.0} and np.isnan(small.metres[:50]).all()
    assert DepthPicture(values[:, :300]).shrunk(320).metres.shape == (480, 300)


@pytest.mark.parametrize(("far_m", "units"), [(4.0, 1000.0), (65.0, 1000.0), (200.0, 100.0)])
def test_a_file_of_16_bits_says_its_unit(far_m: float, units: float) -> None:
    values = np.array([[0.5, far_m, np.nan]], dtype=np.float32)
    data, per_metre = DepthPicture(values).png()
    back = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert back is not None and back.dtype == np.uint16 and per_metre == units
    assert (back / per_metre)[0] == pytest.approx([0.5, far_m, 0], abs=0.01)
