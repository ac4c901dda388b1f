"""What a robot's streams are: the configuration every other part is built from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from robot_recorder.model.qos import Durability, Qos, Reliability
from robot_recorder.model.quality_settings import NO_SETTINGS, QualitySettings
from robot_recorder.model.units import JointUnit

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Role(str, Enum):
    """What a stream means to someone who trains on it."""

    OBSERVATION = "observation"
    ACTION = "action"
    CONTEXT = "context"


class Policy(str, Enum):
    """How a stream's samples are chosen for a tick."""

    NEAREST = "nearest"
    PREVIOUS = "previous"
    LINEAR = "linear"
    SLERP = "slerp"
    NONE = "none"


class SourceClockKind(str, Enum):
    """Which clock stamps a stream's messages."""

    ROBOT = "robot"
    DEVICE = "device"


class StreamHealth(IntEnum):
    """Mirrors StreamStatus.HEALTH_*."""

    OK = 0
    SLOW = 1
    STALE = 2
    NEVER = 3
    WRONG_TYPE = 4
    UNHEARD = 5
    CLOCK = 6


@dataclass(frozen=True)
class StreamConfig:
    """One topic of one robot.

    Attributes:
        name: unique within the profile; what frames, reports and datasets call it.
        topic: topic name, relative to the robot's namespace unless it starts with ``/``.
        type: message type as ``package/msg/Name``.
        role: observation, action or context.
        rate_hz: expected rate, or None when the stream has none (latched, on change).
        required: an episode without it is not worth recording.
        policy: how samples are chosen for a tick; NONE for context streams.
        tolerance_ns: how far from the tick a sample may lie (nearest, previous) or how long a
            gap may be bridged (linear, slerp).
        latency_ns: subtracted from its stamps: how long after the measurement they are taken. With a
            DEVICE clock, how long after the measurement a message is received at best.
        clock: ROBOT: its stamps are robot time, their offset is only reported. DEVICE: a clock of its
            own, whose offset and drift are estimated and corrected.
        disorder_ns: how far a message may be stamped before one that arrived earlier and still count.
        window: frames carry all samples since the last tick, not only one.
        of: of a command, the name of the observed stream that follows it; empty: by topics and joints.
        qos: forced subscription QoS, or None to follow the publishers.
        quality: what its checks are held to.
        joint_names: of a joint state's joints, where its messages do not name them.
        units: of a joint state's positions, the first that fits a joint; of a type that is not
            understood the one of all its numbers.
    """

    name: str
    topic: str
    type: str
    role: Role
    rate_hz: float | None = None
    required: bool = True
    policy: Policy = Policy.NONE
    tolerance_ns: int = 0
    latency_ns: int = 0
    clock: SourceClockKind = SourceClockKind.ROBOT
    disorder_ns: int = 0
    window: bool = False
    of: str = ""
    qos: Qos | None = None
    quality: QualitySettings = field(default=NO_SETTINGS, hash=False)
    joint_names: tuple[str, ...] = ()
    units: tuple[JointUnit, ...] = ()


@dataclass(frozen=True)
class FrameClock:
    """What makes the ticks.

    Attributes:
        rate_hz: of a fixed rate; with a reference the most ticks a second, None: no limit.
        reference: name of the stream whose every sample is a tick; empty: fixed rate.
    """

    rate_hz: float | None
    reference: str = ""

    @property
    def text(self) -> str:
        """Part of a sentence."""
        if not self.reference:
            return f"at {self.rate_hz:g} Hz" if self.rate_hz else "at an unknown rate"
        most = f", at most {self.rate_hz:g} Hz" if self.rate_hz else ""
        return f"to {self.reference}{most}"


@dataclass(frozen=True)
class RobotProfile:
    """A robot's streams and its frame clock.

    Attributes:
        robot: the robot's name; part of every episode id.
        deadline_ns: how long after a tick a frame waits for late streams.
        streams: in the order of the file.
        description: free text.
        stale_ns: silence that counts as stale; longer for slow streams.
        max_clock_offset_ns: how far a stream's stamps may lie from receipt; not of a device's clock.
        quality: what the checks of its episodes are held to.
        text: the YAML it was read from, so that an episode can carry it.
    """

    robot: str
    frame_clock: FrameClock
    deadline_ns: int
    streams: tuple[StreamConfig, ...]
    description: str = ""
    stale_ns: int = 500 * NS_PER_MS
    max_clock_offset_ns: int = 500 * NS_PER_MS
    quality: QualitySettings = field(default=NO_SETTINGS, hash=False)
    text: str = field(default="", repr=False, compare=False)

    @property
    def aligned(self) -> tuple[StreamConfig, ...]:
        """The streams that take part in frames."""
        return tuple(s for s in self.streams if s.policy is not Policy.NONE)


def follow_publishers(offered: list[Qos]) -> Qos:
    """The most demanding QoS that every one of these publishers still satisfies.

    A reliable reader never hears a best-effort writer, a transient-local reader never hears a
    volatile one, so each demand is made only when all publishers offer it.
    """
    if not offered:
        return Qos()
    reliable = all(q.reliability is Reliability.RELIABLE for q in offered)
    latched = all(q.durability is Durability.TRANSIENT_LOCAL for q in offered)
    return Qos(
        Reliability.RELIABLE if reliable else Reliability.BEST_EFFORT,
        Durability.TRANSIENT_LOCAL if latched else Durability.VOLATILE,
        max(q.deadline_ns for q in offered),
    )


def hears(reader: Qos, writer: Qos) -> bool:
    """Whether a subscription with one QoS gets the messages of a publisher with another."""
    deaf = (
        reader.reliability is Reliability.RELIABLE and writer.reliability is Reliability.BEST_EFFORT
    ) or (
        reader.durability is Durability.TRANSIENT_LOCAL and writer.durability is Durability.VOLATILE
    )
    return not deaf and reader.deadline_ns >= writer.deadline_ns
