"""CDR is read as the format defines it, in both byte orders, and never past its end."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.messages import cdr
from robot_recorder.messages.cdr import (
    HEAD,
    CdrReader,
    head_rows,
    header_frame_id,
    header_stamp_ns,
    header_stamps,
    header_stamps_ns,
)
from robot_recorder.model.errors import DecodeError

fields = st.lists(
    st.one_of(
        st.tuples(st.just("u8"), st.integers(0, 255)),
        st.tuples(st.just("u32"), st.integers(0, 2**32 - 1)),
        st.tuples(st.just("i64"), st.integers(-(2**63), 2**63 - 1)),
        st.tuples(st.just("f64"), st.floats(allow_nan=False)),
        st.tuples(
            st.just("text"),
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9),
        ),
        st.tuples(st.just("texts"), st.lists(st.text("abc", max_size=4), max_size=3).map(tuple)),
        st.tuples(st.just("double_sequence"), st.lists(st.floats(allow_nan=False), max_size=4)),
        st.tuples(st.just("long_sequence"), st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)),
        st.tuples(st.just("raw"), st.binary(max_size=9)),
    ),
    max_size=8,
)


class Written:
    """CDR, written the plain way."""

    def __init__(self, little: bool) -> None:
        self.order = "<" if little else ">"
        self.data = bytes([0, little, 0, 0])

    def put(self, form: str, size: int, *values: object) -> None:
        self.data += bytes(-(len(self.data) - 4) % size)
        self.data += struct.pack(self.order + form, *values)

    def text(self, text: str) -> None:
        raw = text.encode() + b"\0"
        self.put("I", 4, len(raw))
        self.data += raw

    def field(self, kind: str, value: object) -> None:
        plain = {"u8": ("B", 1), "u32": ("I", 4), "i64": ("q", 8), "f64": ("d", 8)}
        if kind in plain:
            self.put(*plain[kind], value)
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, bytes):
            self.put("I", 4, len(value))
            self.data += value
        elif isinstance(value, (tuple, list)):
            self.put("I", 4, len(value))
            for one in value:
                if kind == "texts":
                    self.text(str(one))
                else:
                    self.put("d" if kind == "double_sequence" else "q", 8, one)


@given(fields, st.booleans())
def test_every_field_is_read_back(sent: list[tuple[str, object]], little: bool) -> None:
    written = Written(little)
    for kind, value in sent:
        written.field(kind, value)
    reader = CdrReader(written.data)
    for kind, value in sent:
        got = getattr(reader, kind)()
        if isinstance(got, np.ndarray):
            got = got.tolist()
        assert (bytes(got) if kind == "raw" else got) == value
    assert reader.at == len(written.data)


@given(fields, st.booleans(), st.data())
def test_a_truncated_message_is_an_error(
    sent: list[tuple[str, object]], little: bool, data: st.DataObject
) -> None:
    written = Written(little)
    for kind, value in [*sent, ("f64", 1.0)]:
        written.field(kind, value)
    cut = data.draw(st.integers(0, len(written.data) - 1))
    with pytest.raises(DecodeError):
        reader = CdrReader(written.data[:cut])
        for kind, _ in [*sent, ("f64", 1.0)]:
            getattr(reader, kind)()


heads = st.tuples(
    st.booleans(), st.integers(-(2**31), 2**31 - 1), st.integers(0, 10**9 - 1), st.integers(0, 9)
)


@given(st.lists(heads, min_size=1, max_size=9))
def test_stamps_of_many_messages_equal_those_of_each(
    drawn: list[tuple[bool, int, int, int]],
) -> None:
    messages = []
    for little, sec, nanosec, more in drawn:
        order = "<" if little else ">"
        messages.append(
            bytes([0, little, 0, 0]) + struct.pack(f"{order}iI", sec, nanosec) + bytes(more)
        )
    stamps = [sec * 10**9 + nanosec for _, sec, nanosec, _ in drawn]
    assert [header_stamp_ns(message) for message in messages] == stamps
    rows = np.frombuffer(b"".join(m[:HEAD] for m in messages), np.uint8).reshape(-1, HEAD)
    assert header_stamps_ns(rows).tolist() == stamps


def test_a_message_too_short_for_a_header_has_no_stamp() -> None:
    assert head_rows([b"\0\1\0\0short"]).tolist() == [[0] * HEAD]
    with pytest.raises(DecodeError, match="5 bytes are too few"):
        header_stamp_ns(b"short")


def test_the_frame_follows_the_stamp() -> None:
    written = Written(little=True)
    written.put("iI", 4, 5, 6)
    written.text("hand")
    assert header_frame_id(written.data) == "hand"


def test_big_endian_messages_are_decoded() -> None:
    reader = CdrReader(
        b"\0\0\0\0" + np.array([1, 2], ">u4").tobytes() + np.array([2.5], ">f8").tobytes()
    )
    assert (reader.u32(), reader.u32(), reader.doubles(1)[0]) == (1, 2, 2.5)


compiled = getattr(cdr, "_header_stamps")  # noqa: B009


@pytest.mark.parametrize("way", [compiled, None])
@given(st.lists(st.one_of(st.binary(min_size=8, max_size=16), st.binary(max_size=3)), max_size=8))
def test_stamps_of_many_messages_are_those_of_each(way: object, messages: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cdr, "_header_stamps", way)
        found = header_stamps(messages)
    assert found.dtype == np.int64
    assert found.tolist() == [header_stamp_ns(m) if len(m) >= HEAD else 0 for m in messages]


def test_the_compiled_part_reads_lists_of_bytes_alone() -> None:
    assert compiled is not None, "the compiled part is not installed"
    for wrong in ((), None, [1], ["text"], [bytearray(12)]):
        with pytest.raises(TypeError):
            compiled(wrong)
