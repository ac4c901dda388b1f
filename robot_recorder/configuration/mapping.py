"""Parse ``as``, ``map`` and ``stamp`` of a stream: how any message becomes values and stamps."""

from __future__ import annotations

from collections.abc import Mapping

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean
from robot_recorder.model.mapping import (
    FieldPath,
    Meaning,
    Pad,
    PathError,
    StampRule,
    StampSource,
    StreamMapping,
    parse_path,
)
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.model.units import JointUnit

# By meaning: keys of ``map`` that are paths to values.
_PATHS: dict[Meaning, tuple[str, ...]] = {
    Meaning.JOINT_STATE: ("position", "velocity", "effort"),
    Meaning.IMU: ("orientation", "rpy", "angular_velocity", "linear_acceleration"),
    Meaning.WRENCH: ("wrench", "force", "torque"),
    Meaning.POSE: ("pose", "position", "orientation", "rpy", "linear", "angular"),
    Meaning.POSES: ("pose", "position", "orientation"),
    Meaning.TWIST: ("twist", "linear", "angular"),
    Meaning.TACTILE: ("normal", "shear"),
    Meaning.NUMBERS: ("values",),
}
_NAMED = (Meaning.JOINT_STATE, Meaning.POSES, Meaning.NUMBERS)
_TURNED = (Meaning.IMU, Meaning.POSE, Meaning.POSES)
STAMP_UNITS_NS = {"s": NS_PER_S, "ms": NS_PER_MS, "us": 1000, "ns": 1}
"""Length of the units that stamps in a field can have, ns."""
_EXAMPLES = {
    Meaning.JOINT_STATE: "names: [...] and position: motor_state[0:29].q",
    Meaning.IMU: "orientation: imu.quaternion, order: wxyz, angular_velocity: imu.gyroscope",
    Meaning.WRENCH: "force: force and torque: torque",
    Meaning.POSE: "pose: rigidbodies{rigid_body_name=left_hand}.pose",
    Meaning.POSES: "each: rigidbodies[], name: rigid_body_name, pose: pose",
    Meaning.TWIST: "linear: v and angular: w",
    Meaning.TACTILE: "normal: pressure, rows: 9, cols: 12",
    Meaning.NUMBERS: "values: data",
}
# Messages of plain numbers, which need no paths to be joints.
_ARRAYS = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")


def parse_mapping(entry: YamlMap, type_name: str) -> StreamMapping | None:
    """Parse ``as`` and ``map`` of a stream; None: it has neither.

    Raises:
        ConfigError: a key or path is invalid; the message names file, line and the fix.
    """
    if "as" not in entry:
        if "map" in entry:
            entry.fail_at("map", f"needs 'as', one of {', '.join(m.value for m in Meaning)}")
        return None
    meaning = Meaning(entry.choice("as", [m.value for m in Meaning]))
    if "map" not in entry:
        if meaning is Meaning.JOINT_STATE and type_name in _ARRAYS:
            return StreamMapping(meaning, {"position": (parse_path("data"),)})
        entry.fail_at("as", f"needs 'map', for example {_EXAMPLES[meaning]}")
    found = entry.map("map")
    found.allow(_keys(meaning))
    fields = {key: _paths(found, key) for key in _PATHS[meaning] if _is_path(found, key)}
    if meaning is Meaning.NUMBERS and not fields and "values" in found:
        values = found.map("values")
        fields = {key: _paths(values, key) for key in values}
    each = _path(found, "each", found.text("each")) if "each" in found else None
    pads = _pads(found) if meaning is Meaning.TACTILE else ()
    if not (fields or pads):
        found.fail(f"names no values; write for example {_EXAMPLES[meaning]}")
    unit = JointUnit.declared("*", _unit(entry, found), _scale(entry, found))
    names, name_paths = _names(found, meaning)
    if each is not None and not name_paths and meaning is Meaning.POSES:
        found.fail_at("each", "needs 'name', the field with the name of each body")
    return StreamMapping(
        meaning,
        fields={} if pads else fields,
        names=names,
        name_paths=name_paths,
        rename=_rename(found),
        each=each,
        pads=pads,
        wxyz=found.choice("order", ("xyzw", "wxyz"), "xyzw") == "wxyz",
        unit="" if unit.unit == "?" else unit.unit,
        factor=unit.factor,
        absent=found.number("absent") if "absent" in found else None,
    )


def _keys(meaning: Meaning) -> tuple[str, ...]:
    """Return the keys of ``map``."""
    keys = (*_PATHS[meaning], "unit", "scale")
    if meaning in _NAMED:
        keys += ("names", "rename")
    if meaning in _TURNED:
        keys += ("order",)
    if meaning is Meaning.POSES:
        keys += ("each", "name")
    if meaning is Meaning.TACTILE:
        keys += ("rows", "cols", "shape", "pads", "each", "pad", "rename")
    if meaning in (Meaning.TACTILE, Meaning.NUMBERS):
        keys += ("absent",)
    return keys


def _is_path(found: YamlMap, key: str) -> bool:
    return key in found and not isinstance(found.value(key), dict)


def _paths(found: YamlMap, key: str) -> tuple[FieldPath, ...]:
    """Parse a path, or a list of paths whose values follow each other."""
    value = found.value(key)
    texts = value if isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) for text in texts):
        found.fail_at(key, f"expected a path such as motor_state[0:29].q, got {value!r}")
    return tuple(_path(found, key, text) for text in texts)


def _path(found: YamlMap, key: str, text: str) -> FieldPath:
    try:
        return parse_path(text)
    except PathError as error:
        found.fail_at(key, str(error))


def _unit(entry: YamlMap, found: YamlMap) -> str:
    """Return the unit of the values, declared at the stream or in its map."""
    for key in ("unit", "scale"):
        if key in entry and key in found:
            found.fail_at(key, "is given at the stream already; remove one of them")
    return found.text("unit", entry.text("unit", "?"))


def _scale(entry: YamlMap, found: YamlMap) -> float:
    scale = found.number("scale", entry.number("scale", 1.0))
    if not scale:
        found.fail_at("scale", "must not be 0: every value would be 0")
    return float(scale)


def _names(found: YamlMap, meaning: Meaning) -> tuple[tuple[str, ...], tuple[FieldPath, ...]]:
    """Return the names in the profile, or the paths of those in messages."""
    key = "name" if "name" in found else "pad" if "pad" in found else "names"
    if key not in found or (meaning not in _NAMED and key == "names"):
        return (), ()
    value = found.value(key)
    if isinstance(value, str) and value.startswith("same_as"):
        return (), ()  # ``resolved_names`` finds them
    if isinstance(value, str) or (isinstance(value, list) and key != "names"):
        return (), _paths(found, key)
    names = found.texts(key)
    if not names or not all(names) or len(set(names)) < len(names):
        found.fail_at(key, "must name every value once, in the order of the message")
    return names, ()


def _rename(found: YamlMap) -> dict[str, str]:
    """Return names by the text or number in a message."""
    if "rename" not in found:
        return {}
    value = found.value("rename")
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        found.fail_at("rename", "expected names by what messages say, such as {11: l_arm_1}")
    return {str(key): name for key, name in value.items()}


def _pads(found: YamlMap) -> tuple[Pad, ...]:
    """Return the pads of a tactile stream."""
    if "pads" in found:
        for key in ("normal", "each", "rows", "shape"):
            if key in found:
                found.fail_at(key, "is given by each of 'pads'")
        return tuple(_pad(pad, name) for name, pad in found.map("pads").items())
    return (_pad(found, "", own=False),)


def _pad(pad: YamlMap, name: str, own: bool = True) -> Pad:
    if own:
        pad.allow(("normal", "shear", "shape", "rows", "cols"))
    if "normal" not in pad:
        pad.fail("'normal' is missing: the path to the pressure of every taxel")
    return Pad(
        name, _paths(pad, "normal"), _paths(pad, "shear") if "shear" in pad else (), _shape(pad)
    )


def _shape(pad: YamlMap) -> tuple[int, int] | None:
    """Return rows and columns; None: not given."""
    value = pad.value("shape", [pad.value("rows"), pad.value("cols")])
    if value == [None, None]:
        return None
    whole = isinstance(value, list) and len(value) == 2
    if not whole or not all(isinstance(n, int) and n > 0 for n in value):
        key = "shape" if "shape" in pad else "rows" if "rows" in pad else "cols"
        pad.fail_at(key, "give both: rows: 9 and cols: 12, or shape: [9, 12]")
    return value[0], value[1]


def parse_stamp(entry: YamlMap) -> StampRule:
    """Parse ``stamp`` of a stream.

    Raises:
        ConfigError: it is invalid; the message names file, line and the fix.
    """
    if "stamp" not in entry:
        return StampRule()
    if not isinstance(entry.value("stamp"), dict):
        known = ("header", "source", "receipt")
        word = entry.text("stamp")
        if word not in known:
            hint = "{field: tick, unit: ms}"
            text = f"'{word}' is not a source of stamps; {did_you_mean(word, known)}, or {hint}"
            entry.fail_at("stamp", text)
        return StampRule(StampSource(word))
    found = entry.map("stamp")
    found.allow(("field", "unit", "bits"))
    path = _path(found, "field", found.text("field"))
    unit = found.choice("unit", STAMP_UNITS_NS) if "unit" in found else ""
    bits = found.number("bits", 0.0, most=64)
    return StampRule(StampSource.FIELD, path, STAMP_UNITS_NS.get(unit, 0), int(bits or 0))


def resolved_names(
    name: str, entry: YamlMap, prefix: str, names: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the names that ``names: same_as STREAM`` refers to; None: it is not used.

    Args:
        name: of the stream.
        entry: its entry in the profile.
        prefix: of the names of streams in the file that the entry is in.
        names: those that each stream lists.

    Raises:
        ConfigError: there is no such stream, or it lists no names.
    """
    found = entry.map("map") if "map" in entry and "names" in entry.map("map") else entry
    value = found.value("names")
    if not isinstance(value, str) or not value.startswith("same_as"):
        return None
    other = prefix + value.removeprefix("same_as").strip()
    if other not in names or other == name:
        found.fail_at("names", f"no stream '{other}'; {did_you_mean(other, names)}")
    if not names[other]:
        found.fail_at("names", f"stream '{other}' lists no names: write them there, or here")
    return names[other]
