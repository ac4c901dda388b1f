"""Messages without content, read by another library too."""

from __future__ import annotations

import pytest
from support.vendor import LOW_STATE, VECTORS, store_of

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.messages.definition import parse_definition
from robot_recorder.messages.empty_message import empty_message, has_fixed_layout
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.messages.mapped import MappedDecoder

TEXT = f"uint8 a\nfloat64 b\nstring c\nwstring d\nInner[2] inner\nint16[] many\n{'=' * 80}\nMSG: own/Inner\nstring name\nfloat64[3] v\n"


@pytest.mark.parametrize(
    ("name", "text"), [("own/msg/Top", TEXT), ("unitree_hg/msg/LowState", LOW_STATE)]
)
def test_it_is_a_message_of_the_type(name: str, text: str) -> None:
    types = parse_definition(name, text)
    data = empty_message(name.replace("/msg/", "/"), types)
    decoded = MappedDecoder(name, types, None)(data)
    assert decoded.names and not decoded.values.any()
    if "wstring" not in text:
        found = store_of(name, text).deserialize_cdr(data, name)
        assert found is not None


@pytest.mark.parametrize(
    ("mapping", "fixed"),
    [
        ("as: joint_state, map: {position: 'bodies[0:2].q'}", True),
        ("as: joint_state, map: {names: [a, b], position: 'bodies[].q'}", True),
        ("as: numbers, map: {values: free}", False),
        ("as: numbers, map: {values: bodies}", True),
        ("as: joint_state, map: {names: 'bodies[].name', position: 'bodies[].q'}", False),
        ("as: pose, map: {pose: 'bodies{name=a}.pose'}", False),
        ("as: poses, map: {each: 'bodies[]', name: name, pose: pose}", False),
        ("as: tactile, map: {pads: {a: {normal: 'skin'}, b: {normal: 'free'}}}", False),
    ],
)
def test_whether_the_number_of_values_is_known_beforehand(mapping: str, fixed: bool) -> None:
    text = f"Body[2] bodies\nint16[6] skin\nfloat32[] free\n{'=' * 80}\nMSG: own/Body\nstring name\nfloat32 q\ngeometry_msgs/Pose pose\n{VECTORS}"
    profile = f"robot: a\nstreams:\n  s: {{topic: t, type: own/msg/Top, role: observation, rate_hz: 9, {mapping}}}\n"
    (stream,) = parse_profile(profile, "p").streams
    assert stream.mapping is not None
    types = parse_definition("own/msg/Top", text)
    assert has_fixed_layout(stream.mapping, "own/Top", types) == fixed
    decode = stream_decoder(stream, text)
    assert decode is not None
    if fixed:
        assert decode(empty_message("own/Top", types)).names
