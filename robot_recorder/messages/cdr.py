"""Read CDR, the encoding in which ROS 2 messages are sent and stored.

Source of the format: OMG DDS-XTypes 1.3, section 7.4.1 (plain CDR, "XCDR1"): a four-byte
encapsulation header whose second byte is 1 for little endian, then primitives aligned to their own
size, counted from the end of that header; strings and sequences are led by a uint32 length.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from robot_recorder.model.errors import DecodeError
from robot_recorder.model.streams import NS_PER_S

try:  # part of the package that is compiled where it can be
    from robot_recorder.messages._stamps import header_stamps as _header_stamps
except ImportError:
    _header_stamps = None

HEAD = 12  # bytes of a message up to the end of its header's timestamp
_STAMP_LE = struct.Struct("<iI")
_STAMP_BE = struct.Struct(">iI")


def header_stamp_ns(data: bytes) -> int:
    """Return the timestamp of a message that begins with a std_msgs/Header, ns.

    Raises:
        DecodeError: fewer than 12 bytes.
    """
    if len(data) < 12:
        raise DecodeError(f"{len(data)} bytes are too few for a message with a header")
    sec, nanosec = (_STAMP_LE if data[1] & 1 else _STAMP_BE).unpack_from(data, 4)
    return int(sec) * NS_PER_S + int(nanosec)


def header_frame_id(data: bytes) -> str:
    """Return the frame_id of a message that begins with a std_msgs/Header.

    Raises:
        DecodeError: the message is truncated.
    """
    reader = CdrReader(data)
    reader.stamp_ns()
    return reader.text()


def header_stamps(messages: list[bytes]) -> npt.NDArray[np.int64]:
    """Return the timestamps of messages that begin with a header, int64[n], ns; 0: too short for one."""
    if _header_stamps is not None:
        return np.frombuffer(_header_stamps(messages), np.int64)
    return header_stamps_ns(head_rows([message[:HEAD] for message in messages]))


def header_stamps_ns(heads: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the timestamps of many messages that begin with a std_msgs/Header.

    Args:
        heads: uint8[n, 12], the first bytes of each message.

    Returns:
        int64[n], ns.
    """
    little = np.ascontiguousarray(heads[:, 4:12])
    parts = little.view("<u4").reshape(-1, 2).astype(np.int64)
    big = heads[:, 1] & 1 == 0
    if big.any():
        parts[big] = little[big].view(">u4").reshape(-1, 2)
    seconds = parts[:, 0].astype(np.int32).astype(np.int64)  # signed, as in builtin_interfaces
    return seconds * NS_PER_S + parts[:, 1]


def head_rows(heads: list[bytes]) -> npt.NDArray[np.uint8]:
    """Return the first bytes of messages as uint8[n, 12]; zeros for shorter messages."""
    whole = b"".join(heads)
    if len(whole) != HEAD * len(heads):
        whole = b"".join(head if len(head) == HEAD else bytes(HEAD) for head in heads)
    return np.frombuffer(whole, np.uint8).reshape(-1, HEAD)


class NumberSpan(NamedTuple):
    """An array of numbers in a message.

    Attributes:
        start: offset, bytes.
        length: number of values.
        kind: their numpy type, with byte order.
        stride: from one value to the next, bytes.
    """

    start: int
    length: int
    kind: np.dtype
    stride: int


class CdrReader:
    """Reads the fields of one message in order. Reading past the end raises DecodeError."""

    def __init__(self, data: bytes) -> None:
        """Start behind the encapsulation header.

        Raises:
            DecodeError: fewer than 4 bytes.
        """
        if len(data) < 4:
            raise DecodeError(f"{len(data)} bytes are too few for a CDR message")
        self.data = data
        self.at = 4
        self.spans: list[NumberSpan] = []  # numbers read
        self.gaps: list[tuple[int, int]] = []
        self._order = "<" if data[1] & 1 else ">"
        self._u32 = struct.Struct(self._order + "I")
        self._f64 = np.dtype(self._order + "f8")
        self._i64 = np.dtype(self._order + "i8")
        self._f32 = np.dtype(self._order + "f4")

    def _take(self, size: int, align: int) -> int:
        start = self.at + (-(self.at - 4)) % align
        if start > self.at:
            self.gaps.append((self.at, start))  # padding may have any content
        self.at = start + size
        if self.at > len(self.data):
            raise DecodeError(f"message ends at byte {len(self.data)}, {self.at} are needed")
        return start

    def u8(self) -> int:
        """Read a uint8 or bool."""
        return self.data[self._take(1, 1)]

    def u32(self) -> int:
        """Read a uint32."""
        value: int = self._u32.unpack_from(self.data, self._take(4, 4))[0]
        return value

    def i64(self) -> int:
        """Read an int64."""
        value: int = struct.unpack_from(self._order + "q", self.data, self._take(8, 8))[0]
        return value

    def f64(self) -> float:
        """Read a float64."""
        value: float = struct.unpack_from(self._order + "d", self.data, self._take(8, 8))[0]
        return value

    def stamp_ns(self) -> int:
        """Read a builtin_interfaces/Time, ns."""
        sec, nanosec = struct.unpack_from(self._order + "iI", self.data, self._take(8, 4))
        return int(sec) * NS_PER_S + int(nanosec)

    def skip_bytes(self) -> int:
        """Skip a string or a sequence of bytes; return its length in bytes."""
        size = self.u32()
        self._take(size, 1)
        return size

    def text(self) -> str:
        """Read a string."""
        size = self.u32()
        start = self._take(size, 1)
        return self.data[start : start + max(size - 1, 0)].decode("utf-8", "replace")

    def raw(self) -> memoryview:
        """Read a sequence of bytes, without copying it."""
        size = self.u32()
        start = self._take(size, 1)
        return memoryview(self.data)[start : start + size]

    def texts(self) -> tuple[str, ...]:
        """Read a sequence of strings."""
        count = self.u32()
        if count * 4 > len(self.data):
            raise DecodeError(f"{count} strings do not fit into {len(self.data)} bytes")
        return tuple(self.text() for _ in range(count))

    def doubles(self, count: int) -> npt.NDArray[np.float64]:
        """Read ``count`` float64; a view into the message if the byte order allows."""
        if count == 0:
            return np.empty(0)  # an empty sequence has no element to align to
        start = self._take(8 * count, 8)
        self.spans.append(NumberSpan(start, count, self._f64, 8))
        return np.frombuffer(self.data, self._f64, count, start).astype(np.float64, copy=False)

    def floats(self, count: int) -> npt.NDArray[np.float64]:
        """Read ``count`` float32 as float64[count]."""
        start = self._take(4 * count, 4)
        self.spans.append(NumberSpan(start, count, self._f32, 4))
        return np.frombuffer(self.data, self._f32, count, start).astype(np.float64)

    def numbers(self, kind: str, count: int) -> np.ndarray:
        """Read ``count`` numbers of a numpy type without byte order, such as ``i2``."""
        if not count:
            return np.empty(0, kind)
        dtype = np.dtype(self._order + kind)
        start = self._take(dtype.itemsize * count, dtype.itemsize)
        return np.frombuffer(self.data, dtype, count, start)

    def long_sequence(self) -> npt.NDArray[np.int64]:
        """Read a sequence of int64."""
        count = self.u32()
        if count == 0:
            return np.empty(0, dtype=np.int64)
        start = self._take(8 * count, 8)
        return np.frombuffer(self.data, self._i64, count, start).astype(np.int64, copy=False)

    def double_sequence(self) -> npt.NDArray[np.float64]:
        """Read a sequence of float64."""
        return self.doubles(self.u32())
