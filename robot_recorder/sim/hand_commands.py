"""How a person's hand commands a hand of the robot: clutch, dead-man button, filter and limits.

Times of a device's clock are only subtracted from each other: its offset and drift do not matter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np

LOST_S = 0.15  # without a new pose, or without news of the controller's buttons
JUMP_M = 0.5  # from one pose to the next: the tracking has found something else
_STRAGGLER_NS = 1_000_000_000  # a stamp that is older by less was overtaken; by more: a new clock
_LEAST_DT_S, _MOST_DT_S = 0.001, 0.1  # between two poses, as the filter takes it
_MOST_STEP_S = 0.05  # of a busy program: what it missed is not caught up with at once
_PRESSED, _RELEASED = 0.6, 0.4  # of the grip's way
_CAUGHT = 0.06  # of the trigger's way: as near as it must come to the fingers to take them over


class HandPose(NamedTuple):
    """Where a hand is: ``position_m`` float64[3] and ``rotation`` float64[3, 3], its axes as columns."""

    position_m: np.ndarray
    rotation: np.ndarray


@dataclass(frozen=True)
class HandLimits:
    """How far and how fast a hand may be moved.

    Attributes:
        low_m, high_m: corners of its workspace, float64[3], in the robot's frame.
        scale: metres of the robot's hand per metre of the person's.
        most_m_s, most_rad_s: speeds.
        most_m_s2, most_rad_s2: accelerations, which make every stop a soft one.
        most_bend_s: of the fingers, from open to closed and further, per second.
        meet_m_s, meet_rad_s: speeds at which the robot's hand comes to where the person's is; 0: it only
            moves as the person's does, from wherever it was.
    """

    low_m: tuple[float, float, float]
    high_m: tuple[float, float, float]
    scale: float = 1.0
    most_m_s: float = 0.8
    most_rad_s: float = 3.0
    most_m_s2: float = 15.0
    most_rad_s2: float = 60.0
    most_bend_s: float = 4.0
    meet_m_s: float = 0.0
    meet_rad_s: float = 0.0


class Following(str, Enum):
    """What a hand does, or why it stands."""

    UNHEARD = "unheard"  # no pose has come yet, or none for long
    FOLLOWS = "follows"
    RELEASED = "released"  # the grip is not pressed
    NOT_HELD = "not_held"  # the dead-man button is not held
    LOST = "lost"  # no new pose in time; the grip must be released and pressed again
    JUMPED = "jumped"  # the same after a pose that was too far from the last one
    SILENT = "silent"  # the same after buttons that were not heard in time
    PRESSED_BEFORE = "pressed_before"  # the same: the grip was down when it was first heard
    REFUSED = "refused"  # the same: the robot does something else


class OneEuro:
    """A low-pass filter of a pose whose cut-off frequency rises with the speed.

    After Casiez, Roussel and Vogel: 1 Euro Filter, CHI 2012.
    """

    def __init__(
        self, least_hz: float = 8.0, hz_per_m_s: float = 60.0, speed_hz: float = 8.0
    ) -> None:
        """Create an empty filter.

        Args:
            least_hz: cut-off of a still hand.
            hz_per_m_s: by how much it rises with the speed; a turn of 1 rad/s counts as 0.3 m/s.
            speed_hz: cut-off of the speed itself.
        """
        self._least_hz, self._rise, self._speed_hz = least_hz, hz_per_m_s, speed_hz
        self.pose: HandPose | None = None
        self._speed = np.zeros(6)

    def reset(self, pose: HandPose) -> None:
        """Begin anew at a pose."""
        self.pose, self._speed = pose, np.zeros(6)

    def add(self, pose: HandPose, dt_s: float) -> None:
        """Take a pose that was measured ``dt_s`` after the last one."""
        if self.pose is None:
            self.reset(pose)
            return
        way = pose.position_m - self.pose.position_m
        turn = rotation_vector(pose.rotation @ self.pose.rotation.T)
        speed = np.concatenate([way, 0.3 * turn]) / dt_s
        self._speed += _share(self._speed_hz, dt_s) * (speed - self._speed)
        share = _share(self._least_hz + self._rise * float(np.linalg.norm(self._speed)), dt_s)
        rotation = rotation_of(share * turn) @ self.pose.rotation
        self.pose = HandPose(self.pose.position_m + share * way, rotation)


def _share(cutoff_hz: float, dt_s: float) -> float:
    """Return the share of a new value that a low-pass filter takes."""
    return 1.0 / (1.0 + 1.0 / (2 * math.pi * cutoff_hz * dt_s))


class HandCommand:
    """Turns what is heard of one hand of the person into poses of one hand of the robot.

    While the grip is pressed and the dead-man button is held, the robot's hand moves as the person's
    does, from wherever both were when that began. Otherwise it stops softly and stays.

    Attributes:
        following: what it does, or why it stands.
        bend: how far the trigger bends the fingers, 0 (open) to 1; None: it has not taken them over.
    """

    def __init__(self, limits: HandLimits) -> None:
        """Create it for a hand that nothing was heard of yet."""
        self._limits = limits
        self._filter = OneEuro()
        self._raw_m = np.zeros(3)
        self._stamp_ns = 0
        self._pose_s = self._buttons_s = -math.inf
        self._trigger, self._grip, self._held = 0.0, False, False
        self._broken: Following | None = Following.PRESSED_BEFORE  # until the grip is released
        self.following = Following.UNHEARD
        self._apart: HandPose | None = None  # what is added to the person's hand
        self._box = np.array([limits.low_m, limits.high_m])
        self._now = HandPose(np.zeros(3), np.eye(3))
        self._velocity, self._spin = np.zeros(3), np.zeros(3)
        self._at_s = -math.inf
        self._bend, self._before = 0.0, 0.0
        self.bend: float | None = None

    @property
    def moves(self) -> bool:
        """Return whether it follows, or has not come to rest yet."""
        return self.following is Following.FOLLOWS or bool(self._velocity.any() or self._spin.any())

    # -- what is heard

    def heard_pose(
        self, position_m: np.ndarray, quaternion: np.ndarray, stamp_ns: int, now_s: float
    ) -> None:
        """Take a pose of the person's hand; what is no pose, or no news, counts as silence.

        Args:
            position_m: float64[3], x ahead, y left, z up.
            quaternion: float64[4], x, y, z, w, of any length but 0.
            stamp_ns: of the device's own clock.
            now_s: when it came, monotonic.
        """
        pose = pose_of(position_m, quaternion)
        if pose is not None:
            self.heard_wish(pose, stamp_ns, now_s)

    def heard_wish(self, pose: HandPose, stamp_ns: int, now_s: float) -> None:
        """Take a pose that is valid, as `heard_pose` does."""
        late_ns = self._stamp_ns - stamp_ns
        known = self._filter.pose is not None
        if known and 0 <= late_ns < _STRAGGLER_NS:
            return
        if known and (now_s - self._pose_s > LOST_S or late_ns >= _STRAGGLER_NS):
            self._broken = Following.LOST
        elif known and np.linalg.norm(pose.position_m - self._raw_m) > JUMP_M:
            self._broken = Following.JUMPED
        dt_s = min(max(-late_ns / 1e9, _LEAST_DT_S), _MOST_DT_S)
        if self._broken in (Following.LOST, Following.JUMPED):
            self._filter.reset(pose)
        else:
            self._filter.add(pose, dt_s)
        self._raw_m, self._stamp_ns, self._pose_s = pose.position_m, stamp_ns, now_s

    def heard_buttons(self, trigger: float, grip: float, held: bool, now_s: float) -> None:
        """Take the state of the controller.

        Args:
            trigger: 0 (free) to 1; bends the fingers.
            grip: the same; the clutch.
            held: whether the dead-man button is.
            now_s: when it came, monotonic.
        """
        if not (math.isfinite(trigger) and math.isfinite(grip)):
            return
        if now_s - self._buttons_s > LOST_S:
            self._broken = self._broken or Following.SILENT
        self._grip = grip > (_RELEASED if self._grip else _PRESSED)
        if not self._grip:
            self._broken = None
        self._trigger, self._held, self._buttons_s = min(max(trigger, 0.0), 1.0), held, now_s

    def give_up(self, why: Following) -> None:
        """Stop softly until the grip is released and pressed again."""
        self._broken = why

    # -- what it commands

    def advance(self, hand: HandPose, bend: float, now_s: float) -> HandPose:
        """Return where the robot's hand is to be now; while it stands, that is where it was commanded to be.

        Args:
            hand: where it was commanded to be; it goes on from there when it begins to follow.
            bend: the same of its fingers, 0 to 1.
            now_s: monotonic; at least as late as the last call's.
        """
        dt_s = min(max(now_s - self._at_s, 0.0), _MOST_STEP_S)
        self._at_s = now_s
        self.following = self._state(now_s)
        if self.following is not Following.FOLLOWS:
            self._apart = None
            self._go(np.zeros(3), np.zeros(3), dt_s)
        elif self._filter.pose is not None:
            if self._apart is None:
                self._begin(self._filter.pose, hand, bend)
            self._follow(self._filter.pose, dt_s)
        if not self.moves:
            self._now = hand
        return self._now

    def _state(self, now_s: float) -> Following:
        if self._filter.pose is None:
            return Following.UNHEARD
        if now_s - self._buttons_s > LOST_S:
            self._broken = Following.SILENT
        elif now_s - self._pose_s > LOST_S:
            self._broken = Following.LOST
        if self._broken is not None:
            return self._broken
        if not self._held:
            return Following.NOT_HELD
        return Following.FOLLOWS if self._grip else Following.RELEASED

    def _begin(self, person: HandPose, hand: HandPose, bend: float) -> None:
        way = hand.position_m - self._limits.scale * person.position_m
        self._apart, self._now = HandPose(way, person.rotation.T @ hand.rotation), hand
        # A hand that begins outside its workspace is not pulled in, but goes no further out.
        corners = np.array([self._limits.low_m, self._limits.high_m])
        self._box = np.stack([
            np.minimum(corners[0], hand.position_m), np.maximum(corners[1], hand.position_m)
        ])  # fmt: skip
        self._velocity, self._spin = np.zeros(3), np.zeros(3)
        self._bend, self._before, self.bend = bend, self._trigger, None

    def _follow(self, person: HandPose, dt_s: float) -> None:
        assert self._apart is not None
        now, limits = self._now, self._limits
        if limits.meet_m_s or limits.meet_rad_s:
            away, turn = self._apart.position_m, rotation_vector(self._apart.rotation)
            away = away - _no_longer(away, limits.meet_m_s * dt_s)
            turn = turn - _no_longer(turn, limits.meet_rad_s * dt_s)
            self._apart = HandPose(away, rotation_of(turn))
        wanted = limits.scale * person.position_m + self._apart.position_m
        way = np.clip(wanted, *self._box) - now.position_m
        turned = person.rotation @ self._apart.rotation
        self._go(way, rotation_vector(turned @ now.rotation.T), dt_s)
        self._bend_fingers(dt_s)

    def _bend_fingers(self, dt_s: float) -> None:
        """Let the trigger bend the fingers as soon as it has met them: taking over opens no hand."""
        met = (self._before - self._bend) * (self._trigger - self._bend) <= 0
        self._before = self._trigger
        if self.bend is None and not met and abs(self._trigger - self._bend) > _CAUGHT:
            return
        most = self._limits.most_bend_s * dt_s
        self._bend += min(max(self._trigger - self._bend, -most), most)
        self.bend = self._bend

    def _go(self, way: np.ndarray, turn: np.ndarray, dt_s: float) -> None:
        """Go on towards something that is a way, m, and a turn, rad, off: both float64[3]."""
        limits = self._limits
        self._velocity = _towards(way, self._velocity, limits.most_m_s, limits.most_m_s2, dt_s)
        self._spin = _towards(turn, self._spin, limits.most_rad_s, limits.most_rad_s2, dt_s)
        position_m = np.clip(self._now.position_m + self._velocity * dt_s, *self._box)
        self._now = HandPose(position_m, rotation_of(self._spin * dt_s) @ self._now.rotation)


def pose_of(position_m: np.ndarray, quaternion: np.ndarray) -> HandPose | None:
    """Return a pose of a quaternion x, y, z, w; None: its numbers are invalid."""
    length = float(np.linalg.norm(quaternion))
    if not (np.isfinite(position_m).all() and math.isfinite(length) and length > 1e-3):
        return None
    x, y, z, w = np.asarray(quaternion, np.float64) / length
    rotation = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    return HandPose(np.array(position_m, np.float64), rotation)


def quaternion_of(rotation: np.ndarray) -> np.ndarray:
    """Return the quaternion of a rotation, float64[4], x, y, z, w."""
    vector = rotation_vector(rotation)
    half = float(np.linalg.norm(vector)) / 2
    return np.append(vector * (0.5 if half < 1e-9 else math.sin(half) / (2 * half)), math.cos(half))


def rotation_vector(rotation: np.ndarray) -> np.ndarray:
    """Return axis times angle, float64[3] in rad, of a rotation, float64[3, 3]."""
    r = rotation
    axis = np.array([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])  # 2 sin(angle) long
    sine, cosine = float(np.linalg.norm(axis)) / 2, (float(np.trace(r)) - 1) / 2
    angle = math.atan2(sine, cosine)
    if sine > 1e-6:
        return np.asarray(axis * (angle / (2 * sine)))
    if cosine > 0:
        return axis / 2
    column = int(np.argmax(np.diag(r)))  # half a turn: r = 2 a a' - 1
    half = (r + np.eye(3))[:, column]
    return np.asarray(half * (math.pi / np.linalg.norm(half)))


def rotation_of(vector: np.ndarray) -> np.ndarray:
    """Return the rotation, float64[3, 3], about a vector by its length, float64[3] in rad."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * (cross @ cross))


def _towards(
    way: np.ndarray, velocity: np.ndarray, most: float, acceleration: float, dt_s: float
) -> np.ndarray:
    """Return the next velocity on a way: as fast as it can still brake at its end."""
    length = float(np.linalg.norm(way))
    if dt_s <= 0:
        return velocity
    speed = min(most, math.sqrt(2 * acceleration * length), length / dt_s)
    wanted = way * (speed / length) if length > 0 else np.zeros(3)
    return np.asarray(velocity + _no_longer(wanted - velocity, acceleration * dt_s))


def _no_longer(vector: np.ndarray, most: float) -> np.ndarray:
    """Return a vector, shortened to a length."""
    length = float(np.linalg.norm(vector))
    return vector if length <= most else vector * (most / length)
