"""Values of any message by its definition, held against other readers of the same bytes.

Holds also: places.py
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.messages.definition import PRIMITIVES, parse_definition
from robot_recorder.messages.kinds import stream_decoder
from robot_recorder.messages.mapped import MappedDecoder
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.model.mapping import Meaning, StreamMapping, parse_path
from robot_recorder.model.streams import Role, StreamConfig

_LINE = "=" * 80
_KINDS = sorted(PRIMITIVES.keys() - {"byte", "char", "octet"})


def leaves(message: Any, path: str = "") -> list[tuple[str, float]]:
    """Return every number of a message of another reader, except headers and arrays of bytes."""
    if isinstance(message, (bool, int, float, np.number, np.bool_)):
        return [(path, float(message))]
    if isinstance(message, np.ndarray) and message.dtype.itemsize == 1 and message.dtype != bool:
        return []
    if isinstance(message, (list, tuple, np.ndarray)):
        return [pair for n, part in enumerate(message) for pair in leaves(part, f"{path}/{n}")]
    found = []
    for name in getattr(message, "__dataclass_fields__", ()):
        if (
            name != "__msgtype__"
            and type(getattr(message, name)).__name__ != "std_msgs__msg__Header"
        ):
            found += leaves(getattr(message, name), f"{path}/{name}" if path else name)
    return found


def definitions() -> st.SearchStrategy[str]:
    """Definitions of a message with two inner types: nested, fixed, bounded and free arrays."""
    array = st.sampled_from(["", "[]", "[3]", "[<=4]", "[1]"])
    plain = st.tuples(st.sampled_from([*_KINDS, "string"]), array)

    def text(fields: list[tuple[str, str]]) -> str:
        return "".join(f"{kind}{many} f{n}\n" for n, (kind, many) in enumerate(fields))

    few = st.lists(plain, min_size=1, max_size=4).map(text)
    mixed = st.lists(
        plain | st.tuples(st.sampled_from(["A", "B"]), array), min_size=1, max_size=6
    ).map(text)
    inner = st.lists(plain | st.tuples(st.just("A"), array), min_size=1, max_size=4).map(text)
    return st.tuples(mixed, inner, few).map(
        lambda parts: (
            f"{parts[0]}{_LINE}\nMSG: own_msgs/B\n{parts[1]}{_LINE}\nMSG: own_msgs/A\n{parts[2]}"
        )
    )


def filled(store: Any, name: str, draw: st.DataObject) -> Any:
    """Return a message with random content."""
    from rosbags.interfaces import Nodetype

    def value(node: Any) -> Any:
        kind, content = node
        if kind is Nodetype.BASE:
            base = content[0]
            if base == "string":
                return draw.draw(st.text("äbc", max_size=5))
            if base == "bool":
                return draw.draw(st.booleans())
            if base.startswith("float"):
                width = int(base[5:])
                return draw.draw(st.floats(width=width, allow_nan=False))  # type: ignore[arg-type]
            bits, signed = int(base.lstrip("uint")), base[0] == "i"
            low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
            return draw.draw(st.integers(low, high))
        if kind is Nodetype.NAME:
            return filled(store, content, draw)
        (inner, size) = content
        count = size if kind is Nodetype.ARRAY else draw.draw(st.integers(0, size or 3))
        many = [value(inner) for _ in range(count)]
        if inner[0] is Nodetype.BASE and inner[1][0] != "string":
            return np.array(many, dtype=np.dtype(inner[1][0]))
        return many

    members = {member: value(node) for member, node in store.fielddefs[name][1]}
    return store.types[name](**members)


@settings(deadline=None, max_examples=150)
@given(definitions(), st.booleans(), st.data())
def test_random_messages_of_every_shape_are_read_as_by_another_reader(
    text: str, little: bool, draw: st.DataObject
) -> None:
    name = "own_msgs/msg/Top"
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(text, name))
    decoder = MappedDecoder(name, parse_definition(name, text), None)
    for _ in range(3):  # later ones may be read by the arrangement of an earlier one
        message = filled(store, name, draw)
        data = bytes(store.serialize_cdr(message, name, little_endian=little))
        decoded = decoder(data)
        expected = leaves(message)
        assert decoded.names == tuple(f"{n} (?)" for n, _ in expected)
        np.testing.assert_array_equal(decoded.values, [v for _, v in expected])
        cut = draw.draw(st.integers(0, len(data)))
        try:
            shorter = decoder(data[:cut])
        except DecodeError:
            continue
        assert len(shorter.names) == len(shorter.values) <= len(expected)


HAND = """uint32 tick
Motor[5] motor
float32[4] quaternion
Sensor[] sensors
float64[] forces
string[] kinds
================================================================================
MSG: own_msgs/Motor
uint8 mode
float32 q
float32 dq
================================================================================
MSG: own_msgs/Sensor
string name
uint16 id
geometry_msgs/Pose pose
float32[] taxels
"""


@pytest.fixture(scope="module")
def store() -> Any:
    found = get_typestore(Stores.ROS2_JAZZY)
    found.register(get_types_from_msg(HAND, "own_msgs/msg/Hand"))
    return found


def hand(store: Any, names: tuple[str, ...] = ("left", "right"), count: int = 5) -> bytes:
    made = store.types
    pose = made["geometry_msgs/msg/Pose"]

    def at(n: int) -> Any:
        return pose(
            position=made["geometry_msgs/msg/Point"](x=n + 0.1, y=n + 0.2, z=n + 0.3),
            orientation=made["geometry_msgs/msg/Quaternion"](x=0.0, y=0.0, z=0.6, w=0.8),
        )

    sensors = [
        made["own_msgs/msg/Sensor"](
            name=name, id=10 + n, pose=at(n), taxels=np.arange(6, dtype=np.float32) + 100 * n
        )
        for n, name in enumerate(names)
    ]
    message = made["own_msgs/msg/Hand"](
        tick=7,
        motor=[made["own_msgs/msg/Motor"](mode=n, q=n / 2, dq=-n) for n in range(count)],
        quaternion=np.array([1, 2, 3, 4], np.float32),
        sensors=sensors,
        forces=np.array([1.0, 2, 3, 4, 5, 6]),
        kinds=["x", "y", "z", "rx", "ry", "rz"],
    )
    return bytes(store.serialize_cdr(message, "own_msgs/msg/Hand"))


def decode(store: Any, stream: str, data: bytes | None = None) -> dict[str, float]:
    """Decode a message by the YAML of a stream."""
    text = f"robot: r\nstreams:\n  s: {{topic: t, type: own_msgs/msg/Hand, role: observation, rate_hz: 100, {stream}}}\n"
    config = parse_profile(text, "p").streams[0]
    decoder = stream_decoder(config, HAND)
    assert decoder is not None
    found = decoder(hand(store) if data is None else data)
    return dict(zip(found.names, found.values.tolist()))


def test_joints_are_taken_by_index_with_names_units_and_scale(store: Any) -> None:
    found = decode(
        store, "as: joint_state, unit: deg, map: {names: [a, b, c], position: 'motor[0, 3:5].q', "
        "velocity: 'motor[0, 3:5].dq'}",
    )  # fmt: skip
    assert list(found) == [f"position/{j} (rad)" for j in "abc"] + [
        f"velocity/{j} (rad/s)" for j in "abc"
    ]
    assert found["position/b (rad)"] == pytest.approx(np.deg2rad(1.5))
    assert found["velocity/c (rad/s)"] == pytest.approx(np.deg2rad(-4))


def test_names_in_messages_may_be_numbers_and_renamed(store: Any) -> None:
    found = decode(
        store, "as: joint_state, map: {names: 'sensors[].id', rename: {10: thumb}, "
        "position: 'sensors[].taxels[0]'}",
    )  # fmt: skip
    assert found == {"position/thumb (rad)": 0, "position/11 (rad)": 100}


def test_a_body_is_chosen_by_its_name_and_absent_without_it(store: Any) -> None:
    stream = "as: pose, map: {pose: 'sensors{name=right}.pose'}"
    found = decode(store, stream)
    assert found["position/x (m)"] == 1.1 and found["orientation/w (1)"] == 0.8
    assert decode(store, stream, hand(store, ("left",))) == {}
    assert decode(store, stream, hand(store, ("right", "left")))["position/x (m)"] == 0.1


def test_a_number_is_chosen_by_the_text_beside_it(store: Any) -> None:
    found = decode(store, "as: joint_state, map: {names: [lift], position: 'forces{kinds=ry}'}")
    assert found == {"position/lift (rad)": 5}
    stream = "as: pose, map: {position: 'forces[0:3]', rpy: 'forces[3:6]'}"
    assert decode(store, stream)["rpy/yaw (rad)"] == 6
    with pytest.raises(ConfigError, match="has no field kind; it has tick"):
        decode(store, "as: joint_state, map: {names: [lift], position: 'forces{kind=ry}'}")


def test_named_bodies_pads_and_quaternions_are_read(store: Any) -> None:
    found = decode(store, "as: poses, map: {each: 'sensors[]', name: name, pose: pose}")
    assert found["position/right/z (m)"] == 1.3 and found["orientation/left/z (1)"] == 0.6
    found = decode(
        store, "as: tactile, map: {each: 'sensors[]', pad: name, normal: taxels, shape: [2, 3]}"
    )
    assert found["normal/right/1,2 (raw)"] == 105 and len(found) == 12
    found = decode(
        store, "as: tactile, unit: Pa, map: {pads: {tip: {normal: 'sensors[1].taxels[0:4]', "
        "shape: [2, 2], shear: 'motor[0:4].{q,dq}'}}}",
    )  # fmt: skip
    assert found["normal/tip/1,1 (Pa)"] == 103 and found["shear_y/tip/1,0 (Pa)"] == -2
    found = decode(store, "as: imu, map: {orientation: quaternion, order: wxyz}")
    assert list(found.values()) == [2, 3, 4, 1]
    found = decode(store, "as: wrench, map: {wrench: forces}")
    assert found["force/x (N)"] == 1 and found["torque/z (N m)"] == 6
    found = decode(store, "as: numbers, map: {values: {gripper: 'forces[0]', all: forces}}")
    assert found["gripper (?)"] == 1 and found["all/5 (?)"] == 6


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("as: joint_state, map: {position: 'motors[].q'}", "own_msgs/Hand has no field motors; it has tick"),
        ("as: joint_state, map: {position: 'motor[0:9].q'}", "has 5 elements, number 8"),
        ("as: joint_state, map: {position: 'tick[0]'}", "tick of own_msgs/Hand is no array"),
        ("as: pose, map: {pose: 'sensors{nam=x}.pose'}", "own_msgs/Sensor has no field nam"),
        ("as: tactile, map: {each: forces, normal: x}", "float64 has no fields"),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_fit_its_type_names_the_field(
    store: Any, stream: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        decode(store, stream)


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        ("as: joint_state, map: {names: [a], position: 'motor[].q'}", "1 names for 5 positions"),
        ("as: wrench, map: {wrench: 'forces[0:2]'}", "wrench has 2 numbers, not 6"),
        ("as: joint_state, map: {position: 'forces[0:9]'}", "has 6 elements, the profile asks"),
        ("as: tactile, map: {normal: forces, shape: [2, 2]}", "has 6 taxels, not 2 x 2"),
    ],
)
def test_a_message_that_does_not_fit_the_mapping_is_undecodable(
    store: Any, stream: str, words: str
) -> None:
    with pytest.raises(DecodeError, match=words):
        decode(store, stream)


def test_an_encoding_that_is_not_plain_is_refused(store: Any) -> None:
    mapping = StreamMapping(Meaning.NUMBERS, {"tick": (parse_path("tick"),)})
    config = StreamConfig("s", "t", "own_msgs/msg/Hand", Role.OBSERVATION, mapping=mapping)
    decoder = stream_decoder(config, HAND)
    assert decoder is not None
    with pytest.raises(DecodeError, match="0007, only plain CDR"):
        decoder(b"\0\x07" + hand(store)[2:])
