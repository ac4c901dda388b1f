"""Files are repaired in place, and read by another library afterwards.

Holds also: mcap_scan.py.
"""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader
from support.samples import T0, wrench, wrench_topic

from robot_recorder.bags.mcap_file import Declarations
from robot_recorder.bags.mcap_repair import repair
from robot_recorder.bags.mcap_scan import scan
from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.errors import BagError
from robot_recorder.model.topics import Channel, Sample

CHUNKS, EACH = 6, 20


def recorded(folder: Path, close: bool) -> bytes:
    """Return the bytes of a file with six chunks of twenty messages."""
    writer, channel = McapWriter(), Channel(wrench_topic("/a"))
    writer.open(folder, {})
    writer.add_topic(channel)
    for chunk in range(CHUNKS):
        times = [T0 + chunk * EACH + i for i in range(EACH)]
        writer.write([Sample(channel, wrench(at), at, at) for at in times])
        writer.sync()
    (file,) = folder.glob("*.mcap")
    unfinished = file.read_bytes()
    writer.close()
    return file.read_bytes() if close else unfinished


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return recorded(tmp_path_factory.mktemp("whole") / "bag", close=True)


def read_by_mcap(path: Path) -> list[bytes]:
    with open(path, "rb") as file:
        return [m.data for *_, m in make_reader(file, validate_crcs=True).iter_messages()]


SENT = [wrench(T0 + i) for i in range(CHUNKS * EACH)]


def test_an_intact_file_stays_as_it_is(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(whole)
    found = repair(path, Declarations())
    assert found.sound and sum(found.counts.values()) == len(SENT)
    assert path.read_bytes() == whole


def test_an_unfinished_file_gets_an_index(tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    path.write_bytes(recorded(tmp_path / "bag", close=False))
    assert not scan(path).sound
    repair(path, Declarations())
    assert scan(path).sound and read_by_mcap(path) == SENT


HEADER_IS_OURS, FIRST_CHUNK = 17, 43  # magic, opcode and length; where the header ends


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_overwritten_bytes_cost_at_most_the_chunks_they_are_in(
    whole: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    rubbish = data.draw(st.binary(min_size=1, max_size=60))
    broken = bytearray(whole)
    broken[at : at + len(rubbish)] = rubbish
    path = tmp_path / "a.mcap"
    path.write_bytes(broken[: len(whole)])
    if at < HEADER_IS_OURS and at + len(rubbish) > FIRST_CHUNK:
        return  # nothing is left that tells whose header it was
    found = repair(path, Declarations())
    assert scan(path).sound
    kept = read_by_mcap(path)
    assert len(kept) == sum(found.counts.values()) >= len(SENT) - 2 * EACH
    assert set(kept) <= set(SENT) and kept == [m for m in SENT if m in set(kept)]


def test_a_file_without_messages_cannot_be_repaired(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.mcap"
    for content in (b"", whole[:50], b"rubbish" * 1000):
        path.write_bytes(content)
        with pytest.raises(BagError, match="cannot be repaired: it has no messages"):
            repair(path, Declarations())
        assert path.read_bytes() == content


def heads_that_do_not_fit(size: int) -> bytes:
    """Return opcodes of chunks with lengths that stay within the file."""
    return struct.pack("<BQ", 6, size // 2) * (size // 9)


def chunks_within_chunks(size: int) -> bytes:
    """Return chunks whose sizes fit, each around all that follow, and whose CRC is wrong."""
    made = bytearray(size)
    for at in range(0, size - 49, 49):
        length = size - at - 9
        struct.pack_into("<BQQQQIIQ", made, at, 6, length, 0, 0, length - 40, 1, 0, length - 40)
    return bytes(made)


def good_chunks_around_bad_records(size: int) -> bytes:
    """Return chunks with right CRCs, each around all that follow, whose first record is broken."""
    broken, made = struct.pack("<BQ", 3, 0), b""
    while len(made) < size:
        records = broken + made
        head = struct.pack("<QQQIIQ", 0, 0, len(records), zlib.crc32(records), 0, len(records))
        made = struct.pack("<BQ", 6, len(head) + len(records)) + head + records
    return made


@pytest.mark.parametrize(
    "made", [heads_that_do_not_fit, chunks_within_chunks, good_chunks_around_bad_records]
)
def test_a_file_that_was_made_to_take_long_is_scanned_quickly(
    made: Callable[[int], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("robot_recorder.bags.mcap_scan._SEARCHED_BYTES", 10_000_000)
    path, took_s = tmp_path / "a.mcap", []
    for size in (250_000, 2_000_000) if made is not good_chunks_around_bad_records else (500_000,):
        path.write_bytes(b"\x89MCAP0\r\n" + made(size))
        begun_s = time.process_time()
        assert not scan(path).sound
        took_s.append(time.process_time() - begun_s)
    assert took_s[-1] < 2.0, "quadratic: ten times as long"
