"""Parts of a memory never overlap, and come back in the order given out."""

from __future__ import annotations

from collections import deque

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.encoding.regions import Regions


@given(st.integers(1, 60), st.lists(st.one_of(st.none(), st.integers(0, 40)), max_size=200))
def test_parts_are_whole_and_do_not_overlap(size: int, steps: list[int | None]) -> None:
    """A number takes a part of that size, None gives the oldest one back."""
    regions, taken = Regions(size), deque[tuple[int, int]]()
    for step in steps:
        if step is None:
            if taken:
                regions.give()
                taken.popleft()
            continue
        start = regions.take(step)
        if start is None:
            assert taken or step > size, "an empty memory has room for all that it can hold"
            continue
        end = start + max(step, 1)
        assert start >= 0 and end <= size
        assert all(end <= first or last <= start for first, last in taken)
        taken.append((start, end))


def test_an_empty_memory_begins_at_its_beginning() -> None:
    regions = Regions(100)
    assert [regions.take(40), regions.take(40), regions.take(40)] == [0, 40, None]
    regions.give()
    assert regions.take(40) == 0
    regions.give()
    regions.give()
    assert regions.take(100) == 0
