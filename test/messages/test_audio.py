"""Sound in messages of several packages: how loud it is, its samples, and what cannot be read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sounds import BYTES, BYTES_DEFINITION, DEFINITION, STAMPED, info, sent_bytes, stamped

from robot_recorder.messages.audio import (
    LEVELS,
    SILENCE_DB,
    SIZE,
    AudioDecoder,
    AudioFormat,
    read_audio_info,
)
from robot_recorder.messages.definition import parse_definition
from robot_recorder.model.errors import ConfigError, DecodeError

_TYPES = {"float32": 1.0, "int32": 2.0**31, "int24": 2.0**23, "int16": 2.0**15, "int8": 2.0**7}


def decoder(known: AudioFormat | None = None) -> AudioDecoder:
    return AudioDecoder(BYTES, parse_definition(BYTES, BYTES_DEFINITION), known)


TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(1600) / 16_000)


@pytest.mark.parametrize("kind", [*_TYPES, "uint8"])
def test_a_tone_has_the_same_level_in_every_kind_of_sample(kind: str) -> None:
    most = _TYPES.get(kind, 2.0**7)
    samples = TONE * most if kind != "uint8" else TONE * most + most
    read = AudioDecoder(STAMPED, parse_definition(STAMPED, DEFINITION))
    decoded = read(stamped(kind, np.round(samples) if most > 1 else samples))
    assert decoded.names == LEVELS
    assert decoded.values == pytest.approx([0.5 / 2**0.5, 0.5, -9.03], abs=0.02)


def test_samples_are_split_into_channels() -> None:
    read = AudioDecoder(STAMPED, parse_definition(STAMPED, DEFINITION))
    both = np.stack([TONE, -TONE / 2], axis=1).ravel()
    found = read.samples(stamped("int16", both * 2**15, channels=2, rate=8000))
    assert found is not None and found.rate_hz == 8000 and found.values.shape == (1600, 2)
    assert found.values[:, 1] == pytest.approx(-TONE / 2, abs=1e-4)


def test_silence_has_a_level() -> None:
    read = AudioDecoder(STAMPED, parse_definition(STAMPED, DEFINITION))
    for samples in (np.zeros(10), np.empty(0)):
        assert read(stamped("int16", samples)).values.tolist() == [0, 0, SILENCE_DB]


def test_bytes_are_read_as_their_audio_info_says() -> None:
    known = read_audio_info(info("S16LE", "wave"))
    assert known == AudioFormat("S16LE", "<i2", 1, 16_000)
    data = sent_bytes((TONE * 2**15).astype("<i2").tobytes())
    assert decoder(known)(data).values == pytest.approx([0.3535, 0.5, -9.03], abs=0.01)
    found = decoder(known).samples(data)
    assert found is not None and found.values[:, 0] == pytest.approx(TONE, abs=1e-4)


@pytest.mark.parametrize(
    "known, data, named",
    [
        (None, b"abcdefg", "unknown, as there is no AudioInfo"),
        (None, b"\xff\xfb\x90\x64abc", "is mp3"),
        (None, b"OggSabc", "is Ogg"),
        (info("S16LE", "mp3"), b"\xff\xfb\x90\x64abc", "is mp3"),
        (info("S24_32LE", "wave"), b"abcdefgh", "is S24_32LE"),
    ],
)
def test_sound_that_cannot_be_read_has_a_size_and_a_reason(
    known: bytes | None, data: bytes, named: str
) -> None:
    read = decoder(read_audio_info(known) if known else None)
    decoded = read(sent_bytes(data))
    assert decoded.names == SIZE and decoded.values.tolist() == [len(data)]
    assert named in decoded.note and read.samples(sent_bytes(data)) is None


def test_a_type_without_samples_is_refused() -> None:
    with pytest.raises(ConfigError, match="no field of samples"):
        AudioDecoder("a/msg/B", parse_definition("a/msg/B", "float64 x\n"))


@given(st.binary(max_size=120))
def test_random_bytes_are_decoded_or_refused(data: bytes) -> None:
    for read in (AudioDecoder(STAMPED, parse_definition(STAMPED, DEFINITION)), decoder()):
        try:
            decoded = read(b"\0\1\0\0" + data)
        except DecodeError:
            continue
        assert len(decoded.names) == len(decoded.values)
