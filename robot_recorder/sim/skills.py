"""What a scripted operator can do with one hand: reach, grasp, lift, carry, place, push shut, wipe.

A task is a short list of these. Each skill yields motions and looks at the world in between, so
that a missed grasp is tried again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import mujoco
import numpy as np

from robot_recorder.sim.ik import ARM_JOINTS, NOMINAL_RAD, ArmIk, HandTarget, hand_rotation
from robot_recorder.sim.judge import TABLE_M
from robot_recorder.sim.model import JOINT_NAMES, SIDES
from robot_recorder.sim.script import Leg, Script, sample

Numbers = Sequence[float] | np.ndarray
# Bend of the fingers' two joints, and angles of the thumb's three, rad.
Bend = tuple[float, float, float, float, float]
RELAXED: Bend = (0.35, 0.35, 0.0, -0.5, 0.0)
OPEN: Bend = (1.0, 0.35, 0.0, -0.4, 0.0)
PINCH: Bend = (1.35, 0.75, 0.0, 0.25, 0.1)
WIDE: Bend = (0.05, 0.05, 0.0, -0.7, 0.0)
FIST: Bend = (1.2, 1.45, 0.0, 0.5, 0.9)
DOWN = math.pi / 2  # roll of a hand whose palm faces the table

SIGN = {"left": 1.0, "right": -1.0}  # of y
_HOME = (0.24, 0.23, 0.98, 0.0, math.radians(20), 0.5)  # of the left palm, as in `Person.at`
_WAIST = JOINT_NAMES.index("waist_yaw_joint")
_MOST_WAIST_RAD = 1.7
_BESIDE_RAD = 0.42  # direction in which a hand works best, from straight ahead
_COMFORT_M = ((0.24, 0.37), (-0.02, 0.26))  # ahead and outwards: there the waist need not turn
_YAWS = (-0.3, 0.0, -0.6, 0.3, -0.9)  # of the fingers, in the order in which they are tried
_BESIDE_DOOR_RAD = (
    0.3  # by which the waist turns off a door, to the side of the hand that does not work
)
_CLOSE_M = 0.004
_SPEED_RAD_S, _SPEED_M_S = 1.5, 0.36  # usual speeds, on average of a motion
_ABOVE_M = 0.11
_HELD_M = 0.08
_REACH_M = (0.2, 0.43)  # from the waist's axis
_KNOTS = 4
# From the palm's middle to the tips of straight fingers, ahead and away from the other hand, and
# half the thickness of a finger.
_FINGERS_M, _FINGER_M = (0.098, 0.029), 0.009
_BACK_M = 0.08
_AHEAD_RAD = 0.15  # direction in which a hand whose palm faces the other takes something
_DEEP_M = 0.028  # that it is nearer to the palm than the grip point
_FIRST_TILT_RAD = 0.2  # to which a vessel that shall be poured is tilted on its way
_DRAWN_OFF: Bend = (1.15, 0.6, 0.0, -0.6, 0.0)  # fingers and thumb beside what they held
BELOW_M = 0.038  # of the grip point below the middle of a level bar in a fist
# Fingers bent to a hook, and closed about a bar with the thumb before it; where the bar then is from
# the grip point, ahead and towards the palm; how far aside of it and before it a hook passes.
_HOOK: Bend = (1.45, 0.25, 0.0, -0.4, 0.0)
_HOOKED: Bend = (1.5, 0.6, 0.0, 0.25, 0.1)
_BAR_M = (0.011, 0.030)
_ASIDE_M, _BEFORE_M = 0.065, 0.025
_WORST_M = 0.025  # by which a handle is missed ahead and aside
# Fingers bent to push with their backs, which then are so far ahead of the palm's middle.
_BACKS: Bend = (1.5, 1.3, 0.0, -0.5, 0.0)
_BACKS_M = 0.022


class World:
    """Where everything is at the moment at which the operator looks."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Look at nothing yet."""
        self._model, self._data = model, mujoco.MjData(model)

    def look(self, qpos: np.ndarray) -> None:
        """Look at a state, float64[nq]."""
        self._data.qpos[:] = qpos
        mujoco.mj_kinematics(self._model, self._data)

    def position(self, name: str) -> np.ndarray:
        """Return where a body is, float64[3], m."""
        return np.array(self._data.body(name).xpos)

    def yaw(self, name: str) -> float:
        """Return how a body is turned about the vertical, rad."""
        matrix = self._data.body(name).xmat
        return math.atan2(matrix[3], matrix[0])

    def turn(self, name: str) -> np.ndarray:
        """Return how a body is turned, float64[3, 3]."""
        return np.array(self._data.body(name).xmat).reshape(3, 3)

    def tilt(self, name: str) -> float:
        """Return how far a body leans from upright, rad."""
        return math.acos(max(-1.0, min(1.0, float(self.turn(name)[2, 2]))))

    def grip(self, side: str) -> np.ndarray:
        """Return the point between thumb and fingers, float64[3], m."""
        return np.array(self._data.site(f"{side}_grip").xpos)

    def angle(self, hinge: str) -> float:
        """Return the angle of a hinge, rad."""
        return float(self._data.joint(hinge).qpos[0])


class Person:
    """The scripted operator.

    Attributes:
        ik: of the robot.
        world: what it sees.
        random: what varies with the seed while it works.
    """

    def __init__(
        self, ik: ArmIk, world: World, random: np.random.Generator, aim_m: float, tempo: float
    ) -> None:
        """Stand at ease.

        Args:
            ik: of the robot.
            world: looked at before each skill.
            random: of its errors.
            aim_m: standard deviation of where it believes things to be, m; half of it when it
                tries again.
            tempo: durations are divided by it.
        """
        self.ik, self.world, self.random = ik, world, random
        self._aim_m, self._tempo = aim_m, tempo
        self._legs: list[Leg] = []
        self._waist = 0.0
        self._bends = dict.fromkeys(SIDES, RELAXED)
        self._at = {side: _mirrored(_HOME, side) for side in SIDES}
        self._points = dict.fromkeys(SIDES, "palm")
        self._arms = ik.solve(self._targets(self._at), NOMINAL_RAD)

    # -- motions

    def joints(self) -> np.ndarray:
        """Return the servo targets it has reached, float64[43], rad."""
        joints = np.zeros(len(JOINT_NAMES))
        joints[list(ARM_JOINTS)], joints[_WAIST] = self._arms, self._waist
        for side, (near, far, *thumb) in self._bends.items():
            sign = -SIGN[side]
            for finger in ("middle", "index"):
                joints[JOINT_NAMES.index(f"{side}_hand_{finger}_0_joint")] = sign * near
                joints[JOINT_NAMES.index(f"{side}_hand_{finger}_1_joint")] = sign * far
            for number, angle in enumerate(thumb):
                turn = angle if number == 0 else -sign * angle
                joints[JOINT_NAMES.index(f"{side}_hand_thumb_{number}_joint")] = turn
        return joints

    def move(
        self,
        phase: str,
        hands: Mapping[str, Numbers],
        *,
        waist: float | None = None,
        bends: dict[str, Bend] | None = None,
        point: str = "grip",
        least_s: float = 0.35,
    ) -> None:
        """Add a motion of the hands in a straight line, and of the waist.

        Args:
            phase: its name.
            hands: by side: x, y, z, yaw, pitch, roll where a hand shall be, in the torso's frame
                at waist zero; m and rad.
            waist: angle of the waist at the end, rad; None: as it is.
            bends: fingers at the end.
            point: of the hands, as in `HandTarget`.
            least_s: least duration.
        """
        waist = self._waist if waist is None else waist
        first_waist, first_bends = self._waist, dict(self._bends)
        knots = [self.joints()]
        begin = {side: self._from(side, point) for side in hands}
        for share in np.linspace(0, 1, _KNOTS)[1:]:
            for side, goal in hands.items():
                self._points[side] = point
                self._at[side] = begin[side] + share * (np.array(goal) - begin[side])
            self._waist = first_waist + share * (waist - first_waist)
            for side, bend in (bends or {}).items():
                mixed = np.array(first_bends[side]) * (1 - share) + share * np.array(bend)
                self._bends[side] = tuple(mixed)
            moved = {side: self._at[side] for side in hands}
            if share < 1:  # on the way it need not be exact
                self._arms, _ = self.ik.follow(self._targets(moved), self._arms, 30)
            else:
                self._arms = self.ik.solve(self._targets(moved), self._arms)
            knots.append(self.joints())
        distances = [np.linalg.norm(self._at[side][:3] - begin[side][:3]) for side in hands]
        turned = np.abs(knots[-1] - knots[0])[[*ARM_JOINTS, _WAIST]].max()
        duration_s = max(least_s, turned / _SPEED_RAD_S, *(d / _SPEED_M_S for d in distances))
        self._legs.append((phase, duration_s, knots))

    def follow(
        self,
        phase: str,
        poses: Sequence[Mapping[str, Numbers]],
        seconds: float,
        point: str = "palm",
    ) -> None:
        """Add a motion of the hands through several poses by side, as in `move`, without a stop."""
        knots = [self.joints()]
        for hands in poses:
            for side, pose in hands.items():
                self._points[side], self._at[side] = point, np.array(pose)
            self._arms = self.ik.solve(self._targets({s: self._at[s] for s in hands}), self._arms)
            knots.append(self.joints())
        self._legs.append((phase, seconds, knots))

    def wait(self, phase: str, seconds: float) -> None:
        """Add a pause."""
        self._legs.append((phase, seconds, [self.joints()] * 2))

    def script(self) -> Script:
        """Return the motions that were added since the last time."""
        legs, self._legs = self._legs, []
        return sample(legs, self._tempo)

    # -- skills

    def pick(
        self, side: str, name: str, above_table_m: float, phase: str = "reach", tries: int = 2
    ) -> Iterator[Script]:
        """Take a thing from above between thumb and fingers, and lift it; try again if it is missed.

        Args:
            side: hand.
            name: body.
            above_table_m: height of the grip point above the body's middle.
            phase: of the first motion.
            tries: how often.
        """
        for number in range(tries):
            seen = self._seen(name, 1 if number == 0 else 0.5) + [0, 0, above_table_m]
            if not self.reaches(seen):
                return
            self.reach("recovery" if number else phase, side, seen)
            self.move("grasp", {side: self._at[side] - [0, 0, _ABOVE_M, 0, 0, 0]})
            self.move("grasp", {side: self._at[side]}, bends={side: PINCH}, least_s=0.5)
            self.move("lift", {side: self._at[side] + [0, 0, _ABOVE_M, 0, 0, 0]})
            yield self.script()
            if self.holds(side, name):
                return
            self.move("recovery", {side: self._at[side]}, bends={side: OPEN}, least_s=0.3)

    def put(
        self,
        side: str,
        at_m: Numbers,
        above_m: float = _ABOVE_M,
        phase: str = "carry",
        bends: Sequence[Bend] = (WIDE,),
        least_s: float = 0.35,
        ahead_m: float = 0.0,
    ) -> Iterator[Script]:
        """Carry what a hand holds above a place, lower it, let go, and draw back.

        Args:
            side: hand.
            at_m: where the grip point lets go, world, m.
            above_m: how much higher it is carried.
            phase: of the first motion.
            bends: of the fingers that let go, one after the other.
            least_s: least duration of the way.
            ahead_m: how far the fingers then move off, so that they do not lift the thing again.
        """
        self.carry(phase, side, np.array(at_m) + [0, 0, above_m], least_s)
        self.move("place", {side: self._at[side] - [0, 0, above_m, 0, 0, 0]})
        yaw = self._at[side][3]
        ahead = ahead_m * np.array([math.cos(yaw), math.sin(yaw), 0, 0, 0, 0])
        for number, bend in enumerate(bends):
            goal = self._at[side] + ahead * (number + 1 == len(bends))
            self.move("release", {side: goal}, bends={side: bend}, least_s=0.5)
        self.move("retreat", {side: self._at[side] + [0, 0, above_m, 0, 0, 0]})
        yield self.script()

    def take_bar(
        self, bars_m: Mapping[str, Numbers], yaw: float, phase: str = "reach", bend: Bend = FIST
    ) -> Iterator[Script]:
        """Take a level bar from above with one hand, or both.

        Args:
            bars_m: by side: middle of what the hand takes, world, m.
            yaw: across the bar, in which the fingers point, world, rad.
            phase: of the first motion.
            bend: of the fingers that hold it.
        """
        x, y, _ = np.mean(list(bars_m.values()), axis=0)
        waist = math.atan2(y, x)
        held = self._on_bar(bars_m, yaw, waist)
        above = {side: pose + [0, 0, _ABOVE_M, 0, 0, 0] for side, pose in held.items()}
        self.move(phase, above, waist=waist, bends=dict.fromkeys(held, OPEN))
        self.move("grasp", held, least_s=0.5)
        self.move("grasp", held, bends=dict.fromkeys(held, bend), least_s=0.6)
        yield self.script()

    def pull_bar(
        self, bars_m: Mapping[str, Numbers], yaw: float, waist: float, least_s: float = 0.35
    ) -> Iterator[Script]:
        """Draw a bar that was taken elsewhere, and what it belongs to; on an arc if the waist turns.

        Args:
            bars_m: by side: where the middle of what the hand holds shall be, world, m.
            yaw: in which the fingers then point, world, rad.
            waist: its angle at the end, rad.
            least_s: least duration.
        """
        self.move("pull", self._on_bar(bars_m, yaw, waist), waist=waist, least_s=least_s)
        yield self.script()

    def leave_bar(self, sides: Sequence[str], phase: str = "release") -> Iterator[Script]:
        """Let go of a bar, and lift the hands off it."""
        at = {side: self._at[side] for side in sides}
        self.move(phase, at, bends=dict.fromkeys(sides, OPEN), least_s=0.5)
        self.move("retreat", {side: pose + [0, 0, _ABOVE_M, 0, 0, 0] for side, pose in at.items()})
        yield self.script()

    def take_upright(
        self, side: str, name: str, up_m: float, phase: str = "reach", tries: int = 2
    ) -> Iterator[Script]:
        """Take a vessel from its side, as one drinks, and lift it; try again if it is missed.

        Args:
            side: hand.
            name: body; its origin is on what it stands on.
            up_m: height of the grip point above that.
            phase: of the first motion.
            tries: how often.
        """
        for number in range(tries):
            seen = self._seen(name, 1 if number == 0 else 0.5) + [0, 0, up_m]
            if not self.reaches(seen):
                return
            waist = _before(side, seen)
            deep = np.array([0, -SIGN[side] * _DEEP_M, 0])
            there = np.array([*(_local(seen, waist) + deep), 0.0, 0.0, 0.0])
            aside = np.array([0, SIGN[side] * _ABOVE_M, 0, 0, 0, 0])
            first = {side: there + aside}
            self._send_home(_other(side))
            self.move("recovery" if number else phase, first, waist=waist, bends={side: OPEN})
            self.move("grasp", {side: there}, least_s=0.6)
            self.move("grasp", {side: there}, bends={side: PINCH}, least_s=0.5)
            self.move("lift", {side: there + [0, 0, _ABOVE_M, 0, 0, 0]})
            yield self.script()
            if self.holds(side, name, up_m):
                return
            self.move("recovery", {side: self._at[side]}, bends={side: OPEN}, least_s=0.3)
            self.move("recovery", {side: self._at[side] + aside})

    def pour(
        self,
        side: str,
        name: str,
        into_m: Numbers,
        mouth_m: tuple[float, float],
        to_rad: float,
        seconds: float = 2.2,
        phase: str = "carry",
    ) -> Iterator[Script]:
        """Tilt a vessel that was taken as by `take_upright` towards the other hand, and back.

        The edge over which it pours sinks meanwhile, so that the vessel clears what it stands beside.

        Args:
            side: hand that holds it.
            name: body of the vessel.
            into_m: where that edge is in the end, world, m.
            mouth_m: half the width of the vessel, and the height of its edge above its origin.
            to_rad: how far it is tilted.
            seconds: how long it is being tilted.
            phase: of the motion to there.
        """
        half_m, height_m = mouth_m
        away = self.world.position(name) - self.world.grip(side)
        # From the grip point, in the frame of the hand.
        edge = _local(away, self._waist) + [0, -SIGN[side] * half_m, height_m]
        waist = math.atan2(into_m[1], into_m[0])
        into = _local(into_m, waist)

        def tilted(angle: float) -> np.ndarray:
            """Return the pose of the hand that tilts the vessel by an angle."""
            above = into + [0, 0, height_m * max(0.0, math.cos(angle))]
            grip = above - hand_rotation(side, 0.0, 0.0, angle) @ edge
            return np.array([*grip, 0.0, 0.0, angle])

        angles = np.linspace(_FIRST_TILT_RAD, to_rad, 9)
        self.move(phase, {side: tilted(_FIRST_TILT_RAD)}, waist=waist, least_s=1.0)
        self.follow("pour", [{side: tilted(a)} for a in angles[1:]], seconds, "grip")
        self.wait("pour", 0.8)
        self.follow("pour", [{side: tilted(a)} for a in angles[-2::-1]], 1.2, "grip")
        yield self.script()

    def put_upright(self, side: str, at_m: Numbers) -> Iterator[Script]:
        """Stand a vessel that was taken as by `take_upright` somewhere, and draw back sideways.

        Args:
            side: hand that holds it.
            at_m: where the grip point lets go, world, m.
        """
        waist = _before(side, at_m)
        there = np.array([*_local(at_m, waist), 0.0, 0.0, 0.0])
        self.move("carry", {side: there + [0, 0, 0.06, 0, 0, 0]}, waist=waist, least_s=0.8)
        self.move("place", {side: there}, least_s=0.5)
        self.move("release", {side: there}, bends={side: _DRAWN_OFF}, least_s=0.5)
        aside = np.array([0, SIGN[side] * _ABOVE_M, 0, 0, 0, 0])
        self.move("retreat", {side: there + aside}, bends={side: OPEN})
        yield self.script()

    def wipe(self, side: str, path_m: Sequence[Numbers], phase: str = "wipe") -> Iterator[Script]:
        """Rub along a path with what a hand holds, and lift it; the waist faces the path's middle.

        Args:
            side: hand.
            path_m: corners of the way of the grip point, world, m; it presses where they are lower
                than it can get.
            phase: of the rubbing.
        """
        waist = self._beside(side, np.mean(np.array(path_m), axis=0))
        first = self._comfortable(side, _local(path_m[0], waist))
        up = np.array([0, 0, _ABOVE_M, 0, 0, 0])
        self.move("carry", {side: first + up}, waist=waist)
        for point in path_m:
            self.move(phase, {side: np.array([*_local(point, waist), *first[3:]])})
        self.move("lift", {side: self._at[side] + up})
        yield self.script()

    def turn_up(
        self,
        side: str,
        edge_m: np.ndarray,
        hinge_m: np.ndarray,
        to_rad: float,
        phase: str = "reach",
    ) -> Iterator[Script]:
        """Turn a lid about its hinge with the fingers under its edge, palm up, and leave it.

        Args:
            side: hand.
            edge_m: where the fingertips are under the closed lid, world, m.
            hinge_m: point of the hinge at the same height.
            to_rad: how far the lid is turned.
            phase: of the first motion.
        """
        waist = self._waist
        edge, hinge = _local(edge_m, waist), _local(hinge_m, waist)
        away, radius_m = hinge - edge, math.dist(hinge, edge)
        yaw = math.atan2(away[1], away[0])
        ahead = np.array([math.cos(yaw), math.sin(yaw), 0.0])
        turn = hand_rotation(side, yaw, 0.0, -DOWN)
        fingers = turn @ np.array([_FINGERS_M[0], SIGN[side] * _FINGERS_M[1], 0.0])

        def palm(angle: float, back_m: float = 0.0, below_m: float = _FINGER_M) -> np.ndarray:
            """Return the pose of the palm with the fingertips under the lid at an angle."""
            cos, sin = math.cos(angle), math.sin(angle)
            along = -radius_m * cos - below_m * sin - back_m
            tips = hinge + along * ahead + [0, 0, radius_m * sin - below_m * cos]
            return np.array([*(tips - fingers), yaw, 0.0, -DOWN])

        angles = np.linspace(0, to_rad, 9)[1:]
        straight = {side: WIDE}
        self.move(phase, {side: palm(0, _BACK_M, 0.03)}, bends=straight, point="palm")
        self.move("grasp", {side: palm(0, 0.0, 0.02)}, point="palm", least_s=0.6)
        self.follow("open", [{side: palm(a)} for a in angles], 0.5 + 0.9 * to_rad)
        self.wait("hold", 0.6)
        self.move("retreat", {side: palm(to_rad, _BACK_M)}, point="palm", least_s=0.6)
        yield self.script()

    def push_shut(
        self,
        side: str,
        hinge_m: np.ndarray,
        inward_m: np.ndarray,
        from_rad: float,
        to_rad: float = 0.0,
        press_m: float = 0.008,
        phase: str = "reach",
    ) -> Iterator[Script]:
        """Turn a flap that stands open about its hinge with the palm, press it down, and leave it.

        Args:
            side: hand, on the outer side of the flap.
            hinge_m: point of the hinge, world, m.
            inward_m: from there to where the palm is when the flap is shut, level, m.
            from_rad: angle at which the flap stands; shut it is 0.
            to_rad: angle to which it is pushed.
            press_m: how far the palm is commanded into the flap.
            phase: of the first motion.
        """
        # The robot faces along the hinge, and so do the fingers.
        waist = math.atan2(inward_m[1], inward_m[0]) + SIGN[side] * math.pi / 2
        hinge, inward = _local(hinge_m, waist), _local(inward_m, waist)
        radius_m = float(np.linalg.norm(inward))

        def palm(angle: float, apart_m: float) -> np.ndarray:
            """Return the pose of the palm at the flap's outer side, so far from it."""
            cos, sin = math.cos(angle), math.sin(angle)
            level, up = radius_m * cos - apart_m * sin, radius_m * sin + apart_m * cos
            at = hinge + level * inward / radius_m + [0, 0, up]
            return np.array([*at, 0.0, 0.0, DOWN - angle])

        angles = np.linspace(from_rad, to_rad, 9)
        self._send_home(_other(side))
        first = {side: palm(from_rad, _BACK_M)}
        self.move(phase, first, waist=waist, bends={side: WIDE}, point="palm")
        self.move("close", {side: palm(from_rad, -press_m)}, point="palm", least_s=0.5)
        seconds = 0.4 + 0.7 * (from_rad - to_rad)
        self.follow("close", [{side: palm(a, -press_m)} for a in angles[1:]], seconds)
        self.wait("close", 0.2)
        self.move("retreat", {side: palm(to_rad, 0.06)}, point="palm", least_s=0.5)
        yield self.script()

    def pull(
        self,
        side: str,
        door: str,
        handle_m: Numbers,
        to_rad: float,
        phase: str = "reach",
        tries: int = 2,
    ) -> Iterator[Script]:
        """Pull a door open by the bar of its handle, and let go; try again if it slid out of the fingers.

        The fingers go in behind the bar from the side of the hinge, which is the hand's side; hand
        and door turn together.

        Args:
            side: hand.
            door: body on an upright hinge, with the hinge at its origin; x points into it.
            handle_m: middle of the bar in the door's frame, m.
            to_rad: angle to which it is opened; shut it is 0.
            phase: of the first motion.
            tries: how often.
        """
        for number in range(tries):
            error = self.random.normal(0, self._aim_m * (0.5 if number else 1), 2)
            seen = handle_m + np.array([*np.clip(error, -_WORST_M, _WORST_M), 0])
            self._pull(side, door, seen, to_rad, "recovery" if number else phase)
            yield self.script()
            if self.world.angle(door) > 0.5 * to_rad:
                return

    def swing_shut(
        self,
        side: str,
        door: str,
        at_m: Numbers,
        to_rad: float = 0.0,
        press_m: float = 0.010,
        phase: str = "reach",
    ) -> Iterator[Script]:
        """Push a door on an upright hinge shut with the backs of bent fingers, and leave it.

        Args:
            side: hand, on the side of the hinge.
            door: body, as in `pull`.
            at_m: where it is pushed, on its outer side, in its frame, m.
            to_rad: angle to which it is pushed; shut it is 0.
            press_m: how far the fingers are commanded into the door.
            phase: of the first motion.
        """
        waist, hinge, open_rad = self._before_door(side, door)

        def palm(angle: float, apart_m: float) -> np.ndarray:
            """Return the pose of the palm with the fingers before the door, so far from it."""
            return self._at_door(side, hinge, angle, at_m - np.array([_BACKS_M + apart_m, 0, 0]))

        angles = np.linspace(open_rad, to_rad, 9)
        self._send_home(_other(side))
        first = {side: palm(open_rad, _BEFORE_M)}
        self.move(phase, first, waist=waist, bends={side: _BACKS}, point="palm")
        self.move("close", {side: palm(open_rad, -press_m)}, point="palm", least_s=0.5)
        seconds = 0.4 + 0.9 * (open_rad - to_rad)
        self.follow("close", [{side: palm(a, -press_m)} for a in angles[1:]], seconds)
        self.wait("close", 0.2)
        self.move("retreat", {side: palm(to_rad, 0.06)}, point="palm", least_s=0.5)
        yield self.script()

    def put_in(
        self,
        side: str,
        at_m: Numbers,
        yaw_rad: float,
        out_m: float,
        above_m: float = 0.05,
        bends: Sequence[Bend] = (WIDE,),
        ahead_m: float = 0.0,
    ) -> Iterator[Script]:
        """Put what a hand holds, palm down, into something that is open at its front.

        Args:
            side: hand.
            at_m: where the grip point lets go, world, m.
            yaw_rad: direction straight in, in the world; so the fingers point.
            out_m: how far out of there the hand is before it goes in, and after.
            above_m: how much higher it goes in and out.
            bends: of the fingers that let go, one after the other.
            ahead_m: how far the fingers then move off, so that they do not lift the thing again.
        """
        yaw = SIGN[side] * _BESIDE_DOOR_RAD
        waist = yaw_rad - yaw
        into = np.array([math.cos(yaw), math.sin(yaw), 0, 0, 0, 0])
        up = np.array([0, 0, above_m, 0, 0, 0])
        there = np.array([*_local(at_m, waist), yaw, 0.0, DOWN])
        self._send_home(_other(side))
        self.move("carry", {side: there + up - out_m * into}, waist=waist)
        self.move("carry", {side: there + up})
        self.move("place", {side: there})
        for number, bend in enumerate(bends):
            goal = there + ahead_m * into * (number + 1 == len(bends))
            self.move("release", {side: goal}, bends={side: bend}, least_s=0.5)
        self.move("retreat", {side: self._at[side] + up})
        self.move("retreat", {side: self._at[side] - out_m * into})
        yield self.script()

    def reach(self, phase: str, side: str, at_m: Numbers) -> None:
        """Add a motion of an open hand to above a point, palm down; the other hand goes home."""
        self._go(phase, side, np.array(at_m) + [0, 0, _ABOVE_M], OPEN)

    def carry(self, phase: str, side: str, at_m: Numbers, least_s: float = 0.35) -> None:
        """Add a motion of a closed hand to a point, palm down, that takes at least so long."""
        self._go(phase, side, np.array(at_m), self._bends[side], least_s)

    def rest(self, phase: str = "retreat") -> Iterator[Script]:
        """Go home with both hands."""
        home = {side: _mirrored(_HOME, side) for side in SIDES}
        self.move(
            phase, home, waist=0.4 * self._waist, bends=dict.fromkeys(SIDES, RELAXED), point="palm"
        )
        yield self.script()

    def holds(self, side: str, name: str, up_m: float = 0.0) -> bool:
        """Return whether a thing is in a hand, by a point so far above its origin."""
        away = self.world.position(name) + [0, 0, up_m] - self.world.grip(side)
        return float(np.linalg.norm(away)) < _HELD_M

    def reaches(self, at_m: Numbers) -> bool:
        """Return whether a point is where things can be taken: on a table, not too far."""
        x, y, z = at_m
        return _REACH_M[0] < math.hypot(x, y) < _REACH_M[1] and z > TABLE_M

    def nearer(self, name: str) -> str:
        """Return the hand that is on a thing's side."""
        return "left" if self.world.position(name)[1] > 0 else "right"

    # -- inside

    def _pull(self, side: str, door: str, handle_m: np.ndarray, to_rad: float, phase: str) -> None:
        waist, hinge, open_rad = self._before_door(side, door)
        away = handle_m - [_BAR_M[0], SIGN[side] * _BAR_M[1], 0.0]

        def hook(angle: float, aside_m: float = 0.0, back_m: float = 0.0) -> dict[str, np.ndarray]:
            """Return the pose of the hooked hand at the handle of the door at an angle."""
            at = away + [-back_m, SIGN[side] * aside_m, 0.0]
            return {side: self._at_door(side, hinge, angle, at)}

        self._send_home(_other(side))
        first = hook(open_rad, _ASIDE_M, _BEFORE_M)
        self.move(phase, first, waist=waist, bends={side: _HOOK})
        self.move("grasp", hook(open_rad, _ASIDE_M))
        self.move("grasp", hook(open_rad))
        self.move("grasp", hook(open_rad), bends={side: _HOOKED})
        angles, seconds = np.linspace(open_rad, to_rad, 9)[1:], 0.5 + 0.9 * (to_rad - open_rad)
        self.follow("open", [hook(a) for a in angles], seconds, "grip")
        self.move("release", hook(to_rad), bends={side: _HOOK})
        self.move("retreat", hook(to_rad, _ASIDE_M))
        home, straight = {side: _mirrored(_HOME, side)}, waist + SIGN[side] * _BESIDE_DOOR_RAD
        self.move("retreat", home, waist=straight, bends={side: RELAXED}, point="palm")

    def _before_door(self, side: str, door: str) -> tuple[float, np.ndarray, float]:
        """Return how far the waist turns to a door, where its hinge then is, and how far it is open."""
        open_rad = self.world.angle(door)
        shut_yaw = self.world.yaw(door) + SIGN[side] * open_rad
        waist = shut_yaw - SIGN[side] * _BESIDE_DOOR_RAD
        return waist, _local(self.world.position(door), waist), open_rad

    def _at_door(self, side: str, hinge: np.ndarray, angle: float, at_m: Numbers) -> np.ndarray:
        """Return the pose of a hand that points into a door at an angle, at a point of its frame."""
        yaw = SIGN[side] * (_BESIDE_DOOR_RAD - angle)
        at = hinge + hand_rotation(side, yaw, 0.0) @ np.array(at_m)
        return np.array([*at, yaw, 0.0, 0.0])

    def _on_bar(
        self, bars_m: Mapping[str, Numbers], yaw: float, waist: float
    ) -> dict[str, np.ndarray]:
        """Return the poses of hands that hold a bar, in the frame of a torso that is turned."""
        low = np.array([0, 0, BELOW_M])
        return {
            side: np.array([*(_local(at, waist) - low), yaw - waist, 0.0, DOWN])
            for side, at in bars_m.items()
        }

    def _go(
        self, phase: str, side: str, at_m: np.ndarray, bend: Bend, least_s: float = 0.35
    ) -> None:
        waist = self._facing(side, at_m)
        goal = self._comfortable(side, _local(at_m, waist))
        self._send_home(_other(side))
        self.move(phase, {side: goal}, waist=waist, bends={side: bend}, least_s=least_s)

    def _send_home(self, side: str) -> None:
        """Draw back a hand that has worked before."""
        if self._points[side] != "palm":
            home = {side: _mirrored(_HOME, side)}
            self.move("retreat", home, bends={side: RELAXED}, point="palm")

    def _seen(self, name: str, carelessness: float) -> np.ndarray:
        error = self.random.normal(0, self._aim_m * carelessness, 2)
        return np.array(self.world.position(name) + [*error, 0])

    def _facing(self, side: str, at_m: np.ndarray) -> float:
        """Return an angle of the waist at which a hand reaches a point well."""
        (near, far), (inner, outer) = _COMFORT_M
        x, y, _ = _local(at_m, self._waist)
        if near < x < far and inner < SIGN[side] * y < outer:
            return self._waist
        return self._beside(side, at_m)

    def _beside(self, side: str, at_m: np.ndarray) -> float:
        """Return the angle of the waist at which a point is where a hand works best."""
        waist = math.atan2(at_m[1], at_m[0]) - SIGN[side] * _BESIDE_RAD
        return min(max(waist, -_MOST_WAIST_RAD), _MOST_WAIST_RAD)

    def _comfortable(self, side: str, at_m: np.ndarray) -> np.ndarray:
        """Return a pose of a hand whose palm faces down, with fingers pointing where the arm allows it."""
        found = []
        for yaw in _YAWS:
            pose = np.array([*at_m, SIGN[side] * yaw, 0.0, DOWN])
            _, error_m = self.ik.follow(self._targets({side: pose}, "grip"), self._arms, 40)
            found.append((error_m, pose))
            if error_m < _CLOSE_M:
                return pose
        return min(found, key=lambda one: one[0])[1]

    def _from(self, side: str, point: str) -> np.ndarray:
        """Return where a point of a hand is, as in `_at`."""
        if self._points[side] == point:
            return np.array(self._at[side])
        at = np.array(self._at[side])
        at[:3] = self.ik.place(side, point, self._arms)
        return at

    def _targets(
        self, at: dict[str, np.ndarray], point: str | None = None
    ) -> dict[str, HandTarget]:
        return {
            side: HandTarget(
                tuple(pose[:3]), hand_rotation(side, *pose[3:]), point or self._points[side]
            )
            for side, pose in at.items()
        }


def _other(side: str) -> str:
    return next(other for other in SIDES if other != side)


def _mirrored(left: Numbers, side: str) -> np.ndarray:
    x, y, z, yaw, pitch, roll = left
    return np.array([x, SIGN[side] * y, z, SIGN[side] * yaw, pitch, roll])


def _before(side: str, at_m: Numbers) -> float:
    """Return the angle of the waist at which a hand takes something from its side."""
    return math.atan2(at_m[1], at_m[0]) - SIGN[side] * _AHEAD_RAD


def _local(at_m: Numbers, waist: float) -> np.ndarray:
    """Return a point of the world in the frame of a torso that is turned."""
    x, y, z = at_m
    cos, sin = math.cos(waist), math.sin(waist)
    return np.array([cos * x + sin * y, cos * y - sin * x, z])
