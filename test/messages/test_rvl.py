"""The RVL codec, against an encoder written after the one of compressed_depth_image_transport."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import rvl

from robot_recorder.messages.rvl import compressed, decompressed
from robot_recorder.model.errors import DecodeError

DEPTHS = st.lists(st.one_of(st.just(0), st.integers(0, 65_535)), max_size=200)


@given(DEPTHS)
def test_every_picture_comes_back(depths: list[int]) -> None:
    pixels = np.array(depths, dtype=np.uint16)
    assert (decompressed(rvl(pixels), len(pixels)) == pixels).all()


@given(DEPTHS)
def test_pictures_are_compressed_as_by_its_authors(depths: list[int]) -> None:
    pixels = np.array(depths, dtype=np.uint16)
    assert compressed(pixels) == rvl(pixels)
    assert (decompressed(compressed(pixels), len(pixels)) == pixels).all()


@pytest.mark.parametrize("edge", [0, 1])
def test_long_runs_and_large_steps_are_compressed(edge: int) -> None:
    pixels = np.zeros((200, 300), dtype=np.uint16)
    pixels[50 * edge : 100] = 65_535
    pixels[120:, ::7] = 1
    assert compressed(pixels) == rvl(pixels)
    assert (decompressed(compressed(pixels), pixels.size) == pixels.ravel()).all()


@given(st.binary(max_size=300), st.integers(0, 5000))
def test_damaged_pictures_are_decoded_or_refused(data: bytes, count: int) -> None:
    try:
        assert decompressed(data, count).shape == (count,)
    except DecodeError:
        pass


def test_a_truncated_picture_is_refused() -> None:
    whole = rvl(np.arange(1, 400, dtype=np.uint16))
    for end in range(0, len(whole) - 4, 8):
        with pytest.raises(DecodeError, match="RVL"):
            decompressed(whole[:end], 399)
