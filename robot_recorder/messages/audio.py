"""Read sound in messages: samples of uncompressed sound, and how loud each message is.

Read are types with a field of bytes that an AudioInfo describes (``audio_common_msgs`` of
ros-drivers), and types with a field for each kind of sample, such as ``int16_data``
(``audio_common_msgs`` of mgonzs13, where PortAudio makes the samples).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.definition import PRIMITIVES, TEXTS, Field, MessageTypes, short_name
from robot_recorder.model.errors import ConfigError, DecodeError

AUDIO_INFO = "audio_common_msgs/msg/AudioInfo"
LEVELS = ("rms (1)", "peak (1)", "level (dBFS)")
SIZE = ("size (B)",)
SILENCE_DB = -120.0  # the level of silence, which would be minus infinity
_COMPRESSED = {b"ID3": "mp3", b"OggS": "Ogg", b"fLaC": "FLAC", b"RIFF": "a WAVE file"}
_RAW = ("", "wave", "wav", "raw", "pcm")  # names of codings that leave samples as they are
_KINDS = {
    "S8": "i1", "U8": "u1", "S16LE": "<i2", "S16BE": ">i2", "U16LE": "<u2", "U16BE": ">u2",
    "S32LE": "<i4", "S32BE": ">i4", "F32LE": "<f4", "F32BE": ">f4", "F64LE": "<f8", "F64BE": ">f8",
}  # fmt: skip
# Fields of samples: largest value, and what stands for silence.
_FIELDS = {
    "float32_data": (1.0, 0.0), "int32_data": (2.0**31, 0.0), "int24_data": (2.0**23, 0.0),
    "int16_data": (2.0**15, 0.0), "int8_data": (2.0**7, 0.0), "uint8_data": (2.0**7, 2.0**7),
}  # fmt: skip
_RATES = ("rate", "sample_rate")


@dataclass(frozen=True)
class AudioFormat:
    """How the bytes of sound are to be read.

    Attributes:
        name: for people, such as ``S16LE`` or ``mp3``.
        kind: numpy type of a sample; empty: the samples cannot be read.
        channels: samples of one time.
        rate_hz: samples of one channel in a second; 0: unknown.
    """

    name: str
    kind: str
    channels: int
    rate_hz: int


@dataclass(frozen=True)
class SoundSamples:
    """The sound of one message.

    Attributes:
        values: float32[n, channels], -1 to 1.
        rate_hz: 0: unknown.
    """

    values: npt.NDArray[np.float32]
    rate_hz: int


def read_audio_info(data: bytes) -> AudioFormat:
    """Read an AudioInfo of ros-drivers.

    Raises:
        DecodeError: it is not one.
    """
    reader = CdrReader(data)
    channels, rate_hz, sample = reader.u8(), reader.u32(), reader.text().strip().upper()
    reader.u32()
    coding = reader.text().strip()
    if coding.lower() not in _RAW:
        return AudioFormat(coding, "", max(channels, 1), rate_hz)
    return AudioFormat(sample or coding, _KINDS.get(sample, ""), max(channels, 1), rate_hz)


class AudioDecoder:
    """Decoder of one stream of sound."""

    def __init__(
        self, type_name: str, types: MessageTypes, known: AudioFormat | None = None
    ) -> None:
        """
        Args:
            type_name: package/msg/Name.
            types: its definition, and those of the types it needs.
            known: the format of bytes, from an AudioInfo; None: unknown.

        Raises:
            ConfigError: the type has no field of samples.
        """
        self._type, self._types, self._known = short_name(type_name), types, known
        if problem := types.problem(self._type):
            raise ConfigError(f"{type_name}: {problem}, so its values cannot be read")
        if not set(_fields(types, self._type)) & {*_FIELDS, "data"}:
            raise ConfigError(f"{type_name} has no field of samples that is understood")

    def __call__(self, data: bytes) -> Decoded:
        """Decode how loud a message is; of sound that cannot be read, its size in bytes.

        Raises:
            DecodeError: the bytes do not fit the type.
        """
        found = self._read(data)
        sound, why = self._samples(found)
        if sound is None:
            size = sum(v.nbytes for v in found.values() if isinstance(v, np.ndarray))
            return Decoded(SIZE, np.array([float(size)]), note=why)
        values = sound.values.astype(np.float64)
        rms = float(np.sqrt(np.mean(values**2))) if values.size else 0.0
        peak = float(np.abs(values).max(initial=0.0))
        level = max(20 * np.log10(rms), SILENCE_DB) if rms > 0 else SILENCE_DB
        return Decoded(LEVELS, np.array([rms, peak, level]))

    def samples(self, data: bytes) -> SoundSamples | None:
        """Return the sound of a message; None: its encoding is not understood.

        Raises:
            DecodeError: the bytes do not fit the type.
        """
        return self._samples(self._read(data))[0]

    def _samples(self, found: dict[str, float | np.ndarray]) -> tuple[SoundSamples | None, str]:
        """Return the sound; or None, and why it cannot be read."""
        channels = max(int(_number(found, "channels")), 1)
        rate_hz = int(next((r for name in _RATES if (r := _number(found, name)) > 0), 0.0))
        for name, (most, middle) in _FIELDS.items():
            values = found.get(name)
            if isinstance(values, np.ndarray) and len(values):
                scaled = ((values.astype(np.float64) - middle) / most).astype(np.float32)
                return SoundSamples(_in_channels(scaled, channels), rate_hz), ""
        raw = found.get("data")
        if not isinstance(raw, np.ndarray) or not len(raw):
            return SoundSamples(np.empty((0, channels), np.float32), rate_hz), ""
        return self._raw_samples(raw)

    def _raw_samples(self, raw: np.ndarray) -> tuple[SoundSamples | None, str]:
        if raw.dtype.kind == "f":
            return SoundSamples(raw.astype(np.float32)[:, None], 0), ""
        if raw.dtype.itemsize > 1:
            scaled = (raw / float(2 ** (8 * raw.dtype.itemsize - 1))).astype(np.float32)
            return SoundSamples(scaled[:, None], 0), ""
        known = self._known
        if known is None:
            found = _compression(raw[:4].tobytes())
            return None, (
                f"its sound is {found}, which is not decoded: only its size is shown" if found else
                "the encoding of its sound is unknown, as there is no AudioInfo: only its size is "
                "shown"
            )  # fmt: skip
        if not known.kind:
            return None, f"its sound is {known.name}, which is not decoded: only its size is shown"
        kind = np.dtype(known.kind)
        values = np.frombuffer(raw.tobytes(), kind, len(raw) // kind.itemsize).astype(np.float64)
        if kind.kind != "f":
            half = float(2 ** (8 * kind.itemsize - 1))
            values = (values - (half if kind.kind == "u" else 0.0)) / half
        return SoundSamples(
            _in_channels(values.astype(np.float32), known.channels), known.rate_hz
        ), ""

    def _read(self, data: bytes) -> dict[str, float | np.ndarray]:
        """Return the numbers and arrays of a message by the names of their fields."""
        return dict(_values(self._types, self._type, CdrReader(data)))


def _number(found: dict[str, float | np.ndarray], name: str) -> float:
    value = found.get(name, 0.0)
    return 0.0 if isinstance(value, np.ndarray) else value


def _in_channels(values: npt.NDArray[np.float32], channels: int) -> npt.NDArray[np.float32]:
    whole = len(values) // channels * channels
    return values[:whole].reshape(-1, channels)


def _compression(head: bytes) -> str:
    """Return the name of a known compressed format by its first bytes; empty: unknown."""
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        return "mp3"
    return next((name for start, name in _COMPRESSED.items() if head.startswith(start)), "")


def _fields(types: MessageTypes, name: str) -> Iterator[str]:
    for field in types[name]:
        yield field.name
        if field.type not in PRIMITIVES and field.type not in TEXTS:
            yield from _fields(types, field.type)


def _values(
    types: MessageTypes, name: str, reader: CdrReader
) -> Iterator[tuple[str, float | np.ndarray]]:
    """Yield numbers and arrays of a message; the innermost name tells them apart."""
    for field in types[name]:
        if field.type in PRIMITIVES:
            yield field.name, _primitive(field, reader)
            continue
        count = reader.u32() if field.many and field.size is None else field.size or 1
        if field.type in TEXTS and count * 4 > len(reader.data):
            raise DecodeError(f"{count} texts do not fit into {len(reader.data)} bytes")
        for _ in range(min(count, len(reader.data))):
            if field.type == "wstring":
                raise DecodeError("sound with a wstring is not read")
            if field.type == "string":
                reader.skip_bytes()
            else:
                yield from _values(types, field.type, reader)


def _primitive(field: Field, reader: CdrReader) -> float | np.ndarray:
    kind = PRIMITIVES[field.type][0]
    if not field.many:
        return float(reader.numbers(kind, 1)[0])
    return reader.numbers(kind, reader.u32() if field.size is None else field.size)
