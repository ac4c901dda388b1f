"""Takes of real robots and devices, in plain numbers: what each topic sends, with noise, jitter and clocks of its own.

A take is made for a profile and knows the truth of its streams. ``robot_defects.py`` damages it and
``robot_bags.py`` makes messages of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import cv2
import numpy as np

from robot_recorder.model.arrays import Bools, Floats

SECONDS = 12.0
LAG_S = 0.04  # from a command to the motion
_REST_S = 1.0  # at both ends of a take
_SMALL = (96, 128)  # pixels, high and wide

Curve = Callable[[Floats], Floats]


class Motion:
    """A smooth motion of several joints, with pauses."""

    def __init__(
        self, joints: int, seed: int, most: float | Sequence[float] = 0.7, seconds: float = SECONDS
    ) -> None:
        """Choose where the joints go.

        Args:
            joints: their number.
            seed: of the choice.
            most: largest position, rad or m, of all or of each.
            seconds: length, s.
        """
        rng = np.random.default_rng(seed)
        self._starts, self._ends = [], []
        at = _REST_S
        while at < seconds - _REST_S - 1.0:
            took = float(rng.uniform(0.8, 1.4))
            self._starts.append(at)
            self._ends.append(min(at + took, seconds - _REST_S))
            at += took + float(rng.choice([0.0, 0.3]))
        self._goals = np.array(most) * rng.uniform(-1, 1, (len(self._starts) + 1, joints))

    def at(self, seconds: Floats) -> Floats:
        """Return the positions, float64[n, joints]."""
        part, share = self._where(seconds)
        smooth = share**3 * (10 - 15 * share + 6 * share**2)
        return np.asarray(
            self._goals[part] + smooth[:, None] * (self._goals[part + 1] - self._goals[part])
        )

    def _where(self, seconds: Floats) -> tuple[np.ndarray, Floats]:
        part = np.clip(
            np.searchsorted(self._starts, seconds, "right") - 1, 0, len(self._starts) - 1
        )
        starts, ends = np.array(self._starts)[part], np.array(self._ends)[part]
        return part, np.clip((seconds - starts) / (ends - starts), 0, 1)

    def speed(self, seconds: Floats) -> Floats:
        """Return the velocities, float64[n, joints]."""
        return (self.at(seconds + 1e-3) - self.at(seconds - 1e-3)) / 2e-3


@dataclass
class Topic:
    """What one topic sends.

    Attributes:
        type: of its messages.
        times: when each was sampled, s since the start of the take.
        columns: numbers of all messages, [n] or [n, k] by path, see ``robot_messages.encode``.
        sizes, fixed: lengths of sequences, and what is the same in all messages, by path.
        stamp: paths of the Times that say when it was sampled, separated by a space; empty: none.
        ticks: path of a number that does, and its unit, s.
        offset_s, drift_ppm: of the clock that stamps, against the robot's.
        shortest_s: from sampling to sending, at best.
        jitter_s: what is added to that on average.
        blobs: path of a field of bytes, and the bytes of each message.
        there: whether each element of ``bodies`` is in each message, bool[n, k].
        bodies: path of the sequence whose elements may be missing.
    """

    type: str
    times: Floats
    columns: dict[str, np.ndarray] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    stamp: str = "header.stamp"
    ticks: tuple[str, float] | None = None
    offset_s: float = 0.0
    drift_ppm: float = 0.0
    shortest_s: float = 0.0005
    jitter_s: float = 0.0005
    blobs: tuple[str, list[bytes]] | None = None
    there: Bools | None = None
    bodies: str = ""

    def stamps(self) -> Floats:
        """Return the times as its own clock has them, s since the start by the robot's clock."""
        return self.times * (1 + self.drift_ppm * 1e-6) + self.offset_s

    def keep(self, rows: Bools) -> None:
        """Drop messages."""
        self.times = self.times[rows]
        self.columns = {path: values[rows] for path, values in self.columns.items()}
        if self.blobs is not None:
            path, blobs = self.blobs
            self.blobs = path, [blob for blob, kept in zip(blobs, rows, strict=True) if kept]
        if self.there is not None:
            self.there = self.there[rows]


@dataclass(frozen=True)
class Part:
    """A stream of a take.

    Attributes:
        stream: its name in the profile.
        topic: topic that it is read from.
        kind: joints, command, touch, wrench, camera, poses, imu or numbers.
        paths: columns of the topic that its values come from; the first are its main values.
        truth: the values at given times, [n, k], of the names that ``values`` has; None: unknown.
        values: names of values, as frames have them.
        tolerance: how far values may be off, in their unit.
        followed: whether a command of the take moves it.
    """

    stream: str
    topic: str
    kind: str
    paths: tuple[str, ...] = ()
    truth: Curve | None = None
    values: tuple[str, ...] = ()
    tolerance: float = 0.02
    followed: bool = False


class Take:
    """The topics and streams of one take."""

    def __init__(self, profile: str, seed: int, seconds: float = SECONDS) -> None:
        """Start without topics.

        Args:
            profile: name of the shipped profile.
            seed: of all that is random.
            seconds: length, s.
        """
        self.profile, self.seconds, self.seed = profile, seconds, seed
        self.rng = np.random.default_rng(seed)
        self.topics: dict[str, Topic] = {}
        self.parts: list[Part] = []

    def times(self, rate_hz: float) -> Floats:
        """Return sampling times with the jitter of a real timer, s."""
        period = 1 / rate_hz
        at = np.arange(int(self.seconds * rate_hz)) * period + 0.3 * period
        return at + self.rng.normal(0, 0.02 * period, len(at)).clip(-0.2 * period, 0.2 * period)

    def noisy(self, values: Floats, noise: float) -> Floats:
        """Return values with noise of a sensor."""
        return values + self.rng.normal(0, noise, values.shape)

    def add(self, name: str, topic: Topic, *parts: Part) -> Topic:
        """Add a topic and the streams that are read from it."""
        self.topics[name] = topic
        self.parts += parts
        return topic

    def press(self, seconds: Floats) -> Floats:
        """Return how hard the robot touches something, 0 to 1: in the middle of the take."""
        inside = np.clip((seconds - 4.0) / 0.4, 0, 1) * np.clip((8.5 - seconds) / 0.4, 0, 1)
        return np.asarray(inside * (0.8 + 0.2 * np.sin(3 * seconds)))


def joints(
    take: Take, stream: str, topic: str, names: Sequence[str], motion: Motion, rate_hz: float,
    unit: tuple[str, float] = ("rad", 1.0), sent: float = 1.0, named: bool = True, **more: Any,
) -> None:  # fmt: skip
    """Add a JointState that follows a command.

    Args:
        take: to add to.
        stream: name of the stream.
        topic: its topic.
        names: of its joints.
        motion: what is commanded.
        rate_hz: its rate.
        unit: in frames, and how much of rad or m it is.
        sent: factor from rad or m to what is sent.
        named: whether the message names its joints.
        more: of its Topic.
    """
    at = take.times(rate_hz)
    columns = {
        "position": sent * take.noisy(motion.at(at - LAG_S), 2e-4),
        "velocity": sent * take.noisy(motion.speed(at - LAG_S), 2e-3),
        "effort": take.noisy(2 * np.sin(motion.at(at)), 0.05),
    }
    size = len(names)
    fixed: dict[str, Any] = {"name": list(names)} if named else {}
    sizes = {"position": size, "velocity": size, "effort": size}
    made = Topic("sensor_msgs/msg/JointState", at, columns, sizes, fixed, **more)
    values = tuple(f"position/{name} ({unit[0]})" for name in names)
    truth = scaled(delayed(motion), unit[1])
    take.add(
        topic, made, Part(stream, topic, "joints", ("position",), truth, values, followed=True)
    )


def command(
    take: Take, stream: str, topic: str, names: Sequence[str], motion: Motion, rate_hz: float,
    sent: float = 1.0, named: bool = True,
) -> None:  # fmt: skip
    """Add a JointState that commands positions; see ``joints``."""
    at = take.times(rate_hz)
    fixed: dict[str, Any] = {"name": list(names)} if named else {}
    columns = {"position": sent * motion.at(at)}
    made = Topic("sensor_msgs/msg/JointState", at, columns, {"position": len(names)}, fixed)
    take.add(topic, made, Part(stream, topic, "command", ("position",)))


def delayed(motion: Motion) -> Curve:
    """Return the motion as it happens, after its command."""
    return lambda seconds: motion.at(seconds - LAG_S)


def scaled(curve: Curve, factor: float) -> Curve:
    """Return a curve in another unit."""
    return lambda seconds: factor * curve(seconds)


def columns_of(curve: Curve, which: slice) -> Curve:
    """Return some columns of a curve."""
    return lambda seconds: curve(seconds)[:, which]


def imu(take: Take, at: Floats, scalar_first: bool = False) -> dict[str, Floats]:
    """Return quaternion, angular velocity and acceleration of a body that sways."""
    lean = 0.03 * np.sin(2.2 * at)
    quaternion = np.stack([np.sin(lean / 2), 0 * at, 0 * at, np.cos(lean / 2)], axis=1)
    if scalar_first:
        quaternion = quaternion[:, [3, 0, 1, 2]]
    turning = np.stack([0.066 * np.cos(2.2 * at), 0 * at, 0 * at], axis=1)
    pull = np.stack([0 * at, 9.81 * np.sin(lean), 9.81 * np.cos(lean)], axis=1)
    return {
        "orientation": take.noisy(quaternion, 1e-6),
        "angular_velocity": take.noisy(turning, 2e-3),
        "linear_acceleration": take.noisy(pull, 0.03),
    }


def touch(take: Take, at: Floats, taxels: int, rest: float, most: float, noise: float) -> Floats:
    """Return readings of a pad that is pressed in the middle of the take, float64[n, taxels]."""
    shape = take.rng.uniform(0.2, 1.0, taxels)
    return take.noisy(rest + most * take.press(at)[:, None] * shape, noise)


def wrench(take: Take, at: Floats) -> tuple[Floats, Floats]:
    """Return forces and torques of a wrist that carries something in the middle of the take."""
    load = take.press(at)
    force = 20 * load[:, None] * np.array([0.3, -0.2, -0.9])
    return take.noisy(force, 0.06), take.noisy(0.08 * force[:, ::-1], 0.004)


@dataclass(frozen=True)
class Path3:
    """The pose of a body that moves and turns about z.

    Attributes:
        motion: of x, y, z and the angle.
    """

    motion: Motion

    def position(self, seconds: Floats) -> Floats:
        """Return x, y and z, m."""
        return self.motion.at(seconds)[:, :3]

    def orientation(self, seconds: Floats) -> Floats:
        """Return a unit quaternion, x y z w."""
        half = self.motion.at(seconds)[:, 3] / 2
        return np.stack([0 * half, 0 * half, np.sin(half), np.cos(half)], axis=1)

    def pose(self, seconds: Floats) -> Floats:
        """Return position and orientation, float64[n, 7]."""
        return np.concatenate((self.position(seconds), self.orientation(seconds)), axis=1)


POSITION = ("x", "y", "z")
ORIENTATION = ("x", "y", "z", "w")


def body(seed: int, seconds: float = SECONDS) -> Path3:
    """Return a body that moves within 0.4 m."""
    return Path3(Motion(4, seed, 0.4, seconds))


def sway(take: Take, at: Floats, bodies: int) -> Floats:
    """Return how far each body trembles, as living ones do, m, float64[n, bodies]."""
    phase = take.rng.uniform(0, 6, bodies)
    return np.asarray(0.004 * np.sin(2.5 * at[:, None] + phase))


@cache
def pictures(kind: str) -> tuple[bytes, ...]:
    """Return two seconds of pictures as files: ``scene``, ``gel`` or ``depth``."""
    return tuple(_file(kind, image) for image in _images(kind))


@cache
def _images(kind: str) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(5)
    return tuple(np.ascontiguousarray(_image(kind, k, rng)) for k in range(60))


@cache
def _scene() -> np.ndarray:
    rough = np.random.default_rng(6).integers(0, 255, (_SMALL[0], 208, 3), dtype=np.uint8)
    return cv2.addWeighted(cv2.GaussianBlur(rough, (0, 0), 3), 1.6, rough, 0.3, -90)


def _image(kind: str, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return picture number k of ``scene``, ``gel``, ``depth`` or ``metres``."""
    high, wide = _SMALL
    rows, columns = np.mgrid[:high, :wide]
    if kind == "scene":
        first = 40 + round(38 * np.sin(k / 9.5))
        return _scene()[:, first : first + wide]
    if kind == "gel":
        near = np.exp(-((rows - 40 - k / 3) ** 2 + (columns - 60) ** 2) / 200)
        smooth = np.stack([90 + 80 * near, 110 - 40 * near, 100 + columns / 4], axis=-1)
        return np.asarray(smooth + rng.normal(0, 2, smooth.shape)).clip(0, 255).astype(np.uint8)
    far = 600 + 2 * columns + 3 * k + rng.integers(0, 3, _SMALL)
    return far.astype(np.uint16) if kind == "depth" else (far / 1000).astype(np.float32)


def _file(kind: str, image: np.ndarray) -> bytes:
    if kind == "depth":
        # compressed_depth_image_transport: 12 bytes of its parameters, then a PNG
        return bytes(12) + cv2.imencode(".png", image)[1].tobytes()
    return cv2.imencode(".jpg", image)[1].tobytes()


def camera(
    take: Take, stream: str, topic: str, rate_hz: float, kind: str = "scene", **more: Any
) -> None:
    """Add a CompressedImage; see ``pictures``."""
    at = take.times(rate_hz)
    files = pictures(kind)
    blobs = [files[n % len(files)] for n in range(len(at))]
    form = "16UC1; compressedDepth png" if kind == "depth" else "jpeg"
    made = Topic(
        "sensor_msgs/msg/CompressedImage", at, fixed={"format": form}, blobs=("data", blobs),
        shortest_s=0.008, jitter_s=0.002, **more,
    )  # fmt: skip
    take.add(topic, made, Part(stream, topic, "camera" if kind != "depth" else "depth"))


def raw_camera(take: Take, stream: str, topic: str, rate_hz: float, kind: str = "scene") -> None:
    """Add an Image of raw pixels: ``scene`` (rgb8), ``depth`` (16UC1) or ``metres`` (32FC1)."""
    at = take.times(rate_hz)
    images = _images(kind)
    encoding = {"scene": "rgb8", "depth": "16UC1", "metres": "32FC1"}[kind]
    high, wide = _SMALL
    step = images[0].nbytes // high
    pixels = np.stack([image.reshape(-1).view(np.uint8) for image in images])
    made = Topic(
        "sensor_msgs/msg/Image", at, {"data": pixels[np.arange(len(at)) % len(images)]},
        {"data": images[0].nbytes},
        {"height": high, "width": wide, "encoding": encoding, "step": step},
        shortest_s=0.008, jitter_s=0.002,
    )  # fmt: skip
    take.add(topic, made, Part(stream, topic, "camera" if kind == "scene" else "depth", ("data",)))


def camera_info(take: Take, topic: str, rate_hz: float) -> None:
    """Add the CameraInfo of a camera."""
    fixed = {"height": _SMALL[0], "width": _SMALL[1]}
    take.add(topic, Topic("sensor_msgs/msg/CameraInfo", take.times(rate_hz), fixed=fixed))
