"""What ``look_at`` measures in a picture.

Holds also: grey_pictures.py.
"""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import pictures
from support.bags import _padded, _text, header
from support.samples import T0

from robot_recorder.messages.image_messages import COMPRESSED, RAW, encoded_picture
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.picture_figures import PictureFigures
from robot_recorder.quality.pictures import look_at


def seen_in(type_name: str, stamp_ns: int, data: bytes) -> PictureFigures:
    """Return the figures of a picture in a supported encoding."""
    figures = look_at(type_name, stamp_ns, data)
    assert figures is not None
    return figures


def scene(width: int = 640, height: int = 480) -> np.ndarray:
    """Return uint8[height, width, 3] with edges, a gradient and some noise."""
    rng = np.random.default_rng(0)
    picture = np.full((height, width, 3), 90, np.uint8)
    for _ in range(60):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        size, colour = int(rng.integers(5, 80)), [int(c) for c in rng.integers(30, 220, 3)]
        cv2.rectangle(picture, (x, y), (x + size, y + size // 2), colour, -1)
    return np.clip(picture + rng.normal(0, 2, picture.shape), 0, 255).astype(np.uint8)


def compressed(picture: np.ndarray, format: str = ".jpg", quality: int = 90) -> bytes:
    data = cv2.imencode(
        format, picture, [cv2.IMWRITE_JPEG_QUALITY, quality] if format == ".jpg" else []
    )[1]
    return message(data.tobytes())


def message(data: bytes, format: str = "jpeg") -> bytes:
    body = _padded(_padded(header(T0), 4) + _text(format), 4)
    return b"\0\1\0\0" + body + struct.pack("<I", len(data)) + data


def raw(picture: np.ndarray, encoding: str) -> bytes:
    height, width = picture.shape[:2]
    body = _padded(header(T0), 4) + struct.pack("<II", height, width) + _text(encoding) + b"\0"
    step = picture.strides[0]
    body = _padded(body, 4) + struct.pack("<II", step, picture.nbytes) + picture.tobytes()
    return b"\0\1\0\0" + body


@pytest.mark.parametrize("width", [64, 320, 640, 1280, 1920])
@pytest.mark.parametrize("format", [".jpg", ".png"])
def test_the_size_is_that_of_the_whole_picture(width: int, format: str) -> None:
    height = width * 3 // 4
    seen = seen_in(COMPRESSED, T0, compressed(scene(width, height), format))
    assert (seen.width, seen.height, seen.time_ns) == (width, height, T0)
    assert seen.dark < 0.3 and seen.bright < 0.1


@pytest.mark.parametrize("width", [320, 640, 1280])
@pytest.mark.parametrize("quality", [60, 80, 95])
def test_blur_shows_whatever_the_size_and_compression(width: int, quality: int) -> None:
    limits = THRESHOLDS["camera_blurred"]
    assert limits.warn is not None
    picture = scene(width, width * 3 // 4)
    sharp = seen_in(COMPRESSED, T0, compressed(picture, quality=quality)).sharpness
    assert sharp > 1.5 * limits.warn
    for share in (0.004, 0.008, 0.012, 0.02):  # of the width
        blurred = cv2.GaussianBlur(picture, (0, 0), share * width)
        found = seen_in(COMPRESSED, T0, compressed(blurred, quality=quality)).sharpness
        assert found < limits.warn, share


def test_black_white_and_flat_pictures() -> None:
    picture = scene()
    assert seen_in(COMPRESSED, T0, compressed(picture // 64)).dark > 0.99
    assert seen_in(COMPRESSED, T0, compressed(np.full_like(picture, 255))).bright > 0.99
    flat = seen_in(COMPRESSED, T0, compressed(np.full_like(picture, 128)))
    assert np.isnan(flat.sharpness) and flat.decodable


@pytest.mark.parametrize(
    ("encoding", "convert"),
    [("rgb8", cv2.COLOR_BGR2RGB), ("bgr8", None), ("mono8", cv2.COLOR_BGR2GRAY), ("bgra8", cv2.COLOR_BGR2BGRA)],
)  # fmt: skip
def test_raw_pictures_look_like_compressed_ones(encoding: str, convert: int | None) -> None:
    picture = scene()
    given_ = picture if convert is None else cv2.cvtColor(picture, convert)
    seen = seen_in(RAW, T0, raw(given_, encoding))
    wanted = seen_in(COMPRESSED, T0, compressed(picture, ".png"))
    assert (seen.width, seen.height) == (640, 480)
    assert seen.dark == pytest.approx(wanted.dark, abs=0.05)
    assert seen.sharpness == pytest.approx(wanted.sharpness, rel=0.3)


def test_depth_pictures_are_scaled() -> None:
    depth = (np.linspace(300, 4000, 640 * 480).reshape(480, 640)).astype(np.uint16)
    seen = seen_in(RAW, T0, raw(depth, "16UC1"))
    assert (seen.width, seen.height) == (640, 480) and seen.dark < 0.2 and seen.bright == 0
    nothing = seen_in(RAW, T0, raw(np.zeros((480, 640), np.float32), "32FC1"))
    assert nothing.dark == 1.0 and np.isnan(seen.sharpness), "depth is smooth by nature"
    assert not seen.light and not nothing.light
    assert look_at(RAW, T0, raw(depth, "nv99")) is None, "unsupported, not broken"
    assert not seen_in(RAW, T0, raw(np.zeros((0, 0), np.uint16), "16UC1")).decodable


@pytest.mark.parametrize("far_m", [0.05, 0.4, 3.0, 80.0])
@pytest.mark.parametrize("encoding", ["16UC1", "32FC1", "64FC1", "mono16"])
def test_a_good_depth_stream_is_neither_dark_nor_bright(encoding: str, far_m: float) -> None:
    """However near the scene is, and with a fifth of it unknown in every way there is."""
    depth = np.linspace(0.5 * far_m, far_m, 48 * 64).reshape(48, 64)
    depth[::5] = 0
    if encoding in ("16UC1", "mono16"):
        values = np.minimum(depth * 1000, 65_535).astype(np.uint16)
    else:
        values = depth.astype(np.float32 if encoding == "32FC1" else np.float64)
        values[5] = np.nan
        values[10], values[15] = np.inf, -np.inf
    seen = seen_in(RAW, T0, raw(values, encoding))
    assert seen.dark == pytest.approx(10 / 48) and seen.bright == 0 and np.isnan(seen.sharpness)


@pytest.mark.parametrize("how", ["png", "rvl"])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_depth_of_the_transport_is_measured_like_raw_depth(how: str, kind: type) -> None:
    depth = np.linspace(300, 4000, 48 * 64).reshape(48, 64).astype(np.uint16)
    depth[:12] = 0
    sent = depth if kind is np.uint16 else (depth / 1000).astype(np.float32)
    seen = seen_in(COMPRESSED, T0, pictures.compressed_depth(sent, how))
    assert (seen.width, seen.height, seen.light) == (64, 48, False)
    assert seen.dark == pytest.approx(0.25) and seen.bright == 0
    cut = encoded_picture(pictures.compressed_depth(sent, how)).data[:200]
    broken = pictures.compressed(bytes(12) + cut, f"16UC1; compressedDepth {how}")
    assert not seen_in(COMPRESSED, T0, broken).decodable


def test_white_is_overexposed_in_every_encoding_and_grey_is_not() -> None:
    for encoding, channels in (("yuyv", 2), ("uyvy", 2), ("rgb8", 3), ("mono8", 1)):
        values = np.full((48, 64, channels), 255 if channels != 2 else 128, np.uint8)
        if channels == 2:
            values[..., int(encoding == "uyvy")] = 235  # white of limited range
        assert seen_in(RAW, T0, raw(values, encoding)).bright > 0.9, encoding


def test_compressed_depth_is_read_behind_its_header() -> None:
    depth = (np.linspace(300, 4000, 640 * 480).reshape(480, 640)).astype(np.uint16)
    png = cv2.imencode(".png", depth)[1].tobytes()
    for data, format in ((bytes(12) + png, "16UC1; compressedDepth png"), (png, "16UC1; png")):
        seen = seen_in(COMPRESSED, T0, message(data, format))
        assert (seen.width, seen.height) == (640, 480) and seen.dark < 0.2, format
    assert look_at(COMPRESSED, T0, message(b"\0\0\0\1g", "theora")) is None


def test_a_truncated_picture_is_not_decodable() -> None:
    whole = compressed(scene())
    data = whole[: len(whole) * 2 // 3]
    assert not seen_in(COMPRESSED, T0, data).decodable
    encoded = cv2.imencode(".jpg", scene())[1].tobytes()
    assert not seen_in(COMPRESSED, T0, message(encoded[: len(encoded) // 2])).decodable
    for padding in (b"\0\0\0", bytes(500), b"\xff\xff\0\1"):
        assert seen_in(COMPRESSED, T0, message(encoded + padding)).decodable, "padding is ignored"


@given(st.sampled_from([RAW, COMPRESSED]), st.binary(max_size=300), st.integers(0, 3000))
def test_random_bytes_never_raise(type_name: str, rubbish: bytes, keep: int) -> None:
    whole = raw(scene(64, 48), "rgb8") if type_name == RAW else compressed(scene(64, 48))
    for data in (rubbish, whole[:keep] + rubbish):
        seen = look_at(type_name, T0, data)
        assert seen is None or seen.time_ns == T0


def test_a_picture_that_is_too_large_is_unsupported_not_broken() -> None:
    """A few bytes can describe gigabytes: it is not decoded, and its driver is not blamed."""
    head = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (18_000).to_bytes(4, "big") * 2
    assert look_at(COMPRESSED, T0, pictures.compressed(head + bytes(5), "png")) is None
