"""Messages of one size are returned as rows.

Holds also: arrays.py.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.payloads import Messages, Rows


@given(st.lists(st.binary(max_size=4), min_size=1, max_size=20), st.data())
def test_rows_are_the_messages_that_have_the_size(sent: list[bytes], data: st.DataObject) -> None:
    messages = Messages(sent)
    chosen = sorted(data.draw(st.sets(st.integers(0, len(sent) - 1))))
    size = data.draw(st.integers(1, 4))
    numbers = np.array(chosen, dtype=np.int64)
    fits, rows = messages.rows(numbers, size)
    assert fits.tolist() == [len(sent[n]) == size for n in chosen]
    assert [row.tobytes() for row in rows] == [sent[n] for n in chosen if len(sent[n]) == size]
    assert isinstance(messages, Rows) and len(messages) == len(sent)
