"""Generates streams with known truth: signals sampled, stamped, delayed and lost as by sensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from geometry_msgs.msg import WrenchStamped
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, JointState

from robot_recorder.model.streams import Policy, Role, SourceClockKind, StreamConfig

NS = 1_000_000_000
T0 = 1_700_000_000 * NS
JOINTS = 7


@dataclass(frozen=True)
class Source:
    """One sensor.

    Attributes:
        name: of the stream.
        kind: message class.
        rate_hz, policy, role: as the profile declares.
        offset_s, drift_ppm: of its own clock; both 0: it uses the robot's.
        readout_s: delay from measurement to stamp.
        readout_spread_s: its standard deviation.
        believed_s: the delay as ``latency_ms`` in the profile, which is never exact.
        transport_s, jitter_s: from stamp to receipt: the shortest delay, and the mean on top of it.
        lost: share of samples that never arrive.
        outage_s: beginning and end of an outage.
        set_at_s, set_by_s: time at which its clock is set, and by how much.
    """

    name: str
    kind: type
    rate_hz: float
    policy: Policy
    role: Role = Role.OBSERVATION
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    readout_s: float = 0.0
    readout_spread_s: float = 0.0
    believed_s: float = 0.0
    transport_s: float = 0.001
    jitter_s: float = 0.001
    lost: float = 0.005
    outage_s: tuple[float, float] = (0.0, 0.0)
    set_at_s: float = 1e9
    set_by_s: float = 0.0

    @property
    def device(self) -> bool:
        """Return whether it has its own clock."""
        return bool(self.offset_s or self.drift_ppm)

    @property
    def config(self) -> StreamConfig:
        """Return a good profile's entry; a device's latency includes the shortest transport."""
        latency_s = self.believed_s + (self.transport_s if self.device else 0.0)
        return StreamConfig(
            name=self.name,
            topic=self.name,
            type=TYPES[self.kind],
            role=self.role,
            rate_hz=self.rate_hz,
            policy=self.policy,
            tolerance_ns=round(max(2.5 / self.rate_hz, 0.002) * NS),
            latency_ns=round(latency_s * NS),
            clock=SourceClockKind.DEVICE if self.device else SourceClockKind.ROBOT,
        )


TYPES = {
    JointState: "sensor_msgs/msg/JointState",
    WrenchStamped: "geometry_msgs/msg/WrenchStamped",
    CompressedImage: "sensor_msgs/msg/CompressedImage",
}


@dataclass(frozen=True)
class Recorded:
    """What a recorder received of a source, in order of receipt.

    Attributes:
        source: the source.
        true: int64[n], ns, robot clock: true times of the samples.
        stamps, receives: int64[n], ns.
        payloads: CDR.
        values: float64[n, k], what was measured.
    """

    source: Source
    true: np.ndarray
    stamps: np.ndarray
    receives: np.ndarray
    payloads: list[bytes]
    values: np.ndarray


@dataclass(frozen=True)
class Truth:
    """The robot's motion: sums of sines up to 2 Hz."""

    frequencies: np.ndarray
    phases: np.ndarray
    sizes: np.ndarray
    width: int = field(default=JOINTS)

    @classmethod
    def draw(cls, rng: np.random.Generator, width: int) -> Truth:
        shape = (width, 3)
        return cls(
            rng.uniform(0.1, 2.0, shape),
            rng.uniform(0, 6.28, shape),
            rng.uniform(0.1, 0.5, shape),
            width,
        )

    def at(self, times: np.ndarray) -> np.ndarray:
        """Return float64[n, width] at times in ns, robot clock."""
        seconds = (times - T0) / 1e9
        angle = 2 * np.pi * self.frequencies * seconds[:, None, None] + self.phases
        return (self.sizes * np.sin(angle)).sum(axis=2)


def sample(
    source: Source, truth: Truth | None, seconds: float, rng: np.random.Generator
) -> Recorded:
    """Run a source for some seconds."""
    count = int(seconds * source.rate_hz)
    period = NS / source.rate_hz
    true = T0 + (np.arange(count) * period + rng.uniform(0, period)).astype(np.int64)
    true += rng.normal(0, 0.02 * period, count).astype(np.int64)  # jitter of the driver's own timer
    keep = rng.random(count) >= source.lost
    since = (true - T0) / 1e9
    keep &= ~((since >= source.outage_s[0]) & (since < source.outage_s[1]))
    true, since = true[keep], since[keep]
    readout = source.readout_s + rng.normal(0, source.readout_spread_s, len(true))
    own = true + (readout * NS).astype(np.int64) + round(source.offset_s * NS)
    own += (since * source.drift_ppm * 1e3).astype(np.int64)
    own[since >= source.set_at_s] += round(source.set_by_s * NS)
    late = readout + source.transport_s + rng.exponential(source.jitter_s, len(true))
    receives = np.maximum.accumulate(true + (late * NS).astype(np.int64))
    values = truth.at(true) if truth is not None else np.empty((len(true), 0))
    payloads = [_message(source.kind, stamp, row) for stamp, row in zip(own.tolist(), values)]
    return Recorded(source, true, own, receives, payloads, values)


_MAKE: dict[type, Callable[[np.ndarray], object]] = {
    JointState: lambda row: JointState(
        name=[f"joint_{i}" for i in range(len(row))], position=row.tolist()
    ),
    CompressedImage: lambda _: CompressedImage(format="jpeg", data=bytes(200)),
}


def _message(kind: type, stamp_ns: int, row: np.ndarray) -> bytes:
    if kind is WrenchStamped:
        message = WrenchStamped()
        f, t = message.wrench.force, message.wrench.torque
        f.x, f.y, f.z, t.x, t.y, t.z = row.tolist()
    else:
        message = _MAKE[kind](row)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, NS)
    return bytes(serialize_message(message))
