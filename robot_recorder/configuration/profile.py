"""Parse robot profiles, the YAML that lists a robot's streams, with errors that name the line."""

from __future__ import annotations

import re
from dataclasses import replace

from robot_recorder.configuration.encode import check_topics, parse_encode
from robot_recorder.configuration.include import Entries, ReadFile, all_entries, merged_text
from robot_recorder.configuration.mapping import parse_mapping, parse_stamp, resolved_names
from robot_recorder.configuration.quality import parse_quality
from robot_recorder.configuration.yaml_source import YamlMap, is_name
from robot_recorder.messages.kinds import JOINT_STATE, KINDS, Sort, kind_of
from robot_recorder.model.mapping import Meaning, StampRule, StampSource, StreamMapping
from robot_recorder.model.qos import Durability, Qos, Reliability
from robot_recorder.model.streams import (
    NS_PER_MS,
    FrameClock,
    Policy,
    RobotProfile,
    Role,
    SourceClockKind,
    StreamConfig,
)
from robot_recorder.model.text import text_problem
from robot_recorder.model.units import RADIAN, UNKNOWN, JointUnit

# Names of ROS 1 may begin with a small letter, such as kuavo_msgs/msg/sensorsData.
MESSAGE_TYPE = re.compile(r"^[a-z][a-z0-9_]*/msg/[A-Za-z][A-Za-z0-9_]*\Z")
_UNIT = re.compile(r"^[^\s()][^()]{0,19}\Z")
_TOPIC = re.compile(r"^/?[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*\Z")

_KEYS = (
    "robot", "description", "frame_rate_hz", "frame_clock", "deadline_ms", "stale_ms", "max_clock_offset_ms",
    "quality", "streams", "include",
)  # fmt: skip
_STREAM_KEYS = (
    "topic", "type", "role", "rate_hz", "required", "policy", "tolerance_ms", "latency_ms",
    "clock", "disorder_ms", "window", "of", "qos", "quality", "names", "unit", "scale", "joints",
    "as", "map", "stamp", "encode",
)  # fmt: skip

MOST_RATE_HZ = 10_000.0  # of frames
MOST_STREAM_RATE_HZ = 1_000_000.0
LEAST_RATE_HZ = 0.001  # of frames: ticks are computed in mHz

# Topics that the package itself records; a profile stream of the same name would be recorded twice.
RESERVED_TOPICS = (
    "labeller/labels", "labeller/task", "recorder/dropouts", "recorder/status",
    "synchronizer/clocks", "synchronizer/frames", "synchronizer/layout",
)  # fmt: skip


def parse_profile(text: str, source: str, read: ReadFile | None = None) -> RobotProfile:
    """Parse a robot profile.

    Args:
        text: the YAML.
        source: its file name, for error messages.
        read: returns text and file name of another profile that it includes; None: it may include
            none.

    Raises:
        ConfigError: the profile is invalid; the message names file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(_KEYS)
    entries = all_entries(top, read)
    robot = top.text("robot")
    if not is_name(robot):
        top.fail_at("robot", f"'{robot}' must be letters, digits and _ and start with a letter")
    if problem := text_problem("robot", robot):
        top.fail(problem)
    deadline_ns = _ns(top, "deadline_ms", 250.0)
    streams: list[StreamConfig] = []
    for name, (entry, prefix) in entries.items():
        stream = _parse_stream(name, entry, deadline_ns, streams)
        if stream.of:
            stream = replace(stream, of=prefix + stream.of)
        streams.append(stream)
    if not streams:
        top.fail_at("streams", "no stream is listed; add at least one")
    streams = _with_names(entries, streams)
    _check_pairs(entries, streams)
    return RobotProfile(
        robot=robot,
        frame_clock=_parse_frame_clock(top, streams),
        deadline_ns=deadline_ns,
        streams=tuple(streams),
        description=top.text("description", ""),
        stale_ns=_ns(top, "stale_ms", 500.0),
        max_clock_offset_ns=_ns(top, "max_clock_offset_ms", 500.0),
        quality=parse_quality(top),
        text=merged_text(text, entries) if "include" in top else text,
    )


def _parse_frame_clock(top: YamlMap, streams: list[StreamConfig]) -> FrameClock:
    """Parse rate and reference stream of the frames."""
    reference = top.text("frame_clock", "")
    rate_hz = top.number(
        "frame_rate_hz", None if reference else 30.0, above=LEAST_RATE_HZ, most=MOST_RATE_HZ
    )
    aligned = [s.name for s in streams if s.policy is not Policy.NONE]
    if reference and reference not in aligned:
        top.fail_at(
            "frame_clock",
            f"'{reference}' is not an aligned stream; there are {', '.join(aligned)}",
        )
    return FrameClock(rate_hz, reference)


def _check_pairs(entries: Entries, streams: list[StreamConfig]) -> None:
    """Check that ``of`` of each command names an observation of the same type."""
    observed = {s.name: s for s in streams if s.role is Role.OBSERVATION}
    for stream in streams:
        if not stream.of:
            continue
        entry, _ = entries[stream.name]
        if stream.role is not Role.ACTION:
            entry.fail_at("of", f"is for commands: '{stream.name}' has role {stream.role.value}")
        sort = kind_of(stream).sort
        if sort is not Sort.JOINTS:
            entry.fail_at("of", "is for commands of joints: add 'as: joint_state' and its 'map'")
        alike = [name for name, other in observed.items() if kind_of(other).sort is sort]
        if stream.of not in alike:
            there = f"there are {', '.join(alike)}" if alike else "there is none"
            entry.fail_at("of", f"'{stream.of}' is not an observation of joints; {there}")


def _ns(top: YamlMap, key: str, default_ms: float) -> int:
    """Parse a positive time in ms; return ns."""
    value = top.number(key, default_ms, above=0)
    assert value is not None
    return round(value * NS_PER_MS)


def _with_names(entries: Entries, streams: list[StreamConfig]) -> list[StreamConfig]:
    """Fill in the names of streams that use those of another, and stamps shared by a topic."""
    listed = {s.name: s.joint_names or (s.mapping.names if s.mapping else ()) for s in streams}
    stamps = {s.topic: s for s in reversed(streams) if s.stamp.source is not StampSource.AUTO}
    found = []
    for stream in streams:
        names = resolved_names(stream.name, *entries[stream.name], listed)
        if names is not None:
            listed[stream.name] = names
            if stream.mapping is None:
                stream = replace(stream, joint_names=names)
            else:
                stream = replace(stream, mapping=replace(stream.mapping, names=names))
        first = stamps.get(stream.topic)
        if first is not None and stream.stamp.source is StampSource.AUTO:
            stream = replace(stream, stamp=first.stamp, clock=first.clock)
        found.append(stream)
    return found


def _type_of(entry: YamlMap, topic: str, before: list[StreamConfig]) -> str:
    """Return the message type, which a second stream of a topic need not repeat."""
    known = next((s.type for s in before if s.topic == topic), None)
    type_name = entry.text("type", known)
    if not MESSAGE_TYPE.match(type_name):
        entry.fail_at("type", f"'{type_name}' is not a type name like sensor_msgs/msg/JointState")
    if known is not None and type_name != known:
        entry.fail_at("type", f"'{topic}' is a {known} in another stream; it has one type")
    return type_name


def _parse_stream(
    name: str, entry: YamlMap, deadline_ns: int, before: list[StreamConfig]
) -> StreamConfig:
    entry.allow(_STREAM_KEYS)
    if not is_name(name):
        entry.fail(f"'{name}' must be letters, digits and _ and start with a letter")
    topic = entry.text("topic")
    if not _TOPIC.match(topic):
        entry.fail_at("topic", f"'{topic}' is not a topic name, for example joint_states")
    if topic.lstrip("/") in RESERVED_TOPICS:
        entry.fail_at("topic", f"'{topic}' is always recorded; remove this stream")
    type_name = _type_of(entry, topic, before)
    mapping = parse_mapping(entry, type_name)
    same = [s.name for s in before if s.topic == topic and s.mapping == mapping]
    if same:
        text = f"'{topic}' is already stream '{same[0]}'; several streams of a topic need 'as' and 'map'"
        entry.fail_at("topic", text)
    role = Role(entry.choice("role", [r.value for r in Role]))
    rate_hz = entry.number("rate_hz", above=0, most=MOST_STREAM_RATE_HZ)
    named = StreamConfig(name, topic, type_name, role, mapping=mapping)
    policy = _parse_policy(entry, named)
    stamp = parse_stamp(entry)
    usual_clock = "device" if stamp.source is StampSource.FIELD else "robot"

    tolerance_ms = entry.number("tolerance_ms", above=0)
    if policy is not Policy.NONE and tolerance_ms is None:
        if rate_hz is None:
            entry.fail("needs 'tolerance_ms' or 'rate_hz' to be aligned; add one of them")
        # Nearest may be half a period off, linear spans one; the rest allows for jitter and one
        # loss.
        tolerance_ms = max(2.5 * 1000 / rate_hz, 2.0)
    latency_ms = entry.number("latency_ms", 0.0)
    assert latency_ms is not None
    encode = parse_encode(entry, replace(named, stamp=stamp, rate_hz=rate_hz))
    check_topics(entry, replace(named, encode=encode), before)
    return StreamConfig(
        name=name,
        topic=topic,
        type=type_name,
        role=role,
        rate_hz=rate_hz,
        required=entry.flag("required", role is not Role.CONTEXT),
        policy=policy,
        tolerance_ns=round((tolerance_ms or 0.0) * NS_PER_MS),
        latency_ns=round(latency_ms * NS_PER_MS),
        clock=_parse_clock(entry, named, stamp, usual_clock),
        disorder_ns=_parse_disorder(entry, deadline_ns),
        window=entry.flag("window", False),
        of=entry.text("of", ""),
        qos=_parse_qos(entry.map("qos")) if "qos" in entry else None,
        quality=parse_quality(entry, of_stream=True),
        joint_names=_parse_names(entry, named),
        units=_parse_units(entry, named),
        mapping=mapping,
        stamp=stamp,
        encode=encode,
    )


def _parse_clock(
    entry: YamlMap, stream: StreamConfig, stamp: StampRule, usual: str
) -> SourceClockKind:
    clock = SourceClockKind(entry.choice("clock", [c.value for c in SourceClockKind], usual))
    known = KINDS.get(stream.type)
    headerless = known is not None and not known.has_header
    unstamped = stamp.source is StampSource.AUTO and headerless
    if clock is SourceClockKind.DEVICE and (unstamped or stamp.source is StampSource.RECEIPT):
        entry.fail_at(
            "clock",
            f"'device' needs stamps of the device: {stream.type} has no header; add "
            "'stamp: {field: ..., unit: ms}', or 'stamp: source' if DDS stamps it on the device",
        )
    return clock


def _parse_names(entry: YamlMap, stream: StreamConfig) -> tuple[str, ...]:
    """Parse names for the joints of a driver that sends none, in the order of its values."""
    if "names" not in entry:
        return ()
    if str(entry.value("names")).startswith("same_as"):
        return ()  # ``resolved_names`` finds them
    names = entry.texts("names")
    kind = kind_of(stream)
    if stream.mapping is not None and stream.mapping.names:
        entry.fail_at("names", "is given in 'map' already; remove one of them")
    if stream.type != JOINT_STATE and (kind.mapping is None or kind.sort is Sort.POSE):
        entry.fail_at("names", f"is for {JOINT_STATE} and arrays of numbers")
    if not names or not all(names) or len(set(names)) < len(names):
        entry.fail_at("names", "must name every joint once, in the order of the message's values")
    return names


def _parse_units(entry: YamlMap, stream: StreamConfig) -> tuple[JointUnit, ...]:
    """Parse units by joint pattern, the most specific first."""
    kind = kind_of(stream)
    joints_of = kind.sort is Sort.JOINTS
    given = [key for key in ("unit", "scale", "joints") if key in entry]
    if given and stream.type in KINDS and stream.mapping is None and not joints_of:
        entry.fail_at(given[0], "is for joints and for types that are mapped or unknown")
    if "joints" in entry and not joints_of:
        entry.fail_at("joints", "is for streams of joints")
    if stream.mapping is not None:
        return _mapped_units(entry, stream.mapping)
    units = []
    for pattern, joints in entry.map("joints").items() if "joints" in entry else ():
        joints.allow(("unit", "scale"))
        units.append(_parse_unit(joints, pattern))
    if "unit" in entry or "scale" in entry:
        units.append(_parse_unit(entry, "*", RADIAN if joints_of else UNKNOWN))
    return tuple(units)


def _mapped_units(entry: YamlMap, mapping: StreamMapping) -> tuple[JointUnit, ...]:
    """Parse the units of mapped joints; the values of other mapped streams carry their unit."""
    if mapping.meaning is not Meaning.JOINT_STATE:
        return ()
    units = []
    for pattern, joints in entry.map("joints").items() if "joints" in entry else ():
        joints.allow(("unit", "scale"))
        units.append(_parse_unit(joints, pattern))
    return (*units, JointUnit("*", mapping.unit or RADIAN, mapping.factor))


def _parse_unit(entry: YamlMap, pattern: str, default: str = RADIAN) -> JointUnit:
    unit = entry.text("unit", default)
    if not _UNIT.match(unit):
        entry.fail_at("unit", f"'{unit}' is not a unit such as deg, mm, percent or raw")
    scale = entry.number("scale", 1.0)
    if not scale:
        entry.fail_at("scale", "must not be 0: every value would be 0")
    return JointUnit.declared(pattern, unit, scale)


def _parse_disorder(entry: YamlMap, deadline_ns: int) -> int:
    value_ms = entry.number("disorder_ms", 0.0) or 0.0
    if value_ms < 0:
        entry.fail_at("disorder_ms", f"must not be negative, got {value_ms:g}")
    if value_ms * NS_PER_MS >= deadline_ns:
        entry.fail_at(
            "disorder_ms",
            f"{value_ms:g} must be shorter than deadline_ms, {deadline_ns / NS_PER_MS:g}: frames "
            "would never wait for it",
        )
    return round(value_ms * NS_PER_MS)


def _parse_policy(entry: YamlMap, stream: StreamConfig) -> Policy:
    kind, role, type_name = kind_of(stream), stream.role, stream.type
    default = Policy.NONE
    if role is Role.ACTION:
        default = Policy.PREVIOUS  # commands of the future must not leak into training
    elif role is Role.OBSERVATION:
        default = kind.default_policy
    policy = Policy(entry.choice("policy", [p.value for p in Policy], default.value))
    if policy in (Policy.LINEAR, Policy.SLERP):
        fitting = kind.default_policy
        if fitting not in (Policy.LINEAR, Policy.SLERP):
            entry.fail_at("policy", f"{type_name} cannot be interpolated; use nearest or previous")
        if policy is not fitting:
            entry.fail_at("policy", f"{type_name} is interpolated by {fitting.value}; use that")
    return policy


def _parse_qos(entry: YamlMap) -> Qos:
    entry.allow(("reliability", "durability"))
    return Qos(
        Reliability(
            entry.choice(
                "reliability", [r.value for r in Reliability], Reliability.BEST_EFFORT.value
            )
        ),
        Durability(
            entry.choice("durability", [d.value for d in Durability], Durability.VOLATILE.value)
        ),
    )
