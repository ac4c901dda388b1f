"""Chunks of an MCAP file: decompressed within bounds, and compared with their CRC."""

from __future__ import annotations

from robot_recorder.bags.mcap_records import ChunkHead, crc32
from robot_recorder.model.errors import BagError

MOST_CHUNK_BYTES = 256_000_000  # uncompressed; chunks usually have one to some ten MB


def unpack_chunk(head: ChunkHead, stored: bytes) -> bytes | None:
    """Return a chunk's records; None: damaged, by its size or its CRC, where it has one.

    Raises:
        BagError: a compression library is missing, or the chunk is larger than 256 MB.
    """
    records = _unpacked(head, stored)
    if records is None or (head.crc and crc32(records) != head.crc):
        return None
    return records


def _unpacked(head: ChunkHead, stored: bytes) -> bytes | None:
    if head.compression == "":
        return stored
    if head.size > MOST_CHUNK_BYTES:
        raise BagError(
            f"a chunk of {len(stored)} bytes claims {head.size / 1e6:.0f} MB uncompressed; "
            f"more than {MOST_CHUNK_BYTES / 1e6:.0f} MB are not unpacked"
        )
    try:
        records = decompress(head.compression, stored, head.size)
    except ImportError as error:
        raise BagError(
            f"its chunks are compressed with {head.compression}: pip install {error.name}"
        ) from error
    except Exception:  # the libraries raise many types for damaged data
        return None
    return records if len(records) == head.size else None


def decompress(compression: str, stored: bytes, most_bytes: int) -> bytes:
    """Decompress up to ``most_bytes`` and one more byte, which shows that there is more.

    Raises:
        ValueError: the compression is neither zstd nor lz4.
        Exception: whatever the library raises for damaged data.
    """
    if compression == "zstd":
        import zstandard

        with zstandard.ZstdDecompressor().stream_reader(stored) as stream:
            return bytes(stream.read(most_bytes + 1))
    if compression == "lz4":
        import lz4.frame

        return bytes(lz4.frame.LZ4FrameDecompressor().decompress(stored, most_bytes + 1))
    raise ValueError(f"compression {compression!r} is unknown")
