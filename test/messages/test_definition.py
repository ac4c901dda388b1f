"""Message definitions: every line of the format is understood, and what is not is refused."""

from __future__ import annotations

import pytest

from robot_recorder.messages.definition import (
    Field,
    begins_with_header,
    carried_bytes,
    definition_text,
    field_of,
    parse_definition,
)
from robot_recorder.model.errors import ConfigError

TEXT = """
# comment
std_msgs/Header header   # with a comment
int32 LIMIT=5
string NAME = "a # b"
float64[3] fixed 0.0
float32[<=4] bounded
string<=8 short
string<=8[<=2] shorts
wstring[] wide
time when
Inner[] inner
other_msgs/msg/Far far
================================================================================
MSG: own_msgs/Inner
uint8 a
bool b true
================================================================================
MSG: other_msgs/Far
Inner x
================================================================================
MSG: other_msgs/Inner
char c
"""


def test_every_kind_of_field_is_parsed() -> None:
    types = parse_definition("own_msgs/msg/Thing", TEXT)
    assert types["own_msgs/Thing"] == (
        Field("header", "std_msgs/Header"),
        Field("fixed", "float64", 3, True),
        Field("bounded", "float32", None, True),
        Field("short", "string"),
        Field("shorts", "string", None, True),
        Field("wide", "wstring", None, True),
        Field("when", "builtin_interfaces/Time"),
        Field("inner", "own_msgs/Inner", None, True),
        Field("far", "other_msgs/Far"),
    )
    assert types["other_msgs/Far"] == (Field("x", "other_msgs/Inner"),)
    assert not types.problem("own_msgs/Thing")
    assert begins_with_header("own_msgs/msg/Thing", TEXT)
    again = definition_text("own_msgs/msg/Thing", types)
    assert (
        parse_definition("own_msgs/msg/Thing", again)["own_msgs/Thing"] == types["own_msgs/Thing"]
    )


def test_what_cannot_be_read_is_said() -> None:
    with pytest.raises(ConfigError, match="'float64x' is not a field"):
        parse_definition("own_msgs/msg/Odd", "float64x\n")
    lacking = parse_definition("own_msgs/msg/Odd", "Nowhere x\n")
    assert lacking.problem("own_msgs/Odd") == "message type own_msgs/Nowhere is not defined"
    circle = parse_definition("own_msgs/msg/Odd", "Odd[] x\n")
    assert circle.problem("own_msgs/Odd") == "message type own_msgs/Odd contains itself"
    with pytest.raises(ConfigError, match="own_msgs/Nowhere is not defined"):
        lacking["own_msgs/Nowhere"]


def test_fields_that_carry_bytes_are_named() -> None:
    types = parse_definition("own_msgs/msg/Blob", "uint8[4] id\nuint8[] data\n")
    assert carried_bytes("own_msgs/msg/Blob", types) == "data"


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("double", Field("x", "float64")),
        ("sequence<float, 3>", Field("x", "float32", None, True)),
        ("unitree_hg/MotorState[35]", Field("x", "unitree_hg/MotorState", 35, True)),
        ("sequence<string<5>>", Field("x", "string", None, True)),
        ("boolean[2]", Field("x", "bool", 2, True)),
        ("string<10>", Field("x", "string")),
    ],
)
def test_the_fields_of_python_classes_are_understood(text: str, field: Field) -> None:
    assert field_of("x", text) == field
