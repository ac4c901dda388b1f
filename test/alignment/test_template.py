"""Messages of one layout are recognised by their bytes, by numpy and by the compiled part alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.samples import T0, joint_state

from robot_recorder.alignment import template as template_module
from robot_recorder.alignment.template import Template
from robot_recorder.messages.cdr import NumberSpan
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import decoder_of
from robot_recorder.model.payloads import Messages
from robot_recorder.model.streams import Policy, Role, StreamConfig

NAMES = ("left_elbow", "left_wrist_pitch", "w")
compiled: Any = getattr(template_module, "_Pattern")  # noqa: B009


def decoded(data: bytes) -> Decoded:
    stream = StreamConfig(
        "joints",
        "t",
        "sensor_msgs/msg/JointState",
        Role.OBSERVATION,
        100,
        True,
        Policy.LINEAR,
        10**7,
    )
    decode = decoder_of(stream, {})
    assert decode is not None
    return decode(data)


def message(positions: list[float], names: tuple[str, ...] = NAMES, at: int = T0) -> bytes:
    return joint_state(at, names, positions)


def template_of(data: bytes) -> Template:
    found = decoded(data)
    return Template.of(data, found, 0, np.arange(len(found.names)))


@pytest.fixture(params=["compiled", "numpy"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(template_module, "_Pattern", None)
    else:
        assert compiled is not None, "the compiled part is not installed"
    return str(request.param)


def test_messages_differ_by_names_and_sizes_but_not_by_numbers(way: str) -> None:
    template = template_of(message([0.1, 0.2, 0.3]))
    same = [message([float(n), -1.0, 1e300], at=T0 + n) for n in range(5)]
    other = message([0.1, 0.2, 0.3], ("left_elbow", "left_wrist_pitch", "v"))
    assert template.like(same) and template.like([])
    for odd in (other, same[0] + b"\0\0\0\0", same[0][:-1], b""):
        assert not template.like([odd]) and not template.like([*same, odd])
        assert template.one(odd) is None


@pytest.mark.parametrize("pattern", [None, compiled])
@given(
    values=st.lists(st.floats(width=64), min_size=3, max_size=3),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=3),
)
def test_what_matches_gives_the_values_of_a_whole_decoding(
    pattern: object, values: list[float], flips: list[tuple[int, int]]
) -> None:
    """Bytes of padding may be anything; any other flipped byte is a number, the stamp, or a difference."""
    usual = message([0.1, 0.2, 0.3])
    template, data = template_of(usual), bytearray(message(values))
    for place, bits in flips:
        data[place % len(data)] ^= bits
    changed = bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template_module, "_Pattern", pattern)
        found = template.one(changed)
        fits, rows = template.read(Messages([usual, changed, usual]), np.array([0, 1]))
    same = template.same
    differs = [n for n in np.flatnonzero(same) if changed[n] != usual[n]]
    assert (found is None) == bool(differs)
    assert fits.tolist() == [True, found is not None]
    np.testing.assert_array_equal(rows[0], decoded(usual).values)
    if found is not None:
        np.testing.assert_array_equal(found, decoded(changed).values)
        np.testing.assert_array_equal(rows[1], found)


KINDS = ("i1", "u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8", ">f8", ">i2", "<f2")


@st.composite
def patterns(draw: st.DrawFn) -> tuple[bytes, np.ndarray, tuple[NumberSpan, ...]]:
    """Draw a message, its relevant bytes, and spans of all kinds of numbers within it."""
    data = draw(st.binary(min_size=8, max_size=64))
    same = np.array(draw(st.lists(st.booleans(), min_size=len(data), max_size=len(data))))
    spans = []
    for _ in range(draw(st.integers(1, 3))):
        kind = np.dtype(draw(st.sampled_from(KINDS)))
        start = draw(st.integers(0, len(data) - kind.itemsize))
        stride = draw(st.integers(kind.itemsize, 16))
        most = (len(data) - kind.itemsize - start) // stride + 1
        spans.append(NumberSpan(start, draw(st.integers(0, most)), kind, stride))
    return data, same, tuple(spans)


@given(
    patterns(),
    st.lists(st.binary(max_size=64), max_size=4),
    st.data(),
    st.sampled_from([None, 0.0]),
)
@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")  # casts of not-a-numbers
def test_both_ways_read_the_same_numbers_of_any_kind(
    drawn: tuple[bytes, np.ndarray, tuple[NumberSpan, ...]],
    others: list[bytes],
    data: st.DataObject,
    absent: float | None,
) -> None:
    usual, same, spans = drawn
    mask = np.where(same, 0, 255).astype(np.uint8)  # bytes that may be anything
    noise = data.draw(st.binary(min_size=len(usual), max_size=len(usual)))
    loose = (np.frombuffer(usual, np.uint8) & ~mask) | (np.frombuffer(noise, np.uint8) & mask)
    messages = [usual, loose.tobytes(), *others]
    chosen = data.draw(st.sets(st.sampled_from(range(len(messages)))))
    numbers = np.array(sorted(chosen), dtype=np.int64)
    found = []
    for pattern in (None, compiled):
        template = Template(
            np.frombuffer(usual, np.uint8), same, spans, None, 0, np.arange(1), absent
        )
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(template_module, "_Pattern", pattern)
            rows = template.read(Messages(messages), numbers)
            found.append((*rows, [template.like([m]) for m in messages]))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    assert found[0][1].tobytes() == found[1][1].tobytes()  # also signs of zeros, and NaNs
    assert found[0][2] == found[1][2] and all(found[0][2][:2])


def test_the_compiled_part_refuses_wrong_use() -> None:
    assert compiled is not None
    span = (4, 2, 8, "d")
    assert compiled(b"a" * 20, b"\xff" * 20, (span,)) is not None
    bad_kinds = [(4, 2, 8, "x"), (4, 2, 8, "\u0164"), (4, 2, 8, "")]
    outside = [
        (5, 2, 8, "d"),
        (-1, 1, 8, "b"),
        (0, -1, 8, "b"),
        (0, 2, -8, "b"),
        (0, 2**62, 0, "b"),
        (21, 0, 8, "b"),
    ]
    huge = [(0, 2**62, 2**62, "b"), (2**63 - 1, 1, 1, "d"), (0, 2, 2**63 - 1, "d")]
    for wrong in (*bad_kinds, *outside, *huge, (), None):
        with pytest.raises((TypeError, ValueError)):
            compiled(b"a" * 20, b"\xff" * 20, (wrong,))
    for data, mask, spans in ((b"a", b"", ()), ("a", b"a", ()), (b"a", b"a", [])):
        with pytest.raises((TypeError, ValueError)):
            compiled(data, mask, spans)
    pattern, messages = compiled(b"a" * 20, b"\0" * 20, (span,)), [b"b" * 20] * 2
    room, places = np.zeros((2, 2)), np.array([0, 1])
    assert pattern.read(messages, places, room) == b"\1\1"
    for wrong_read in (
        ((), None, room), (messages, None, room[:1]), (messages, None, room[:, ::2]), ([1], None, room),
        (messages, None), (messages, np.array([0, 2]), room), (messages, np.array([-1]), room),
        (messages, places.astype(np.int32), room), (messages, None, np.zeros((2, 2), np.float32)),
        (messages, None, bytes(32)), (messages, None, None),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, IndexError, BufferError)):
            pattern.read(*wrong_read)
    for wrong_list in ((), [1], None):
        with pytest.raises(TypeError):
            pattern.alike(wrong_list)
