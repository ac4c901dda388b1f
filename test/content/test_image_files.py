"""Converting pictures for viewers."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from support.pictures import compressed, raw

from robot_recorder.content.image_files import picture_of, shrunk, width_of
from robot_recorder.messages.image_messages import COMPRESSED, RAW
from robot_recorder.model.errors import DecodeError

RED = np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8)
BAYER = np.zeros((48, 64, 1), np.uint8)
BAYER[::2, ::2] = 255  # the red cells of an RGGB pattern


@pytest.mark.parametrize(
    ("pixels", "encoding"),
    [
        (RED, "rgb8"),
        (RED[..., ::-1], "bgr8"),
        (np.dstack([RED, RED[..., :1]]), "rgba8"),
        (BAYER, "bayer_rggb8"),
        (np.tile(np.array([[90, 82], [240, 82]], np.uint8), (48, 32, 1)), "yuv422"),
    ],
)
def test_red_stays_red_in_every_encoding(pixels: np.ndarray, encoding: str) -> None:
    picture = picture_of(RAW, raw(pixels, encoding))
    seen = picture.pixels()[8:-8, 8:-8].reshape(-1, 3).mean(axis=0)
    assert picture.media_type == "image/jpeg"
    assert seen[0] > 200 and seen[1] < 60 and seen[2] < 60, seen


def test_encodings_that_viewers_know_pass_unchanged() -> None:
    for ending, media in ((".jpg", "image/jpeg"), (".png", "image/png")):
        data = cv2.imencode(ending, RED)[1].tobytes()
        picture = picture_of(COMPRESSED, compressed(data, "whatever jpeg or png"))
        assert (picture.data, picture.media_type) == (data, media)


def test_depth_becomes_a_coloured_picture() -> None:
    depth = np.linspace(300, 4000, 64 * 48).reshape(48, 64, 1).astype(np.uint16)
    pixels = picture_of(RAW, raw(depth, "16UC1")).pixels()
    assert pixels[0, 0].argmax() != pixels[-1, -1].argmax(), "near and far differ"
    data = cv2.imencode(".png", depth)[1].tobytes()
    encoded = picture_of(COMPRESSED, compressed(bytes(12) + data, "16UC1; compressedDepth png"))
    assert np.abs(encoded.pixels().astype(int) - pixels).max() < 3


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_large_pictures_are_made_smaller_and_keep_their_shape(ending: str) -> None:
    large = cv2.resize(RED, (1280, 720))
    picture = picture_of(COMPRESSED, compressed(cv2.imencode(ending, large)[1].tobytes(), ending))
    small = shrunk(picture, 320)
    assert small.pixels().shape == (180, 320, 3) and width_of(small) == 320
    assert shrunk(small, 320) is small


@pytest.mark.parametrize("data", [b"", b"\xff\xd8 cut off", b"\x89PNG", b"rubbish"])
def test_bytes_that_are_not_a_picture_are_an_error(data: bytes) -> None:
    with pytest.raises(DecodeError):
        picture = picture_of(COMPRESSED, compressed(data, "jpeg"))
        picture.pixels()
    with pytest.raises(DecodeError):
        shrunk(picture_of(COMPRESSED, compressed(data, "jpeg")), 10)


def test_infrared_light_is_grey_and_depth_is_not() -> None:
    values = np.linspace(300, 4000, 64 * 48).reshape(48, 64, 1).astype(np.uint16)
    message = raw(values, "mono16")
    infrared = picture_of(RAW, message, "/camera/infra/image").pixels().astype(int)
    assert np.ptp(infrared, axis=2).max() < 6 and infrared[-1, -1].min() > 240
    assert (
        np.ptp(picture_of(RAW, message, "/camera/depth/image").pixels().astype(int), axis=2).max()
        > 100
    )


def test_deep_colours_in_png_are_colours() -> None:
    deep = np.full((48, 64, 3), (0, 0, 255 * 257), dtype=np.uint16)
    data = cv2.imencode(".png", deep)[1].tobytes()
    seen = picture_of(COMPRESSED, compressed(data, "rgb16; png compressed bgr16")).pixels()
    assert seen[20, 20, 0] > 240 and seen[20, 20, 1] < 20
