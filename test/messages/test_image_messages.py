"""Reading pictures from messages."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import compressed, raw

from robot_recorder.messages.image_messages import (
    UnknownEncoding,
    depth_as_grey,
    encoded_picture,
    raw_pixels,
)
from robot_recorder.model.errors import DecodeError


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.sampled_from(["mono8", "rgb8", "rgba8", "uyvy"]),
    st.integers(0, 5),
)
def test_pixels_are_read_with_any_padding(
    height: int, width: int, encoding: str, padding: int
) -> None:
    channels = {"mono8": 1, "rgb8": 3, "rgba8": 4, "uyvy": 2}[encoding]
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, channels), dtype=np.uint8)
    assert (raw_pixels(raw(pixels, encoding, padding)).values == pixels).all()


def test_depth_is_read_in_both_byte_orders() -> None:
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4, 1) * 300
    assert (raw_pixels(raw(depth, "16UC1")).values == depth).all()
    swapped = raw_pixels(raw(depth.astype(">u2"), "16UC1", big_endian=True))
    assert (swapped.values == depth).all()


def test_unsupported_encodings_are_named() -> None:
    with pytest.raises(UnknownEncoding, match="nv21"):
        raw_pixels(raw(np.zeros((2, 2, 1), np.uint8), "nv21"))
    with pytest.raises(UnknownEncoding, match="h264"):
        encoded_picture(compressed(b"\0\0\0\1", "h264"))


def test_a_truncated_message_is_rejected() -> None:
    whole = raw(np.zeros((4, 4, 3), np.uint8), "rgb8")
    for end in (0, 10, 30, len(whole) - 1):
        with pytest.raises(DecodeError):
            raw_pixels(whole[:end])


def test_the_head_of_the_depth_transport_is_removed() -> None:
    message = compressed(bytes(12) + b"\x89PNG", "16UC1; compressedDepth png")
    assert encoded_picture(message) == b"\x89PNG"


def test_far_depths_are_lighter_and_missing_ones_black() -> None:
    grey = depth_as_grey(np.array([0, 500, 4000, np.nan], dtype=np.float32))
    assert grey[0] == 0 and grey[3] == 0 and 0 < grey[1] < grey[2]
