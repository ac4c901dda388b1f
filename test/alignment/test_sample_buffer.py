"""The buffer of a stream's samples behaves as a list of them."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.alignment.sample_buffer import SampleBuffer

samples = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8)
actions = st.lists(
    st.one_of(
        samples,  # to be added: stamps and receive times
        st.integers(0, 5),  # number of samples to be dropped
        st.lists(st.booleans(), max_size=30),  # which to keep
    ),
    max_size=12,
)


@given(actions)
def test_it_holds_what_was_added_and_not_dropped(todo: list) -> None:
    rows: list[tuple[int, int, int, int]] = []
    buffer, number = SampleBuffer(), 0
    for action in todo:
        if isinstance(action, int):
            buffer.drop(action)
            rows = rows[action:]
        elif action and isinstance(action[0], tuple):
            stamps = np.array([stamp for stamp, _ in action])
            receives = np.array([receive for _, receive in action])
            newest = max((stamp for stamp, *_ in rows), default=-1)
            rising = bool((np.diff(stamps) > 0).all()) and int(stamps[0]) > newest
            numbers = np.arange(number, number + len(action))
            buffer.add(stamps, receives, numbers, numbers % 3, rising)
            for stamp, receive in action:
                last = rows[-1][1] if rows else 0
                rows.append((stamp, max(receive, last), number, number % 3))
                number += 1
        else:
            which = (action + [True] * len(rows))[: len(rows)]
            buffer.keep(np.array(which, dtype=bool))
            rows = [row for row, kept in zip(rows, which) if kept]
        columns = (buffer.stamps, buffer.receives, buffer.numbers, buffer.shapes)
        assert [list(map(int, row)) for row in zip(*columns)] == [list(row) for row in rows]
        assert not buffer.rising or bool((np.diff(buffer.stamps) > 0).all())
        assert len(buffer) == len(buffer.used) == len(buffer.homed) == len(rows)
