"""A robot profile for a bag that carries none: streams guessed from its topics, as YAML a person can correct."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from robot_recorder.core.decoding import KINDS
from robot_recorder.core.errors import ConfigError
from robot_recorder.core.profile import MESSAGE_TYPE, RESERVED_TOPICS
from robot_recorder.core.streams import Role

_COMMAND = re.compile(r"command|cmd|action|target|goal|desired|setpoint|reference")
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
_PLAIN = re.compile(r"[\w/]+$")
_LEAST_HZ = 0.5  # below, it is no sensor
_MOST_HZ = 10_000.0  # above, the bag is too short to tell
# Of a topic's name, what says nothing about which one it is.
DETAILS = re.compile(r"/(image_raw|image_rect|image|compressed|data|wrench|tactile)(?=/|$)")


@dataclass(frozen=True)
class TopicFacts:
    """What a bag says of a topic."""

    name: str
    type: str
    count: int


def is_about(topic: str) -> bool:
    """A topic about the recording, the computers or the robot's shape: no sensor, and nothing to be checked."""
    ours = topic.endswith(tuple(f"/{name}" for name in RESERVED_TOPICS))
    return ours or bool(_CONTEXT.search(topic))


def guess_profile(robot: str, topics: list[TopicFacts], seconds: float) -> str:
    """A profile that names every topic which looks like a sensor or a command.

    Args:
        robot: what to call it.
        seconds: duration of the bag; rates are counts over it.

    Raises:
        ConfigError: nothing in it looks like a sensor.
    """
    lines = [
        "# Guessed from the topics of a bag: correct it where it is wrong.",
        f"robot: {_name(robot)}",
        "frame_rate_hz: 30",
        "streams:",
    ]
    names: set[str] = set()
    for topic in topics:
        rate_hz = min(topic.count / seconds, _MOST_HZ) if seconds > 0 else 0.0
        if is_about(topic.name) or rate_hz < _LEAST_HZ:
            continue
        if topic.type == "sensor_msgs/msg/CameraInfo" or not MESSAGE_TYPE.match(topic.type):
            continue
        name = _name(DETAILS.sub("", topic.name) or topic.name)
        while name in names:
            name += "_"
        names.add(name)
        known = topic.type in KINDS
        lines += [
            f"  {name}:" + ("" if known else "  # a type whose values are read field by field"),
            f"    topic: {topic.name if _PLAIN.match(topic.name) else json.dumps(topic.name)}",
            f"    type: {topic.type}",
            f"    role: {guessed_role(topic.name).value}",
            f"    rate_hz: {_rounded(rate_hz):g}",
        ]
    if not names:
        raise ConfigError(
            f"{robot}: no topic with messages at {_LEAST_HZ} Hz or more to guess a profile from; give "
            "the robot's profile with --profile"
        )
    return "\n".join(lines) + "\n"


def guessed_role(topic: str) -> Role:
    """What a topic's name says it is."""
    return Role.ACTION if _COMMAND.search(topic.lower()) else Role.OBSERVATION


def _name(text: str) -> str:
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "robot"
    # YAML would take some words for something else.
    return name if name[0].isalpha() and name not in _WORDS else f"s_{name}"


def _rounded(rate_hz: float) -> float:
    """The round rate it is most likely meant to be."""
    nearest = min(_NICE, key=lambda nice: abs(rate_hz - nice))
    return nearest if abs(rate_hz - nearest) < 0.05 * nearest else float(f"{rate_hz:.3g}")
