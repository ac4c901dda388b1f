"""Tell commands from states: by words of topics, of types, and of groups of fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from robot_recorder.model.streams import Role
from robot_recorder.offline.field_values import name_words
from robot_recorder.offline.profile_draft import DraftStream

_COMMAND = re.compile(
    r"command|cmd|action|target|goal|desired|setpoint|reference|leader|gello"
    r"|(^|[/_])(lead|master)(?=[/_0-9]|$)"
)
_COMMAND_TYPE = re.compile(
    r"/(JointTrajectory|Cmd[A-Z]\w*"
    r"|\w*(Cmd|Command|Ctrl|Control|Target|Goal|Set[pP]oint|Desired)s?)$"
)
MORE_COMMANDS = re.compile(r"ctrl(?![a-z])|(^|[/_])traj(?=[/_]|$)|(^|/)control_")
_CONTROL = {"control", "controls", "ctrl"}
_STATE = {"state", "states", "status", "feedback"}
_WANTED = {"goal", "goals", "cmd", "command", "commands", "commanded", "target", "targets",
           "desired", "reference", "setpoint", "setpoints"}  # fmt: skip
_MEASURED = {"present", "state", "states", "actual", "feedback", "measured"}
_NOT_PAIRED = ("numbers", "tactile", "imu")


def guessed_role(topic: str, type_name: str = "") -> Role:
    """Guess from the names of a topic and its type whether it is an action or an observation."""
    commands = _COMMAND.search(topic.lower()) or _COMMAND_TYPE.search(type_name)
    return Role.ACTION if commands else Role.OBSERVATION


def controls(topics: Iterable[str]) -> set[str]:
    """Return topics that say control where another one has the state of the same device."""
    words = {topic: name_words(topic) for topic in topics}
    states = {_without(w, _STATE) for w in words.values() if _STATE & {*w}}
    return {t for t, w in words.items() if _CONTROL & {*w} and _without(w, _CONTROL) in states}


def _without(words: Sequence[str], left_out: set[str]) -> tuple[str, ...]:
    return tuple(word for word in words if word not in left_out)


def pair_groups(streams: Sequence[DraftStream]) -> None:
    """Make groups of fields that say goal or command actions of the measured ones beside them."""
    for command in streams:
        if command.meaning in _NOT_PAIRED or not _WANTED & {*name_words(command.group)}:
            continue
        command.role = "action"
        beside = [s for s in streams if s.topic == command.topic and _is_measured(s, command)]
        rest = _rest(command)
        alike = [s for s in beside if _rest(s) == rest] or beside
        joints = command.meaning == "joint_state"  # profiles pair nothing else
        if joints and len(alike) == 1 and _shares_numbers(command, alike[0]):
            command.of = alike[0].name


def _is_measured(stream: DraftStream, command: DraftStream) -> bool:
    words = {*name_words(stream.group)}
    return stream.meaning == command.meaning and not _WANTED & words


def _rest(stream: DraftStream) -> tuple[str, ...]:
    """Return the words of a group that do not say whether it is wanted or measured."""
    return _without(name_words(stream.group), _WANTED | _MEASURED)


def _shares_numbers(command: DraftStream, observed: DraftStream) -> bool:
    """Return whether lists of joints are equally long, where both are lists."""
    lists = [s.map.get("names") for s in (command, observed)]
    lengths = {len(names) for names in lists if isinstance(names, list)}
    return len(lengths) < 2
