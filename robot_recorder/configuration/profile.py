"""Parse robot profiles, the YAML that lists a robot's streams, with errors that name the line."""

from __future__ import annotations

import re

from robot_recorder.configuration.quality import parse_quality
from robot_recorder.configuration.yaml_source import YamlMap, is_name
from robot_recorder.messages.kinds import JOINT_STATE, KINDS
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
    "quality", "streams",
)  # fmt: skip
_STREAM_KEYS = (
    "topic", "type", "role", "rate_hz", "required", "policy", "tolerance_ms", "latency_ms",
    "clock", "disorder_ms", "window", "of", "qos", "quality", "names", "unit", "scale", "joints",
)  # fmt: skip

MOST_RATE_HZ = 10_000.0  # of frames
MOST_STREAM_RATE_HZ = 1_000_000.0
LEAST_RATE_HZ = 0.001  # of frames: ticks are computed in mHz

# Topics that the package itself records; a profile stream of the same name would be recorded twice.
RESERVED_TOPICS = (
    "labeller/labels", "labeller/task", "recorder/dropouts", "recorder/status",
    "synchronizer/clocks", "synchronizer/frames", "synchronizer/layout",
)  # fmt: skip


def parse_profile(text: str, source: str) -> RobotProfile:
    """Parse a robot profile.

    Args:
        text: the YAML.
        source: its file name, for error messages.

    Raises:
        ConfigError: the profile is invalid; the message names file, line, key and the fix.
    """
    top = YamlMap.parse(text, source)
    top.allow(_KEYS)
    robot = top.text("robot")
    if not is_name(robot):
        top.fail_at("robot", f"'{robot}' must be letters, digits and _ and start with a letter")
    if problem := text_problem("robot", robot):
        top.fail(problem)
    deadline_ns = _ns(top, "deadline_ms", 250.0)
    streams: list[StreamConfig] = []
    topics: dict[str, str] = {}
    for name, entry in top.map("streams").items():
        stream = _parse_stream(name, entry, deadline_ns)
        if stream.topic in topics:
            entry.fail_at("topic", f"'{stream.topic}' is already stream '{topics[stream.topic]}'")
        topics[stream.topic] = name
        streams.append(stream)
    if not streams:
        top.fail_at("streams", "no stream is listed; add at least one")
    _check_pairs(top, streams)
    return RobotProfile(
        robot=robot,
        frame_clock=_parse_frame_clock(top, streams),
        deadline_ns=deadline_ns,
        streams=tuple(streams),
        description=top.text("description", ""),
        stale_ns=_ns(top, "stale_ms", 500.0),
        max_clock_offset_ns=_ns(top, "max_clock_offset_ms", 500.0),
        quality=parse_quality(top),
        text=text,
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


def _check_pairs(top: YamlMap, streams: list[StreamConfig]) -> None:
    """Check that ``of`` of each command names an observation of the same type."""
    entries = dict(top.map("streams").items())
    observed = {s.name: s for s in streams if s.role is Role.OBSERVATION}
    for stream in streams:
        if not stream.of:
            continue
        entry = entries[stream.name]
        if stream.role is not Role.ACTION:
            entry.fail_at("of", f"is for commands: '{stream.name}' has role {stream.role.value}")
        alike = [name for name, other in observed.items() if other.type == stream.type]
        if stream.of not in alike:
            there = f"there are {', '.join(alike)}" if alike else "there is none"
            entry.fail_at(
                "of", f"'{stream.of}' is not an observation of type {stream.type}; {there}"
            )


def _ns(top: YamlMap, key: str, default_ms: float) -> int:
    """Parse a positive time in ms; return ns."""
    value = top.number(key, default_ms, above=0)
    assert value is not None
    return round(value * NS_PER_MS)


def _parse_stream(name: str, entry: YamlMap, deadline_ns: int) -> StreamConfig:
    entry.allow(_STREAM_KEYS)
    if not is_name(name):
        entry.fail(f"'{name}' must be letters, digits and _ and start with a letter")
    topic, type_name = entry.text("topic"), entry.text("type")
    if not _TOPIC.match(topic):
        entry.fail_at("topic", f"'{topic}' is not a topic name, for example joint_states")
    if topic.lstrip("/") in RESERVED_TOPICS:
        entry.fail_at("topic", f"'{topic}' is always recorded; remove this stream")
    if not MESSAGE_TYPE.match(type_name):
        entry.fail_at("type", f"'{type_name}' is not a type name like sensor_msgs/msg/JointState")
    role = Role(entry.choice("role", [r.value for r in Role]))
    rate_hz = entry.number("rate_hz", above=0, most=MOST_STREAM_RATE_HZ)
    policy = _parse_policy(entry, type_name, role)

    tolerance_ms = entry.number("tolerance_ms", above=0)
    if policy is not Policy.NONE and tolerance_ms is None:
        if rate_hz is None:
            entry.fail("needs 'tolerance_ms' or 'rate_hz' to be aligned; add one of them")
        # Nearest may be half a period off, linear spans one; the rest allows for jitter and one
        # loss.
        tolerance_ms = max(2.5 * 1000 / rate_hz, 2.0)
    latency_ms = entry.number("latency_ms", 0.0)
    assert latency_ms is not None
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
        clock=SourceClockKind(entry.choice("clock", [c.value for c in SourceClockKind], "robot")),
        disorder_ns=_parse_disorder(entry, deadline_ns),
        window=entry.flag("window", False),
        of=entry.text("of", ""),
        qos=_parse_qos(entry.map("qos")) if "qos" in entry else None,
        quality=parse_quality(entry, of_stream=True),
        joint_names=_parse_names(entry, type_name),
        units=_parse_units(entry, type_name),
    )


def _parse_names(entry: YamlMap, type_name: str) -> tuple[str, ...]:
    """Parse names for the joints of a driver that sends none, in the order of its values."""
    names = entry.texts("names")
    if "names" not in entry:
        return ()
    if type_name != JOINT_STATE:
        entry.fail_at("names", f"is for {JOINT_STATE}, whose joints a driver may leave unnamed")
    if not names or not all(names) or len(set(names)) < len(names):
        entry.fail_at("names", "must name every joint once, in the order of the message's values")
    return names


def _parse_units(entry: YamlMap, type_name: str) -> tuple[JointUnit, ...]:
    """Parse units by joint pattern, the most specific first."""
    given = [key for key in ("unit", "scale", "joints") if key in entry]
    if given and type_name in KINDS and type_name != JOINT_STATE:
        entry.fail_at(given[0], f"is for {JOINT_STATE} and unknown types")
    if "joints" in entry and type_name != JOINT_STATE:
        entry.fail_at("joints", f"is for {JOINT_STATE}")
    units = []
    for pattern, joints in entry.map("joints").items() if "joints" in entry else ():
        joints.allow(("unit", "scale"))
        units.append(_parse_unit(joints, pattern))
    if "unit" in entry or "scale" in entry:
        units.append(_parse_unit(entry, "*", RADIAN if type_name == JOINT_STATE else UNKNOWN))
    return tuple(units)


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


def _parse_policy(entry: YamlMap, type_name: str, role: Role) -> Policy:
    kind = KINDS.get(type_name)
    default = Policy.NONE
    if role is Role.ACTION:
        default = Policy.PREVIOUS  # commands of the future must not leak into training
    elif role is Role.OBSERVATION:
        default = kind.default_policy if kind else Policy.NEAREST
    policy = Policy(entry.choice("policy", [p.value for p in Policy], default.value))
    if policy in (Policy.LINEAR, Policy.SLERP):
        fitting = kind.default_policy if kind else None
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
