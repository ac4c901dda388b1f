"""The table of message kinds: headers are as said, and any bytes are decoded or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.messages.kinds import KINDS, lacks_values
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.streams import Policy, Role, StreamConfig


def test_the_table_is_right_about_which_types_have_a_header() -> None:
    pytest.importorskip("rclpy")
    from robot_recorder.messages.installed_types import message_class

    for type_name, kind in KINDS.items():
        try:
            fields = message_class(type_name).get_fields_and_field_types()
        except ConfigError:
            continue  # not among the wheels
        first = next(iter(fields.values()))
        assert kind.has_header == (first in ("std_msgs/Header", "builtin_interfaces/Time")), (
            type_name
        )


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=200), st.booleans())
def test_random_bytes_are_rejected_without_a_crash(data: bytes, with_header: bool) -> None:
    data = b"\0\1\0\0" + data if with_header else data
    for kind in KINDS.values():
        if kind.decode is not None:
            try:
                decoded = kind.decode(data)
            except DecodeError:
                continue
            assert len(decoded.names) == len(decoded.values)


CARRIES = "no values: acme_msgs/msg/Skin carries bytes (data)"


@pytest.mark.parametrize(
    ("type_name", "why", "changes", "lacks"),
    [
        ("acme_msgs/msg/Skin", CARRIES, {}, True),
        ("acme_msgs/msg/Skin", "no values: more than 2000 numbers in a acme_msgs/Skin", {}, True),
        ("acme_msgs/msg/Skin", "", {}, False),
        ("acme_msgs/msg/Skin", "its messages name no joints", {}, False),
        ("acme_msgs/msg/Skin", "no values: its messages have no numbers", {}, False),
        ("acme_msgs/msg/Skin", CARRIES, {"required": False}, False),
        ("acme_msgs/msg/Skin", CARRIES, {"role": Role.CONTEXT}, False),
        ("acme_msgs/msg/Skin", CARRIES, {"policy": Policy.NONE}, False),
        ("foxglove_msgs/msg/CompressedVideo", CARRIES, {}, False),
        ("acme_msgs/msg/AudioData", CARRIES, {}, False),
    ],
)
def test_a_required_stream_lacks_values_unless_it_can_have_none(
    type_name: str, why: str, changes: dict[str, Any], lacks: bool
) -> None:
    stream = StreamConfig("s", "t", type_name, Role.OBSERVATION, policy=Policy.NEAREST)
    assert lacks_values(replace(stream, **changes), why) == lacks
