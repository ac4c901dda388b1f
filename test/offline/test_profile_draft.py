"""How a drafted profile is written."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.offline.profile_draft import DraftStream, ProfileDraft, written


def draft() -> DraftStream:
    return DraftStream("arm", "/arm", "acme/msg/Arm", "observation", 100.0)


def test_long_lists_are_wrapped_and_read_back() -> None:
    stream = draft()
    stream.meaning = "joint_state"
    stream.map = {"names": [f"joint_{n}" for n in range(40)], "position": "motor[0:40].q"}
    stream.remark("map.names", "replace these")
    text = ProfileDraft("robot", [stream], {"/odd": "it says nothing"}, ("Guessed.",), 300).text()
    assert max(map(len, text.splitlines())) <= 100
    (found,) = parse_profile(text, "draft").streams
    assert found.mapping is not None and len(found.mapping.names) == 40
    assert text.startswith("# Guessed.\nrobot: robot\n") and "deadline_ms: 300" in text
    assert "      # replace these\n      names: [" in text
    assert text.endswith('# left out: "/odd": it says nothing\n')


def test_every_key_of_a_stream_is_written_and_read_back() -> None:
    stream = draft()
    stream.disorder_ms, stream.required, stream.clock, stream.unit = 5, False, "robot", "deg"
    stream.stamp = {"field": "sensors[0].time", "unit": "s"}
    stream.meaning, stream.map = "joint_state", {"names": "n", "position": ["a.q", "b.q"]}
    other = DraftStream("leader", "/leader", "acme/msg/Arm", "action", 50.0, of="arm")
    other.meaning, other.map = "joint_state", {"position": "q"}
    arm, leader = parse_profile(ProfileDraft("robot", [stream, other]).text(), "draft").streams
    assert not arm.required and arm.disorder_ns == 5_000_000 and arm.clock.value == "robot"
    assert arm.stamp.text == "sensors[0].time" and leader.of == "arm"
    assert arm.mapping is not None and arm.mapping.unit == "rad" and arm.mapping.factor < 0.02


@given(st.text())
def test_no_remark_ends_its_comment(text: str) -> None:
    stream = draft()
    for key in ("", "rate_hz", "topic"):
        stream.remark(key, text)
    assert (
        parse_profile(ProfileDraft("robot", [stream], {"/x": text}).text(), "d").streams[0].topic
        == "/arm"
    )


_VALUES = st.recursive(
    st.text() | st.integers(-1000, 1000) | st.booleans(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@example({"\x1f" * 120: ""})  # longer than a key may be without a mark
@given(_VALUES)
def test_any_value_is_read_back(value: object) -> None:
    assert yaml.safe_load(f"{{key: {written(value)}}}") == {"key": value}
