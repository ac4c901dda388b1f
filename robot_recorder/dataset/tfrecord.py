"""TensorFlow's Example messages in TFRecord files, without TensorFlow.

Source: tensorflow/core/example/feature.proto and example.proto,
tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import numpy as np

from robot_recorder.dataset.crc32c import crc32c
from robot_recorder.dataset.spools import Spools

_BYTES, _FLOATS, _INTS = 0x0A, 0x12, 0x1A  # tags of a Feature's three lists
_FIELD_1, _FIELD_2 = b"\x0a", b"\x12"  # tags of messages in the fields 1 and 2
_BLOCK = 1 << 20
MOST_BYTES = (1 << 31) - 1  # of a message that protobuf reads


class ExampleFile:
    """One Example that grows feature by feature, and is then written as one record."""

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: where what does not fit in memory waits.
        """
        self._spools, self._kinds = Spools(folder), dict[str, int]()

    def __enter__(self) -> ExampleFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._spools.__exit__(*error)

    def add(self, name: str, values: np.ndarray | Iterable[bytes]) -> None:
        """Append values to a feature.

        Args:
            name: path of the feature, with slashes.
            values: floats become float32; integers and truth values int64; else bytes.
        """
        if not isinstance(values, np.ndarray):
            self._kinds[name] = _BYTES
            for value in values:
                self._spools.add(name, _FIELD_1 + varint(len(value)) + value)
        elif values.dtype.kind == "f":
            self._kinds[name] = _FLOATS
            self._spools.add(name, np.ascontiguousarray(values, dtype="<f4").tobytes())
        else:
            self._kinds[name] = _INTS
            self._spools.add(name, varints(values.astype(np.int64).ravel()))

    def size(self) -> int:
        """Return the bytes of the message."""
        return sum(len(head) + size for head, size in self._entries().values())

    def write(self, file: IO[bytes]) -> None:
        """Write the record: the length with its checksum, the message with its own."""
        entries = self._entries()
        size = sum(len(head) + body for head, body in entries.values())
        whole = _FIELD_1 + varint(size)
        length = struct.pack("<Q", len(whole) + size)
        file.write(length + struct.pack("<I", masked(crc32c(length))))
        checksum = 0
        for block in _blocks(self._parts(whole, entries)):
            checksum = crc32c(block, checksum)
            file.write(block)
        file.write(struct.pack("<I", masked(checksum)))

    def _entries(self) -> dict[str, tuple[bytes, int]]:
        """Return by feature the bytes before its values, and how many its values are."""
        found = {}
        for name in self._spools.names:
            kind, size = self._kinds[name], self._spools.size(name)
            packed = b"" if kind == _BYTES else _FIELD_1 + varint(size)
            listed = bytes([kind]) + varint(len(packed) + size) + packed
            key = _FIELD_1 + varint(len(name.encode())) + name.encode()
            entry = key + _FIELD_2 + varint(len(listed) + size) + listed
            found[name] = _FIELD_1 + varint(len(entry) + size) + entry, size
        return found

    def _parts(self, whole: bytes, entries: dict[str, tuple[bytes, int]]) -> Iterator[bytes]:
        yield whole
        for name, (head, _) in entries.items():
            yield head
            yield from self._spools.blocks(name)


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts to blocks of one size, whose checksums are computed fast."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) >= _BLOCK:
            yield bytes(held[:_BLOCK])
            del held[:_BLOCK]
    if held:
        yield bytes(held)


def masked(checksum: int) -> int:
    """Return a checksum as it stands in a TFRecord file."""
    return ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    """Return a number >= 0 in protobuf's form."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


def varints(values: np.ndarray) -> bytes:
    """Return int64[n] in protobuf's form: 7 bits a byte, the lowest first."""
    bits = values.astype(np.int64).view(np.uint64)
    if not len(bits) or int(bits.max()) < 0x80:
        return bytes(bits.astype(np.uint8).tobytes())
    places = np.arange(10)
    groups = (bits[:, None] >> (7 * places).astype(np.uint64)) & np.uint64(0x7F)
    last = np.where(groups > 0, places, 0).max(axis=1)[:, None]
    groups |= np.where(places < last, np.uint64(0x80), np.uint64(0))
    return bytes(groups.astype(np.uint8)[places <= last].tobytes())
