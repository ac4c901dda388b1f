"""Guess a robot profile from topics, as YAML that a person can correct."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from robot_recorder.alignment.command_pairing import JointStream, nearest_topics, pair
from robot_recorder.configuration.profile import MESSAGE_TYPE, RESERVED_TOPICS
from robot_recorder.messages.kinds import CAMERA_INFO, KINDS, Sort, sort_of
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_MS, Role
from robot_recorder.offline.guess_mapping import GuessedType, drafted, rest_text
from robot_recorder.offline.guess_roles import MORE_COMMANDS, controls, guessed_role, pair_groups
from robot_recorder.offline.profile_draft import DraftStream, ProfileDraft

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
PLAIN_ARRAYS = ("std_msgs/msg/Float64MultiArray", "std_msgs/msg/Float32MultiArray")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
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
    """A topic of a bag or of a running robot.

    Attributes:
        name: topic name.
        type: message type.
        count: number of messages.
        times: int64[n], ns, rising: stamps, or receive times without stamps; None: unknown.
        disorder_ns: largest difference by which a message is stamped before an earlier one.
        guessed: what its messages seem to be, for a type that nobody described; None: not tried.
        unit: suspected unit of a JointState, and how that is known; empty: rad.
        joints: names of the joints in messages of a known type; empty: unknown.
        numbers: how many numbers a plain array has; 0: it is none, or the number varies.
        stamps: what is unusual about its header stamps; empty: nothing.
        device: whether its header stamps are those of a clock of its own.
        problem: why it could not be listened to; empty: it could.
    """

    name: str
    type: str
    count: int
    times: Int64s | None = None
    disorder_ns: int = 0
    guessed: GuessedType | None = None
    unit: tuple[str, str] = ("", "")
    joints: tuple[str, ...] = ()
    numbers: int = 0
    stamps: str = ""
    device: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Guess:
    """A guessed profile.

    Attributes:
        draft: the profile.
        note: a line that is written before it; empty: none.
    """

    draft: ProfileDraft
    note: str = ""

    @property
    def text(self) -> str:
        """Return the YAML of the profile."""
        return self.note + self.draft.text()

    @property
    def left_out(self) -> dict[str, str]:
        """Return the reason by topic for every topic that did not become a stream."""
        return self.draft.left_out


def is_about(topic: str) -> bool:
    """Tell whether a topic describes the recording, computers or robot, and is not a sensor."""
    ours = topic.endswith(tuple(f"/{name}" for name in RESERVED_TOPICS))
    return ours or bool(_CONTEXT.search(topic))


def guess_profile(
    robot: str, topics: list[TopicSummary], seconds: float, source: str = "a bag", prefix: str = ""
) -> Guess:
    """Guess a profile with a stream for every topic that looks like a sensor or a command.

    Args:
        robot: name for the profile.
        topics: all topics.
        seconds: how long they were recorded or listened to.
        source: what they were found in.
        prefix: of topics that are written relative to the robot's namespace; empty: none.

    Raises:
        ConfigError: no topic looks like a sensor.
    """
    rates: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for topic in topics:
        ours = topic.type.startswith("robot_recorder/msg/") and topic.type not in KINDS
        if is_about(topic.name) or ours:
            continue
        rate_hz, why = _rate(topic, seconds)
        why = topic.problem or why
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
    chosen = [t for t in topics if t.name in rates]
    draft = ProfileDraft(
        profile_name(robot)[:64], _streams(chosen, rates, prefix), left_out,
        (f"Guessed from the topics of {source}: correct it where it is wrong.",),
        _deadline_ms(chosen),
    )  # fmt: skip
    return Guess(draft)


def _late_ms(topic: TopicSummary) -> int:
    """Return the disorder of a topic, ms; 0: none, or so much that its stamps are wrong."""
    late_ms = math.ceil(topic.disorder_ns / NS_PER_MS)
    return late_ms if 0 < late_ms * NS_PER_MS <= _LATE_NS else 0


def _deadline_ms(topics: list[TopicSummary]) -> int:
    worst_ms = max(map(_late_ms, topics), default=0)
    return worst_ms + 50 if worst_ms + 50 > _DEADLINE_MS else 0


def _streams(
    topics: list[TopicSummary], rates: Mapping[str, float], prefix: str
) -> list[DraftStream]:
    """Return the streams of a draft."""
    names = _names(topics, prefix)
    found: list[DraftStream] = []
    for topic in topics:
        found += _streams_of(topic, names[topic.name], _rounded(rates[topic.name]), prefix)
    commands = {_relative(name, prefix) for name in controls(names)}
    for stream in found:
        stream.role = "action" if stream.topic in commands else stream.role
    _name_apart(found)
    pair_groups(found)
    _name_numbers(found)
    _pair_commands(found)
    _name_unpaired(found)
    return found


def _streams_of(topic: TopicSummary, name: str, rate_hz: float, prefix: str) -> list[DraftStream]:
    """Return the streams of one topic: one, or one for each of its mappings."""
    guessed = topic.guessed or GuessedType()
    role = _role_of(topic).value
    drafts = []
    for number, guess in enumerate(guessed.streams or (None,)):
        several = number or sum(g.meaning == "joint_state" for g in guessed.streams) > 1
        own = f"{name}_{profile_name(guess.suffix)}" if guess and several else name
        draft = DraftStream(own, _relative(topic.name, prefix), topic.type, role, rate_hz)
        draft.disorder_ms = _late_ms(topic)
        if draft.disorder_ms:
            draft.remark("disorder_ms", "stamped before an earlier message")
        if guess is not None:
            drafted(guess, draft)
            draft.group = guess.suffix
        else:
            draft.unread = topic.type not in KINDS
            draft.unit, why = topic.unit
            draft.remark("unit", why)
            draft.joints, draft.elements = topic.joints, topic.numbers
        drafts.append(draft)
    _stamp(topic, guessed, drafts)
    if guessed.streams:
        drafts[0].remark("", rest_text(guessed.rest))
    for why in guessed.refused:
        drafts[0].remark("", f"not read {why}")
    return drafts


def _role_of(topic: TopicSummary) -> Role:
    """Guess the role also by words that are less sure, where messages were looked at."""
    looked_at = topic.guessed is not None or topic.joints
    more = looked_at and MORE_COMMANDS.search(topic.name.lower())
    return Role.ACTION if more else guessed_role(topic.name, topic.type)


def _stamp(topic: TopicSummary, guessed: GuessedType, drafts: list[DraftStream]) -> None:
    """Write where stamps come from to the first stream of a topic, which the others follow."""
    first = drafts[0]
    first.remark("", topic.stamps)
    if guessed.stamp is not None:
        first.stamp = guessed.stamp.rule
        first.clock = guessed.stamp.clock
        first.remark("stamp", guessed.stamp.remark)
    elif topic.device:
        for draft in drafts:
            draft.clock = "device"
        first.remark("clock", "its stamps are not of the robot's clock")


def _relative(topic: str, prefix: str) -> str:
    """Return a topic relative to the robot's namespace, if it is in there."""
    inside = f"{prefix.rstrip('/')}/"
    return topic[len(inside) :] if prefix.strip("/") and topic.startswith(inside) else topic


def _name_apart(streams: list[DraftStream]) -> None:
    """Give streams unlike names."""
    seen: set[str] = set()
    for stream in streams:
        while stream.name in seen:
            stream.name += "_"
        seen.add(stream.name)


def _names(topics: list[TopicSummary], prefix: str = "") -> dict[str, str]:
    """Return a unique stream name for each topic."""
    names: dict[str, str] = {}
    for topic in topics:
        own = _relative(topic.name, prefix)
        name = profile_name(DETAILS.sub("", own) or own)
        while name in names.values():
            name += "_"
        names[topic.name] = name
    return names


def _pair_commands(streams: list[DraftStream]) -> None:
    """Write which stream follows each command, as far as names and numbers of joints tell."""
    by_name = {s.name: s for s in streams if _is_joints(s)}
    settled = {s.name: s.of for s in by_name.values() if s.of in by_name}
    for name, of in settled.items():
        _follow(by_name[name], by_name[of])
    by_name = {n: s for n, s in by_name.items() if n not in settled and not s.of}
    mapped = any(s.meaning for s in by_name.values())
    sides: dict[str, list[JointStream]] = {"action": [], "observation": []}
    labels = {s.name: _joint_labels(s) for s in by_name.values()}
    observed_labels = {
        x for s in by_name.values() if s.role == "observation" for x in labels[s.name]
    }
    for stream in by_name.values():
        if stream.role in sides:
            joints = labels[stream.name]
            if not joints & observed_labels:  # other names for the same joints, perhaps
                joints |= {f"as many as {len(joints)}"}
            sides[stream.role].append(JointStream(stream.name, stream.topic, joints))
    if not sides["observation"] or (len(sides["observation"]) < 2 and not mapped):
        return
    found = pair(sides["action"], sides["observation"], lambda command, observed: 0.0)
    for observed, commands in found.commands.items():
        for command in commands if len(commands) == 1 else ():
            fits = _may_follow(by_name[command], by_name[observed])
            if fits and (len(sides["observation"]) > 1 or by_name[observed].meaning):
                _follow(by_name[command], by_name[observed])


def _may_follow(command: DraftStream, observed: DraftStream) -> bool:
    """Return whether numbers of joints fit, where only those tell which joint is which."""
    mine, others = command.map.get("names"), observed.map.get("names")
    if not isinstance(others, list):
        others = list(observed.joints) or None
    if not (isinstance(mine, list) and isinstance(others, list)):
        return True
    by_number = command.made_up or observed.made_up
    as_many = len(mine) == len(others) or command.elements == observed.elements > 0
    return as_many or not by_number


def _name_unpaired(streams: list[DraftStream]) -> None:
    """Give commands that follow nothing joints of their own: equal names would be compared."""
    made_up = [s for s in streams if s.made_up and isinstance(s.map.get("names"), list)]
    observed = [s for s in made_up if s.role == "observation"]
    for command in (s for s in made_up if s.role == "action" and not s.of):
        names = command.map["names"]
        alike = [s for s in observed if {*names} & {*s.map["names"]}]
        # With as many joints, their motions may still tell which stream follows.
        if alike and all(len(s.map["names"]) != len(names) for s in alike):
            command.map["names"] = [f"cmd_{n.removeprefix('joint_')}" for n in names]
            other = alike[0]
            command.remark("map.names", f"{len(names)} joints, {other.name} has "
                           f"{len(other.map['names'])}: give the same joints the same names in "
                           f"both, and add of: {other.name}")  # fmt: skip


def _joint_labels(stream: DraftStream) -> frozenset[str]:
    """Return what a stream's joints may be matched by: their names, or how many there are.

    A command without names follows a stream with as many joints, named or not.
    """
    listed = stream.map.get("names")
    renamed = stream.map.get("rename")
    names = set(renamed.values()) if isinstance(renamed, dict) else set(stream.joints)
    count = len(names)
    if isinstance(listed, list):
        names = set() if stream.made_up else set(listed)
        count = stream.elements or len(listed)
    if not names and not count:
        return frozenset({"any"})
    if stream.role == "observation" or not names:
        names.add(f"as many as {count}")
    return frozenset({*names, "any"} if not count else names)


def _name_numbers(streams: list[DraftStream]) -> None:
    """Take commands that are plain arrays for positions of the joints they are as many as.

    Observations may be anything: those keep their numbers.
    """
    for command in streams:
        if command.type not in PLAIN_ARRAYS or command.meaning or not command.elements:
            continue
        if command.role != "action":
            command.remark("", f"{command.elements} numbers without names: add names: [...]")
            continue
        fitting = {
            s.topic: s for s in streams
            if s.role == "observation" and len(_joint_names(s)) == command.elements > 1
        }  # fmt: skip
        nearest = nearest_topics(command.topic, fitting)
        if len(nearest) == 1:
            observed = fitting[nearest[0]]
            command.meaning, command.of = "joint_state", observed.name
            command.names = list(_joint_names(observed))
            command.remark("names", f"as many as {observed.name} has joints: taken for its joints")


def _joint_names(stream: DraftStream) -> Sequence[str]:
    listed = stream.map.get("names")
    found = (
        listed if stream.meaning == "joint_state" and isinstance(listed, list) else stream.joints
    )
    return list(found)


def _is_joints(stream: DraftStream) -> bool:
    known = not stream.meaning and sort_of(stream.type) is Sort.JOINTS
    positions = not stream.map or "position" in stream.map  # what commands are compared with
    return (stream.meaning == "joint_state" and positions) or known


def _follow(command: DraftStream, observed: DraftStream) -> None:
    """Let a command have the names of the joints that follow it."""
    command.of = observed.name
    mine, others = command.map.get("names"), observed.map.get("names")
    if isinstance(mine, list) and observed.joints and len(mine) == len(observed.joints):
        command.map["names"] = list(observed.joints)
        command.remarks["map.names"] = [f"those of {observed.name}, if they are in the same order"]
    if not (isinstance(mine, list) and isinstance(others, list)):
        return
    if len(mine) != len(others) and command.elements == observed.elements > 0:
        # As many of the array as the robot has, whichever were commanded while it was guessed.
        _choose_elements(command, observed.index)
        mine = others
    if len(mine) == len(others) and (command.made_up or observed.made_up or mine == others):
        command.map["names"] = f"same_as {observed.name}"
        command.remarks["map.names"] = ["as far as numbers tell: the same joints in the same order"]


def _choose_elements(stream: DraftStream, index: str) -> None:
    """Let a stream read other elements of its array."""
    for key, path in stream.map.items():
        if isinstance(path, str) and key != "names":
            stream.map[key] = path.replace(f"[{stream.index}]", f"[{index}]", 1)
    stream.index = index


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
    if times is not None and len(times) and not _is_steady(times, seconds):
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


def profile_name(text: str) -> str:
    """Return a text as the name of a stream or robot."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower() or "robot"
    # YAML reads some words as booleans or null.
    return name if name[0].isalpha() and name not in _WORDS else f"s_{name}"


def _rounded(rate_hz: float) -> float:
    """Return the nearest usual rate within 5 %, or else the rate with three digits."""
    nearest = min(_NICE, key=lambda nice: abs(rate_hz - nice))
    return nearest if abs(rate_hz - nearest) < 0.05 * nearest else float(f"{rate_hz:.3g}")
