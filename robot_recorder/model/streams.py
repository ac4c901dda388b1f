"""The configuration of a robot's streams, used by all other parts."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, IntEnum

from robot_recorder.model.encode_settings import EncodeSettings
from robot_recorder.model.mapping import AUTOMATIC, StampRule, StreamMapping
from robot_recorder.model.qos import Durability, Qos, Reliability
from robot_recorder.model.quality_settings import NO_SETTINGS, QualitySettings
from robot_recorder.model.units import JointUnit

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000


class Role(str, Enum):
    """Meaning of a stream for training."""

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
    """Clock that a stream's timestamps come from."""

    ROBOT = "robot"
    DEVICE = "device"


class StreamHealth(IntEnum):
    """Health of a stream, as StreamStatus.HEALTH_*."""

    OK = 0
    SLOW = 1
    STALE = 2
    NEVER = 3
    WRONG_TYPE = 4
    UNHEARD = 5
    CLOCK = 6
    STILL = 7
    NOT_ENCODED = 8


@dataclass(frozen=True)
class StreamConfig:
    """The configuration of one stream, a topic of a robot.

    Attributes:
        name: unique within the profile; used in frames, reports and datasets.
        topic: topic name, relative to the robot's namespace unless it starts with ``/``.
        type: message type as ``package/msg/Name``.
        role: observation, action or context.
        rate_hz: expected rate, Hz; None: no fixed rate (latched, on change).
        required: whether an episode needs this stream.
        policy: how samples are chosen for a tick; NONE for context streams.
        tolerance_ns: maximum distance of a sample from the tick (nearest, previous), or maximum
            gap that is interpolated (linear, slerp), ns.
        latency_ns: time from the measurement to the timestamp, ns; it is subtracted. With a DEVICE
            clock: shortest time from the measurement to the receipt.
        clock: ROBOT: timestamps are robot time, their offset is only reported. DEVICE: timestamps
            of a separate clock, whose offset and drift are estimated and corrected.
        disorder_ns: how much older than an earlier message a message may be to count, ns.
        window: whether frames hold all samples since the last tick, not only one.
        of: for a command, name of the observed stream that follows it; empty: found by topics and
            joints.
        qos: QoS to subscribe with; None: follow the publishers.
        quality: settings of its checks.
        joint_names: names of the joints, if the messages have none.
        units: units of joint positions, the first match counts; for an unknown message type, the
            unit of all its numbers.
        mapping: which fields of the messages are its values; None: as its message type says.
        stamp: where its timestamps come from.
        encode: how its raw pictures are encoded before they are recorded; None: they are not.
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
    mapping: StreamMapping | None = None
    stamp: StampRule = AUTOMATIC
    encode: EncodeSettings | None = None


@dataclass(frozen=True)
class FrameClock:
    """The clock that generates the ticks.

    Attributes:
        rate_hz: rate of the ticks, Hz; with a reference the maximum rate, None: no limit.
        reference: stream whose samples are the ticks; empty: fixed rate.
    """

    rate_hz: float | None
    reference: str = ""

    @property
    def text(self) -> str:
        """Describe it as a part of a sentence."""
        if not self.reference:
            return f"at {self.rate_hz:g} Hz" if self.rate_hz else "at an unknown rate"
        most = f", at most {self.rate_hz:g} Hz" if self.rate_hz else ""
        return f"to {self.reference}{most}"


@dataclass(frozen=True)
class RobotProfile:
    """A robot's streams and its frame clock.

    Attributes:
        robot: the robot's name; part of every episode id.
        frame_clock: the clock of its frames.
        deadline_ns: how long after a tick a frame waits for late streams, ns.
        streams: in the order of the file.
        description: free text.
        stale_ns: time without messages after which a stream is stale, ns; longer for slow streams.
        max_clock_offset_ns: maximum distance of timestamps from their receive times, ns; not for
            device clocks.
        quality: settings of the checks of its episodes.
        text: the YAML it was read from, stored in every episode.
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
        """Return the streams that are part of frames."""
        return tuple(s for s in self.streams if s.policy is not Policy.NONE)


def follow_publishers(offered: list[Qos]) -> Qos:
    """Return the most demanding QoS that is compatible with all these publishers.

    A reliable subscription receives nothing from a best-effort publisher, a transient-local one
    nothing from a volatile publisher, so both are requested only if all publishers offer them.
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
    """Return whether a subscription receives the messages of a publisher with this QoS."""
    deaf = (
        reader.reliability is Reliability.RELIABLE and writer.reliability is Reliability.BEST_EFFORT
    ) or (
        reader.durability is Durability.TRANSIENT_LOCAL and writer.durability is Durability.VOLATILE
    )
    return not deaf and reader.deadline_ns >= writer.deadline_ns
