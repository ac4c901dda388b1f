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
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import decoder_of
from robot_recorder.model.streams import Policy, Role, StreamConfig

NAMES = ("left_elbow", "left_wrist_pitch", "w")
compiled: Any = getattr(template_module, "_alike")  # noqa: B009


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
        monkeypatch.setattr(template_module, "_alike", None)
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


@pytest.mark.parametrize("_alike", [None, compiled])
@given(
    values=st.lists(st.floats(width=64), min_size=3, max_size=3),
    flips=st.lists(st.tuples(st.integers(0, 10**6), st.integers(1, 255)), max_size=3),
)
def test_what_matches_gives_the_values_of_a_whole_decoding(
    _alike: object, values: list[float], flips: list[tuple[int, int]]
) -> None:
    """Bytes of padding may be anything; any other flipped byte is a number, the stamp, or a difference."""
    usual = message([0.1, 0.2, 0.3])
    template, data = template_of(usual), bytearray(message(values))
    for place, bits in flips:
        data[place % len(data)] ^= bits
    changed = bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(template_module, "_alike", _alike)
        found = template.one(changed)
    same = template.same
    differs = [n for n in np.flatnonzero(same) if changed[n] != usual[n]]
    assert (found is None) == bool(differs)
    if found is not None:
        np.testing.assert_array_equal(found, decoded(changed).values)


def test_the_compiled_part_refuses_wrong_use() -> None:
    assert compiled is not None
    wrong: list[tuple[Any, ...]] = [
        (),
        ((), b"", b""),
        ([], b"a", b""),
        ([], "a", "a"),
        ([1], b"a", b"a"),
    ]
    for given_ in wrong:
        with pytest.raises(TypeError):
            compiled(*given_)
