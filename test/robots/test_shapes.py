"""Random messages of every shape of field are read as rclpy's own deserialisation reads them.

Every primitive type, texts, wide texts, fixed, bounded and free arrays, nested messages; and every
message type of the wheels.
"""

from __future__ import annotations

import importlib
import random
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from support.robot_interfaces import use_interfaces

use_interfaces()

from rclpy.serialization import deserialize_message, serialize_message

from robot_recorder.messages.definition import TEXTS, field_of, parse_definition
from robot_recorder.messages.installed_types import message_class, readable_definition
from robot_recorder.messages.mapped import MappedDecoder
from robot_recorder.model.errors import DecodeError

SHAPES = "shapes_msgs/msg/Shapes"
PACKAGES = ("std_msgs", "geometry_msgs", "sensor_msgs", "diagnostic_msgs", "visualization_msgs",
            "builtin_interfaces", "robot_recorder")  # fmt: skip
_BYTES = ("byte", "octet", "char", "uint8", "int8")
_BITS = {"int8": 8, "uint8": 8, "int16": 16, "uint16": 16, "int32": 32, "uint32": 32, "int64": 64,
         "uint64": 64, "char": 8}  # fmt: skip


def installed() -> list[str]:
    found = [SHAPES]
    for package in PACKAGES:
        module = importlib.import_module(f"{package}.msg")
        names = [
            name
            for name in dir(module)
            if hasattr(getattr(module, name), "_fields_and_field_types")
        ]
        found += [f"{package}/msg/{name}" for name in names]
    return found


def number(kind: str, dice: random.Random) -> Any:
    """Return a random number of a type, often one of its limits."""
    if kind == "bool":
        return dice.random() < 0.5
    if kind in ("byte", "octet"):
        return bytes([dice.randrange(256)])
    if kind.startswith("float"):
        value = dice.choice([0.0, 1e-3, -1.5, dice.uniform(-1e6, 1e6)])
        return float(np.float32(value)) if kind == "float32" else value
    bits, signed = _BITS[kind], kind.startswith("i")
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return dice.choice([low, high, dice.randint(low, high)])


def filled(type_name: str, dice: random.Random) -> tuple[Any, list[tuple[str, float]]]:
    """Return a random message, and all of its numbers but those of headers and arrays of bytes."""
    made, numbers = message_class(type_name)(), []
    for name, text in made.get_fields_and_field_types().items():
        field = field_of(name, text)
        bound = int(text.rpartition(",")[2].strip("> ")) if "," in text else 4
        count = (
            1
            if not field.many
            else field.size
            if field.size is not None
            else dice.randint(0, min(bound, 4))
        )
        values: list[Any] = []
        for n in range(count):
            path = f"{name}/{n}" if field.many else name
            if field.type in TEXTS:
                alphabet = "aüß" if field.type == "string" else "aü漢"
                values.append("".join(dice.choices(alphabet, k=dice.randint(0, 2))))
            elif "/" in field.type:
                inner, found = filled(field.type.replace("/", "/msg/"), dice)
                values.append(inner)
                if field.type != "std_msgs/Header":
                    numbers += [(f"{path}/{rest}", value) for rest, value in found]
            else:
                values.append(number(field.type, dice))
                if not (field.many and field.type in _BYTES):
                    one = values[-1]
                    numbers.append((path, float(one[0] if isinstance(one, bytes) else one)))
        if not field.many:
            setattr(made, name, values[0])
        elif isinstance(getattr(made, name), np.ndarray):
            getattr(made, name)[:] = values
        else:
            setattr(made, name, values)
    return made, numbers


@pytest.mark.parametrize("type_name", installed())
def test_numbers_are_those_that_rclpy_reads(type_name: str) -> None:
    decoder = MappedDecoder(
        type_name, parse_definition(type_name, readable_definition(type_name)), None
    )
    dice = random.Random(type_name)
    for _ in range(40 if type_name == SHAPES else 6):
        message, numbers = filled(type_name, dice)
        data = bytes(serialize_message(message))
        assert deserialize_message(data, message_class(type_name)) == message
        decoded = decoder(data)
        assert decoded.names == tuple(f"{path} (?)" for path, _ in numbers)
        np.testing.assert_array_equal(decoded.values, [value for _, value in numbers])
        for cut in dice.sample(range(len(data)), min(len(data), 5)):
            try:
                decoder(data[:cut])
            except DecodeError:
                continue


def test_definitions_of_classes_say_the_same_as_files(monkeypatch: pytest.MonkeyPatch) -> None:
    written = parse_definition(SHAPES, readable_definition(SHAPES))
    module = "robot_recorder.messages.installed_types.message_definition"
    monkeypatch.setattr(module, lambda _: "")
    of_class = parse_definition(SHAPES, readable_definition(SHAPES))
    for name in ("shapes_msgs/Shapes", "shapes_msgs/Inner", "geometry_msgs/Pose"):
        alike = {"byte": "octet", "char": "uint8"}
        kinds = [alike.get(field.type, field.type) for field in written[name]]
        assert kinds == [field.type for field in of_class[name]]
