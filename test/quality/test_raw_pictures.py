"""Pixels of every encoding become the colours and greys that they stand for."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.pictures import raw

from robot_recorder.messages.image_messages import raw_pixels
from robot_recorder.quality.raw_pictures import bgr_of, grey_of, spread

COLOURS = {
    "red": (220, 40, 30),
    "green": (40, 200, 60),
    "blue": (30, 50, 210),
    "white": (235, 235, 235),
}
BAYER = ("rggb", "bggr", "gbrg", "grbg")
PLAIN = [f"{name}{bits}" for name in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)]
YUV = ["yuv422", "uyvy", "yuv422_yuy2", "yuyv", "nv12", "nv21", "nv24"]
MOSAIC = [f"bayer_{order}{bits}" for order in BAYER for bits in (8, 16)]
ALL = [*PLAIN, *YUV, *MOSAIC, "8UC3", "8UC4"]


def sent(rgb: np.ndarray, encoding: str) -> bytes:
    """Return an Image of uint8[height, width, 3] in an encoding, made with numpy alone."""
    height = rgb.shape[0]
    if encoding in YUV:
        padding = 0 if encoding == "nv24" else 4
        return raw(_yuv(rgb, encoding), encoding, padding, height=height)
    if encoding.startswith("bayer_"):
        order = encoding.removeprefix("bayer_").rstrip("0123456789")
        values = np.empty((*rgb.shape[:2], 1), np.uint8)
        for place, letter in enumerate(order):
            rows, columns = slice(place // 2, None, 2), slice(place % 2, None, 2)
            values[rows, columns, 0] = rgb[rows, columns, "rgb".index(letter)]
    else:
        swapped = encoding.startswith("bgr") or encoding in ("8UC3", "8UC4")
        values = rgb[..., ::-1] if swapped else rgb
        if encoding.startswith(("rgba", "bgra")) or encoding == "8UC4":
            values = np.dstack([values, np.full_like(rgb[..., :1], 255)])
    if encoding.endswith("16"):
        wide = values.astype(np.uint16) * 257
        return raw(wide.astype(">u2"), encoding, padding=6, big_endian=True)
    return raw(values, encoding, padding=3)


def _yuv(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Return BT.601 values of limited range, laid out as an encoding says."""
    r, g, b = (rgb[..., i].astype(float) for i in range(3))
    y = 16 + 0.257 * r + 0.504 * g + 0.098 * b
    u = 128 - 0.148 * r - 0.291 * g + 0.439 * b
    v = 128 + 0.439 * r - 0.368 * g - 0.071 * b
    parts = [np.rint(part).astype(np.uint8) for part in (y, u, v)]
    return _laid_out(parts[0], parts[1], parts[2], encoding)


def _laid_out(y: np.ndarray, u: np.ndarray, v: np.ndarray, encoding: str) -> np.ndarray:
    height, width = y.shape
    if encoding == "nv24":
        colour = np.stack([u, v], axis=2).reshape(2 * height, width)
        return np.concatenate([y, colour])[..., None]
    if encoding.startswith("nv"):
        pair = [u, v] if encoding == "nv12" else [v, u]
        colour = np.stack([p[::2, ::2] for p in pair], axis=2).reshape(height // 2, width)
        return np.concatenate([y, colour])[..., None]
    colour = np.empty_like(y)
    colour[:, ::2], colour[:, 1::2] = u[:, ::2], v[:, ::2]
    first_colour = encoding in ("yuv422", "uyvy")
    return np.stack([colour, y] if first_colour else [y, colour], axis=2)


@pytest.mark.parametrize("encoding", ALL)
@pytest.mark.parametrize("colour", COLOURS)
def test_colours_are_what_they_were(encoding: str, colour: str) -> None:
    rgb = np.full((16, 24, 3), COLOURS[colour], dtype=np.uint8)
    pixels = raw_pixels(sent(rgb, encoding))
    drawn = bgr_of(pixels)
    assert drawn.shape == (16, 24, 3) and drawn.dtype == np.uint8
    inner = drawn[4:-4, 4:-4].astype(int)
    tolerance = 4 if encoding in YUV else 1
    assert np.abs(inner - np.array(COLOURS[colour][::-1])).max() <= tolerance
    grey = grey_of(pixels)
    wanted = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    assert grey.shape == (16, 24)
    assert np.abs(grey[4:-4, 4:-4].astype(int) - wanted[4:-4, 4:-4]).max() <= 4


@given(st.sampled_from([*PLAIN, *YUV, *MOSAIC]), st.integers(0, 2**32 - 1))
def test_edges_are_where_they_were(encoding: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 215, (4, 5, 3), dtype=np.uint8)
    rgb = np.kron(small, np.ones((12, 12, 1), dtype=np.uint8))
    drawn = bgr_of(raw_pixels(sent(rgb, encoding)))[..., ::-1].astype(int)
    # The middle of every square, which neighbours do not reach.
    assert np.abs(drawn[6::12, 6::12] - small.astype(int)).max() <= 6


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_sensors_of_fewer_bits_are_not_dark(bits: int) -> None:
    values = np.linspace(0, 2**bits - 1, 64 * 48).reshape(48, 64, 1).astype(np.uint16)
    drawn = bgr_of(raw_pixels(raw(values, "bayer_rggb16")))
    assert drawn.max() > 245 and drawn.min() < 10


@pytest.mark.parametrize("encoding", ["8SC1", "16SC1", "32SC2", "64FC1", "32FC3", "16UC2", "8UC2"])
def test_numbers_without_a_range_are_spread_from_dark_to_light(encoding: str) -> None:
    kind = {"8S": "i1", "16S": "i2", "32S": "i4", "64F": "f8", "32F": "f4", "16U": "u2", "8U": "u1"}
    channels = int(encoding[-1])
    ramp = np.linspace(-100 if "U" not in encoding else 0, 120, 48 * 64).reshape(48, 64, 1)
    values = np.repeat(ramp, channels, axis=2).astype(kind[encoding[:-2]])
    drawn = bgr_of(raw_pixels(raw(values, encoding)))
    assert drawn.shape == (48, 64, 3)
    if encoding != "8UC2":  # of 8 bits nothing is spread
        assert drawn[0, 0, 0] < 10 and drawn[-1, -1, 0] > 245


def test_what_is_not_finite_is_dark() -> None:
    values = np.array([np.nan, 1, 2, 3, np.inf])
    assert spread(values).tolist()[::4] == [0, 0] and spread(values)[3] > 250
    assert spread(np.full(3, np.nan)).tolist() == [0, 0, 0]
