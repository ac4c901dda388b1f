"""A robot arm with a camera for the quality inspector, and a looker that sees what a test wants."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.streams import RobotProfile
from robot_recorder.quality.checks.picture_figures import PictureFigures, VideoFigures, VideoPackets
from robot_recorder.quality.inspector import Inspector
from robot_recorder.quality.verdict import QualityReport
from support.bags import angle, joint_state
from support.samples import T0, wrench

NS = 1_000_000_000
PROFILE = """
robot: arm
{quality}
streams:
  joints: {{topic: joint_states, type: sensor_msgs/msg/JointState, role: observation, rate_hz: 100}}
  wrench: {{topic: wrench, type: geometry_msgs/msg/WrenchStamped, role: observation, rate_hz: 100}}
  camera: {{topic: eye/image/compressed, type: sensor_msgs/msg/CompressedImage, role: observation, rate_hz: 10}}
  info: {{topic: eye/camera_info, type: sensor_msgs/msg/CameraInfo, role: context, rate_hz: 10}}
"""


class Eyes:
    """A looker that measures the same in every picture."""

    def __init__(self, figures: Callable[[int], PictureFigures] | None = None) -> None:
        self.figures = figures or (lambda at: PictureFigures(at, 640, 480, 0.1, 0.0, 0.7))
        self.looked: list[int] = []
        self.settled = True

    def look(self, type_name: str, time_ns: int, message: bytes, tell: Callable) -> None:
        self.looked.append(time_ns)
        tell(self.figures(time_ns))

    def follow(self, packets: VideoPackets, tell: Callable) -> None:
        self.looked += packets.times
        same = np.zeros(len(packets.times), dtype=bool)
        pictures = [self.figures(at) for at in packets.times]
        tell(VideoFigures(pictures, np.array(packets.times), same))

    def leave(self, video: int) -> None:
        pass

    def settle(self, timeout_s: float) -> bool:
        return self.settled


def profile(quality: str = "") -> RobotProfile:
    return parse_profile(PROFILE.format(quality=quality), "p")


def picture(stamp_ns: int, number: int, size: int = 5000) -> bytes:
    """Return bytes as large as a CompressedImage, different for every number."""
    body = np.random.default_rng(number).bytes(size - 40)
    sec, nanosec = divmod(stamp_ns, NS)
    return (
        b"\0\1\0\0" + sec.to_bytes(4, "little") + nanosec.to_bytes(4, "little") + bytes(28) + body
    )


def feed(inspector: Inspector, seconds: float = 6.0) -> None:
    """Add the samples of a swinging robot with a camera."""
    streams = {s.name: s for s in inspector._profile.streams}
    for second in range(int(seconds)):
        at = second + np.arange(100) / 100
        stamps = T0 + np.round(at * NS).astype(np.int64)
        joints = [joint_state(int(s), float(angle(x)), 0.3) for s, x in zip(stamps, at)]
        noise = np.random.default_rng(second).normal(0, 0.1, (100, 6))
        forces = [wrench(int(s), tuple(row)) for s, row in zip(stamps, noise)]
        inspector.add(streams["joints"], stamps, stamps + 1000, joints)
        inspector.add(streams["wrench"], stamps, stamps + 1000, forces)
        shots = stamps[::10]
        pictures = [picture(int(s), second * 10 + n) for n, s in enumerate(shots)]
        inspector.add(streams["camera"], shots, shots + 1000, pictures)


def report(inspector: Inspector, seconds: float = 6.0) -> QualityReport:
    return inspector.report(T0, T0, T0 + round(seconds * NS), None)
