"""Guess a robot profile from a bag's topics, as YAML that a person can correct."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass

import numpy as np

from robot_recorder.alignment.command_pairing import JointStream, pair
from robot_recorder.configuration.profile import MESSAGE_TYPE, RESERVED_TOPICS
from robot_recorder.messages.kinds import CAMERA_INFO, JOINT_STATE, KINDS
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_MS, Role

_COMMAND = re.compile(
    r"command|cmd|action|target|goal|desired|setpoint|reference|leader|gello|(^|[/_])(lead|master)(?=[/_0-9]|$)"
)
_CONTEXT = re.compile(
    r"(^|/)(tf|tf_static|rosout|parameter_events|robot_description|clock|diagnostics)$"
)
_NICE = (
    1,
    2,
    5,
    10,
    15,
    20,
    24,
    25,
    30,
    40,
    50,
    60,
    90,
    100,
    120,
    125,
    200,
    240,
    250,
    400,
    500,
    1000,
)
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_PLAIN = re.compile(r"[\w/]+\Z", re.ASCII)
_LEAST_HZ = 0.5  # a slower topic is not a sensor
_MOST_HZ = 10_000.0  # a higher rate means that the bag is too short to tell
_FEW, _LEAST = 20, 4  # messages: below _FEW compare each step, below _LEAST the rate is unknown
_STEADY = 0.8  # least share of a bag's parts with about the usual number of messages
_LATE_NS = 2_000 * NS_PER_MS  # more disorder than this means that stamps are wrong
_DEADLINE_MS = 250.0
# Parts of a topic name that say nothing about which sensor it is.
DETAILS = re.compile(
    r"/(image_raw|image_rect|image|compressed|compressedDepth|ffmpeg|foxglove|data|wrench|tactile)"
    r"(?=/|$)"
)


@dataclass(frozen=True)
class TopicSummary:
    """A topic of a bag.

    Attributes:
        name: topic name.
        type: message type.
        count: number of messages.
        times: int64[n], ns, rising: stamps, or receive times without stamps; None: unknown.
        disorder_ns: largest difference by which a message is stamped before an earlier one.
    """

    name: str
    type: str
    count: int
    times: Int64s | None = None
    disorder_ns: int = 0


@dataclass(frozen=True)
class Guess:
    """A guessed profile.

    Attributes:
        text: YAML of the profile.
        left_out: reason by topic for every topic that did not become a stream.
    """

    text: str
    left_out: dict[str, str]


def is_about(topic: str) -> bool:
    """Tell whether a topic describes the recording, computers or robot, and is not a sensor."""
    ours = topic.endswith(tuple(f"/{name}" for name in RESERVED_TOPICS))
    return ours or bool(_CONTEXT.search(topic))


def guess_profile(robot: str, topics: list[TopicSummary], seconds: float) -> Guess:
    """Guess a profile with a stream for every topic that looks like a sensor or a command.

    Args:
        robot: name for the profile.
        topics: topics of the bag.
        seconds: duration of the bag.

    Raises:
        ConfigError: no topic looks like a sensor.
    """
    rates: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for topic in topics:
        if is_about(topic.name):
            continue
        rate_hz, why = _rate(topic, seconds)
        if topic.type == CAMERA_INFO:
            left_out[topic.name] = "it describes a camera"
        elif not MESSAGE_TYPE.match(topic.type):
            left_out[topic.name] = "its message type has an invalid name"
        elif why:
            left_out[topic.name] = why
        else:
            rates[topic.name] = rate_hz
    if not rates:
        reasons = "".join(f"; {name}: {why}" for name, why in sorted(left_out.items())[:5])
        raise ConfigError(
            f"{robot}: no topic with messages at a steady rate to guess a profile from{reasons}; "
            "give the robot's profile with --profile"
        )
    return Guess(_written(robot, [t for t in topics if t.name in rates], rates, left_out), left_out)


def _written(
    robot: str, topics: list[TopicSummary], rates: dict[str, float], left_out: dict[str, str]
) -> str:
    """Write the profile as YAML."""
    late_ms = {t.name: math.ceil(t.disorder_ns / NS_PER_MS) for t in topics}
    late_ms = {n: ms for n, ms in late_ms.items() if 0 < ms * NS_PER_MS <= _LATE_NS}
    names = _names(topics)
    of = _followers(topics, names)
    lines = [
        "# Guessed from the topics of a bag: correct it where it is wrong.",
        f"robot: {_name(robot)[:64]}",
        "frame_rate_hz: 30",
    ]
    worst_ms = max(late_ms.values(), default=0)
    if worst_ms + 50 > _DEADLINE_MS:
        lines.append(f"deadline_ms: {worst_ms + 50}  # messages are that much out of order")
    lines.append("streams:")
    for topic in topics:
        known = topic.type in KINDS
        lines += [
            f"  {names[topic.name]}:" + ("" if known else "  # a type whose values are read field by field"),
            f"    topic: {topic.name if _PLAIN.match(topic.name) else json.dumps(topic.name)}",
            f"    type: {topic.type}",
            f"    role: {guessed_role(topic.name).value}",
            f"    rate_hz: {_rounded(rates[topic.name]):g}",
        ]  # fmt: skip
        if topic.name in late_ms:
            lines.append(f"    disorder_ms: {late_ms[topic.name]}  # stamped before an earlier message")  # fmt: skip
        if topic.name in of:
            lines.append(f"    of: {of[topic.name]}")
    lines += [f"# left out: {json.dumps(name)}: {why}" for name, why in sorted(left_out.items())]
    return "\n".join(lines) + "\n"


def _names(topics: list[TopicSummary]) -> dict[str, str]:
    """Return a unique stream name for each topic."""
    names: dict[str, str] = {}
    for topic in topics:
        name = _name(DETAILS.sub("", topic.name) or topic.name)
        while name in names.values():
            name += "_"
        names[topic.name] = name
    return names


def _followers(topics: list[TopicSummary], names: dict[str, str]) -> dict[str, str]:
    """Return the stream that follows each command, by the command's topic, as far as names tell."""
    joints = frozenset({"any"})
    sides: dict[Role, list[JointStream]] = {Role.ACTION: [], Role.OBSERVATION: []}
    for topic in topics:
        if topic.type == JOINT_STATE:
            sides[guessed_role(topic.name)].append(JointStream(topic.name, topic.name, joints))
    if len(sides[Role.OBSERVATION]) < 2:
        return {}
    found = pair(sides[Role.ACTION], sides[Role.OBSERVATION], lambda command, observed: 0.0)
    pairs = {c: o for o, commands in found.commands.items() for c in commands if len(commands) == 1}
    return {command: names[observed] for command, observed in pairs.items()}


def _rate(topic: TopicSummary, seconds: float) -> tuple[float, str]:
    """Return the rate in Hz, and why it is not that of a sensor; empty: it may be one."""
    if not topic.count:
        return 0.0, "it has no messages"
    times = topic.times
    if times is not None and len(times) > 1:
        span_s = float(times[-1] - times[0]) / 1e9
        rate_hz = (len(times) - 1) / span_s if span_s > 0 else math.inf
    else:
        rate_hz = topic.count / seconds if seconds > 0 else math.inf
    if topic.count > 1 and rate_hz > _MOST_HZ:
        return rate_hz, f"its {topic.count} messages are too close together to tell a rate"
    if rate_hz < _LEAST_HZ or topic.count < _LEAST:
        return rate_hz, f"it has {topic.count} messages in {seconds:.1f} s"
    if times is not None and not _is_steady(times, seconds):
        return rate_hz, f"its {topic.count} messages did not come at a steady rate"
    return rate_hz, ""


def _is_steady(times: Int64s, seconds: float) -> bool:
    """Tell whether messages are spread evenly over the bag; a few must be equally spaced."""
    if len(times) < _FEW:
        steps = np.diff(times).astype(np.float64)
        covers = (times[-1] - times[0]) / 1e9 >= 0.5 * seconds
        return bool(covers and len(steps) and steps.std() <= 0.2 * steps.mean())
    length_ns = max(seconds * 1e9, float(times[-1] - times[0]))
    parts = min(len(times) // 5, 20)
    counts = np.histogram((times - times[0]) / length_ns, bins=parts, range=(0.0, 1.0))[0]
    usual = float(np.median(counts[counts > 0]))
    alike = np.abs(counts - usual) <= np.maximum(0.5 * usual, 2)
    return bool(alike.mean() >= _STEADY)


def guessed_role(topic: str) -> Role:
    """Guess from a topic's name whether it is an action or an observation."""
    return Role.ACTION if _COMMAND.search(topic.lower()) else Role.OBSERVATION


def _name(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "robot"
    # YAML reads some words as booleans or null.
    return name if name[0].isalpha() and name not in _WORDS else f"s_{name}"


def _rounded(rate_hz: float) -> float:
    """Return the nearest usual rate within 5 %, or else the rate with three digits."""
    nearest = min(_NICE, key=lambda nice: abs(rate_hz - nice))
    return nearest if abs(rate_hz - nearest) < 0.05 * nearest else float(f"{rate_hz:.3g}")
