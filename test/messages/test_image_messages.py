"""Pictures as messages carry them."""

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
def test_pixels_come_back_whatever_the_padding(
    height: int, width: int, encoding: str, padding: int
) -> None:
    channels = {"mono8": 1, "rgb8": 3, "rgba8": 4, "uyvy": 2}[encoding]
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, channels), dtype=np.uint8)
    assert (raw_pixels(raw(pixels, encoding, padding)).values == pixels).all()


def test_depth_keeps_its_numbers_in_either_byte_order() -> None:
    depth = np.arange(12, dtype=np.uint16).reshape(3, 4, 1) * 300
    assert (raw_pixels(raw(depth, "16UC1")).values == depth).all()
    swapped = raw_pixels(raw(depth.astype(">u2"), "16UC1", big_endian=True))
    assert (swapped.values == depth).all()


def test_what_is_not_understood_is_named() -> None:
    with pytest.raises(UnknownEncoding, match="nv21"):
        raw_pixels(raw(np.zeros((2, 2, 1), np.uint8), "nv21"))
    with pytest.raises(UnknownEncoding, match="h264"):
        encoded_picture(compressed(b"\0\0\0\1", "h264"))


def test_a_message_that_is_cut_off_says_so() -> None:
    whole = raw(np.zeros((4, 4, 3), np.uint8), "rgb8")
    for end in (0, 10, 30, len(whole) - 1):
        with pytest.raises(DecodeError):
            raw_pixels(whole[:end])


def test_the_depth_transport_has_a_head_before_its_file() -> None:
    message = compressed(bytes(12) + b"\x89PNG", "16UC1; compressedDepth png")
    assert encoded_picture(message) == b"\x89PNG"


def test_what_is_further_is_lighter_and_nothing_is_black() -> None:
    grey = depth_as_grey(np.array([0, 500, 4000, np.nan], dtype=np.float32))
    assert grey[0] == 0 and grey[3] == 0 and 0 < grey[1] < grey[2]
