"""Samples by channel and as columns, in Python and by the compiled part alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model import samples as samples_module
from robot_recorder.model.samples import by_channel, columns
from robot_recorder.model.topics import BagTopic, Channel, Sample

CHANNELS = [Channel(BagTopic(f"/t{n}", "std_msgs/msg/String")) for n in range(3)]
COMPILED = {name: getattr(samples_module, name) for name in ("_by_channel", "_columns")}
samples = st.builds(
    Sample,
    st.sampled_from(CHANNELS),
    st.binary(max_size=4),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
)


def test_the_compiled_part_is_there() -> None:
    assert all(COMPILED.values())


@pytest.mark.parametrize("way", ["compiled", "python"])
@given(st.lists(samples, max_size=20))
def test_samples_are_grouped_and_laid_out(way: str, given_: list[Sample]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, function in COMPILED.items():
            patch.setattr(samples_module, name, function if way == "compiled" else None)
        groups, (messages, received, sent) = by_channel(given_), columns(given_)
    assert groups == {c: [s for s in given_ if s.channel is c] for c in groups}
    assert list(groups) == list(dict.fromkeys(s.channel for s in given_))
    assert messages == [s.data for s in given_]
    assert received.dtype == sent.dtype == np.int64 and received.flags.writeable
    assert received.tolist() == [s.receive_ns for s in given_]
    assert sent.tolist() == [s.send_ns for s in given_]


@pytest.mark.parametrize("function", COMPILED.values())
def test_the_compiled_part_refuses_what_are_no_samples(function: Any) -> None:
    for wrong in ((), None, [1], [(1, 2, 3)], [None]):
        with pytest.raises(TypeError):
            function(wrong)


def test_a_time_or_channel_that_is_none_is_an_error() -> None:
    channel, late = CHANNELS[0], 2**63
    for sample in (Sample(channel, b"", late, 0), Sample(channel, b"", 0, -late - 1)):
        with pytest.raises(OverflowError):
            COMPILED["_columns"]([sample])
    with pytest.raises(TypeError):
        COMPILED["_columns"]([(channel, b"", "now", 0)])
    with pytest.raises(TypeError, match="times must be ints"):
        COMPILED["_columns"]([Sample(channel, b"", 0, np.int64(0))])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unhashable"):
        COMPILED["_by_channel"]([([], b"", 0, 0)])
