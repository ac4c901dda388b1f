"""Messages that pass from one process to another."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.heard import FoundTopic, HeardMessage, Listening, packed, unpacked

_NUMBER = st.integers(0, 2**31)
_TIME = st.integers(-(2**63), 2**63 - 1)
_HEARD = (
    st.builds(HeardMessage, _NUMBER, st.binary(), _TIME, _TIME)
    | st.builds(FoundTopic, _NUMBER, st.text(), st.text(), st.text(), st.booleans(), st.text())
    | st.just(Listening())
)


@given(st.lists(_HEARD), st.data())
def test_what_is_heard_is_read_back_also_if_the_stream_ends_early(
    heard: list[object], draw: st.DataObject
) -> None:
    whole = b"".join(packed(one) for one in heard)  # type: ignore[arg-type]
    assert list(unpacked(io.BytesIO(whole))) == heard
    cut = draw.draw(st.integers(0, len(whole)))
    found = list(unpacked(io.BytesIO(whole[:cut])))
    assert found == heard[: len(found)]
