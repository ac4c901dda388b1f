"""The table of message kinds: headers are as said, and any bytes are decoded or refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robot_recorder.messages.kinds import KINDS
from robot_recorder.model.errors import ConfigError, DecodeError


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
