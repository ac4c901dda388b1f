"""Messages of sound as audio_common of mgonzs13 sends them."""

from __future__ import annotations

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

_LINE = "=" * 80
STAMPED = "audio_common_msgs/msg/AudioStamped"
DEFINITION = f"""std_msgs/Header header
audio_common_msgs/Audio audio
{_LINE}
MSG: audio_common_msgs/Audio
audio_common_msgs/AudioData audio_data
audio_common_msgs/AudioInfo info
{_LINE}
MSG: audio_common_msgs/AudioData
float32[] float32_data
int32[] int32_data
int32[] int24_data
int16[] int16_data
int8[] int8_data
uint8[] uint8_data
{_LINE}
MSG: audio_common_msgs/AudioInfo
int32 format
int32 channels
int32 rate
int32 chunk
{_LINE}
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
{_LINE}
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
BYTES, BYTES_DEFINITION = "audio_common_msgs/msg/AudioData", "uint8[] data\n"
_DTYPES = {
    "float32": "f4",
    "int32": "i4",
    "int24": "i4",
    "int16": "i2",
    "int8": "i1",
    "uint8": "u1",
}


def stamped(kind: str, samples: np.ndarray, channels: int = 1, rate: int = 16_000) -> bytes:
    """Return a message with its samples in the field of one kind."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(DEFINITION, STAMPED))
    types = store.types
    arrays = {f"{k}_data": np.empty(0, dtype) for k, dtype in _DTYPES.items()}
    arrays[f"{kind}_data"] = samples.astype(_DTYPES[kind])
    time = types["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    info = types["audio_common_msgs/msg/AudioInfo"](format=8, channels=channels, rate=rate, chunk=len(samples))  # fmt: skip
    audio = types["audio_common_msgs/msg/Audio"](
        audio_data=types["audio_common_msgs/msg/AudioData"](**arrays), info=info
    )
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="mic")
    return bytes(store.serialize_cdr(types[STAMPED](header=header, audio=audio), STAMPED))


def sent_bytes(data: bytes) -> bytes:
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def info(sample: str, coding: str, channels: int = 1, rate: int = 16_000) -> bytes:
    """Return an AudioInfo of ros-drivers."""

    def text(value: str) -> bytes:
        raw = value.encode() + b"\0"
        return len(raw).to_bytes(4, "little") + raw

    body = bytes([channels, 0, 0, 0]) + rate.to_bytes(4, "little") + text(sample)
    body += bytes(-len(body) % 4) + (128).to_bytes(4, "little") + text(coding)
    return b"\0\1\0\0" + body
