"""Reading pictures from messages."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import compressed, compressed_depth, raw

from robot_recorder.messages.image_messages import (
    UnknownEncoding,
    encoded_picture,
    is_depth,
    layout,
    metres,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError

# All of sensor_msgs/image_encodings.hpp, but for those whose colour has rows of its own.
COLOURS = [f"{c}{b}" for c in ("mono", "rgb", "rgba", "bgr", "bgra") for b in (8, 16)]
BAYER = [f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)]
YUV = ["yuv422", "uyvy", "yuv422_yuy2", "yuyv"]
GENERIC = [f"{sort}C{n}" for sort in ("8U", "8S", "16U", "16S", "32S", "32F", "64F")
           for n in ("", 1, 2, 3, 4)]  # fmt: skip
ENCODINGS = [*COLOURS, *BAYER, *YUV, *GENERIC]


@given(
    st.sampled_from(ENCODINGS), st.integers(1, 9), st.integers(1, 9), st.integers(0, 5),
    st.booleans(), st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_pixels_are_read_with_any_padding_and_in_both_byte_orders(
    encoding: str, height: int, width: int, padding: int, big_endian: bool, seed: int
) -> None:
    known = layout(encoding)
    assert known is not None
    number, channels = known
    data = np.random.default_rng(seed).bytes(height * width * channels * number.itemsize)
    sent = np.frombuffer(data, number.newbyteorder(">" if big_endian else "<"))
    sent = sent.reshape(height, width, channels)
    pixels = raw_pixels(raw(sent, encoding, padding, big_endian))
    assert (pixels.width, pixels.height) == (width, height)
    assert np.array_equal(pixels.values, sent, equal_nan=number.kind == "f")
    assert pixels.values.dtype == number


@given(st.sampled_from(["nv12", "nv21", "nv24"]), st.integers(1, 5), st.integers(1, 5),
       st.integers(0, 5))  # fmt: skip
def test_rows_of_colour_follow_those_of_brightness(
    encoding: str, half_height: int, half_width: int, padding: int
) -> None:
    height, width = 2 * half_height, 2 * half_width
    rows = 3 * height if encoding == "nv24" else 3 * half_height
    sent = np.random.default_rng(0).integers(0, 255, (rows, width, 1), dtype=np.uint8)
    if encoding == "nv24":  # a row of colour is twice as long, and so is its padding
        brightness = np.pad(sent[:height, :, 0], ((0, 0), (0, padding)))
        colour = np.pad(sent[height:, :, 0].reshape(height, -1), ((0, 0), (0, 2 * padding)))
        data = np.concatenate([brightness.ravel(), colour.ravel()]).reshape(rows, -1, 1)
        message = raw(data, encoding, height=height, width=width)
    else:
        message = raw(sent, encoding, padding, height=height)
    pixels = raw_pixels(message)
    assert (pixels.width, pixels.height, pixels.is_planar) == (width, height, True)
    assert (pixels.values == sent).all()


def test_unsupported_encodings_are_named() -> None:
    for encoding in ("nv99", "8UC0", "12UC1", "16FC1"):
        with pytest.raises(UnknownEncoding, match=re.escape(encoding)):
            raw_pixels(raw(np.zeros((2, 2, 1), np.uint8), encoding))
    for format in ("theora", "16UC1; compressedDepth zstd"):
        with pytest.raises(UnknownEncoding, match=format):
            encoded_picture(compressed(b"\0\0\0\1", format))


@pytest.mark.parametrize("encoding", ["rgb8", "nv12", "nv24"])
def test_a_truncated_message_is_rejected(encoding: str) -> None:
    whole = raw(np.zeros((4, 4, 3), np.uint8), encoding)
    for end in (0, 10, 30, 60, 70):
        with pytest.raises(DecodeError):
            raw_pixels(whole[:end])


def test_a_planar_picture_of_odd_size_is_rejected() -> None:
    with pytest.raises(DecodeError, match="3 x 4 is no size of nv12"):
        raw_pixels(raw(np.zeros((4, 3, 4), np.uint8), "nv12"))


def test_unknown_depths_are_no_distances() -> None:
    assert np.isnan(metres(np.array([0, -1, np.nan, np.inf, -np.inf], np.float32))).all()
    assert np.isnan(metres(np.array([0], np.uint16))).all()
    assert metres(np.array([1500], np.uint16)) == pytest.approx([1.5])
    assert metres(np.array([1.5, 1e300], np.float64))[0] == 1.5


def test_infrared_light_is_told_from_depth_by_the_topic() -> None:
    assert is_depth("16UC1") and is_depth("32FC1") and is_depth("mono16", "/camera/depth/image")
    assert not is_depth("mono16", "/camera/infra/image") and not is_depth("mono8", "/depth")


@pytest.mark.parametrize("how", ["png", "rvl"])
def test_depth_transport_is_read_behind_its_head(how: str) -> None:
    depth = np.array([[0, 500, 501], [65_535, 0, 7]], dtype=np.uint16)
    picture = encoded_picture(compressed_depth(depth, how))
    assert (picture.encoding, picture.inverse, picture.rvl) == ("16UC1", None, how == "rvl")
    if how == "rvl":
        assert (picture.rvl_values() == depth).all()
    else:
        assert picture.data.startswith(b"\x89PNG")


def test_depths_in_metres_are_dequantised() -> None:
    depth = np.array([[0.3, 1.0, 4.0, 9.5, np.nan, np.inf, 0.0, 12.0]], dtype=np.float32)
    picture = encoded_picture(compressed_depth(depth, "rvl"))
    found = picture.metres(picture.rvl_values())
    assert found[0, :4] == pytest.approx(depth[0, :4], rel=0.01)
    assert np.isnan(found[0, 4:]).all()


def test_older_formats_without_a_codec_are_png() -> None:
    picture = encoded_picture(compressed(bytes(12) + b"\x89PNG", "32FC1; compressedDepth"))
    assert picture.data == b"\x89PNG" and picture.inverse == (0.0, 0.0) and not picture.rvl
    with pytest.raises(DecodeError, match="truncated"):
        encoded_picture(compressed(bytes(11), "16UC1; compressedDepth png"))
