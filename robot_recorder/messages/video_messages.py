"""Read packets of compressed video from messages, and tell which of them decoding can begin at.

Sources: foxglove_msgs/msg/CompressedVideo; ffmpeg_image_transport_msgs/msg/FFMPEGPacket; ITU-T H.264,
7.3.1, table 7-1 and D.1; ITU-T H.265, 7.3.1.2 and table 7-1; AV1 Bitstream Specification, 5.3 and
5.9.2; VP9 Bitstream Specification, 6.2; RFC 6386, 9.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.model.errors import DecodeError

VIDEO = "foxglove_msgs/msg/CompressedVideo"
FFMPEG = "ffmpeg_image_transport_msgs/msg/FFMPEGPacket"
VIDEO_TYPES = (VIDEO, FFMPEG)
# Words in the names of formats and encoders, such as hevc_nvenc, and the codec they mean.
_CODECS = {
    "264": "h264", "avc": "h264", "265": "hevc", "hevc": "hevc", "av1": "av1", "vp9": "vp9",
    "vp8": "vp8", "mjpeg": "mjpeg",
}  # fmt: skip
_MOST_NAME = 200  # bytes; a longer format is none


@dataclass(frozen=True)
class VideoPacket:
    """One compressed picture.

    Attributes:
        codec: ``h264``, ``hevc``, ``av1``, ``vp9``, ``vp8`` or ``mjpeg``; other names as they were
            sent.
        data: the packet.
        is_key: whether decoding can begin here.
        headers: the part of ``data`` that describes the stream (parameter sets of H.264 and H.265);
            empty: it has none.
    """

    codec: str
    data: bytes
    is_key: bool
    headers: bytes = b""


def is_video(type_name: str, message: bytes) -> bool:
    """Return whether a message is a packet of video; some drivers send it as CompressedImage."""
    if type_name != COMPRESSED:
        return type_name in VIDEO_TYPES
    try:
        return _codec(_image_format(message)[0]) in ("h264", "hevc", "av1", "vp9")
    except DecodeError:
        return False


def video_packet(type_name: str, message: bytes) -> VideoPacket:
    """Return the packet in a message.

    Args:
        type_name: one of VIDEO_TYPES, or CompressedImage.
        message: the whole message, CDR.

    Raises:
        DecodeError: the message is truncated.
    """
    reader, flagged = CdrReader(message), False
    if type_name == COMPRESSED:
        name, data = _image_format(message)
    elif type_name == VIDEO:
        reader.stamp_ns()
        reader.skip_bytes()  # frame_id
        data = bytes(reader.raw())
        name = reader.text()
    else:
        reader.stamp_ns()
        reader.skip_bytes()  # frame_id
        reader.u32()  # width
        reader.u32()  # height
        name = reader.text().partition(";")[0]
        reader.i64()  # pts
        flagged = bool(reader.u8() & 1)  # AV_PKT_FLAG_KEY
        reader.u8()  # is_bigendian
        data = bytes(reader.raw())
    codec = _codec(name)
    headers, is_key = _described(codec, data)
    return VideoPacket(codec, data, bool(data) and (is_key or flagged), headers)


def _image_format(message: bytes) -> tuple[str, bytes]:
    """Return format and data of a CompressedImage."""
    reader = CdrReader(message)
    reader.stamp_ns()
    reader.skip_bytes()  # frame_id
    name = reader.text()
    return name[:_MOST_NAME], bytes(reader.raw())


def _codec(name: str) -> str:
    lower = name.strip().lower()
    return next((codec for word, codec in _CODECS.items() if word in lower), lower[:40])


def _described(codec: str, data: bytes) -> tuple[bytes, bool]:
    """Return the headers in a packet, and whether decoding can begin at it."""
    if not data:
        return b"", False
    if codec in ("h264", "hevc"):
        return _of_units(codec, data)
    if codec == "av1":
        return b"", _is_av1_key(data)
    if codec == "vp9":
        return b"", _is_vp9_key(data[0])
    if codec == "vp8":
        return b"", not data[0] & 1
    return b"", codec == "mjpeg"


def _of_units(codec: str, data: bytes) -> tuple[bytes, bool]:
    """Look at the units of H.264 or H.265 up to its first slice."""
    headers, is_key = b"", False
    for start, end in _units(data):
        first = data[start]
        if codec == "h264":
            kind = first & 31
            is_header, is_slice = kind in (7, 8), 1 <= kind <= 5
            # An IDR picture, or a recovery point, from which an intra refresh builds the picture up.
            is_key |= kind == 5 or (kind == 6 and data[start + 1 : start + 2] == b"\x06")
        else:
            kind = first >> 1 & 63
            is_header, is_slice = kind in (32, 33, 34), kind < 32
            is_key |= 16 <= kind <= 21
        if is_header:
            headers += b"\0\0\0\1" + data[start:end]
        if is_slice:
            break
    return headers, is_key


def _units(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each unit of an Annex B stream begins and ends, behind its start code."""
    at = data.find(b"\0\0\1")
    while at >= 0:
        start = at + 3
        at = data.find(b"\0\0\1", start)
        end = len(data) if at < 0 else at
        if start < end:
            yield start, end


def _is_av1_key(data: bytes) -> bool:
    """Return whether there are a sequence header and a key frame among the units of an AV1 packet."""
    at, described = 0, False
    while at < len(data):
        head, at = data[at], at + (2 if data[at] & 4 else 1)
        kind, size = head >> 3 & 15, len(data) - at
        if head & 2:
            size, at = _leb128(data, at)
        described |= kind == 1
        if kind in (3, 6) and at < len(
            data
        ):  # frame header, frame: show_existing_frame, frame_type
            return described and data[at] >> 5 == 0
        at += size
    return False


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of variable length, and the place behind it."""
    value = 0
    for number, octet in enumerate(data[at : at + 8]):
        value |= (octet & 127) << 7 * number
        if octet < 128:
            return value, at + number + 1
    return len(data), len(data)


def _is_vp9_key(first: int) -> bool:
    """Return whether a VP9 frame that begins with this byte is a key frame."""
    if first >> 6 != 2:
        return False
    below = 2 if (first >> 4 & 3) == 3 else 3  # profile 3 has a bit more
    return first >> below & 1 == 0 and first >> (below - 1) & 1 == 0
