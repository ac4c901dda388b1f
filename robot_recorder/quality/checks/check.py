"""What every check has in common, and what an episode's end tells them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.pairing import JointStream, Pairing, pair
from robot_recorder.configuration.tasks import Task
from robot_recorder.model.arrays import Bools
from robot_recorder.model.quality_result import Level, Result, Threshold
from robot_recorder.model.streams import NS_PER_S, Role, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.following import alike
from robot_recorder.quality.checks.motion import Motion
from robot_recorder.quality.checks.values import Trace, Values

_MOVING = ("Odometry", "Twist", "TwistStamped", "PoseStamped", "TransformStamped")


Limits = Mapping[str, tuple[float, float]]
"""Lowest and highest position by joint, rad."""


@dataclass(frozen=True)
class EpisodeSummary:
    """What is known when an episode ends.

    Attributes:
        from_ns: its beginning with the pre-roll, robot clock.
        start_ns, stop_ns: when start and stop were asked for.
        streams: by name.
        certificate: None: it could not be made.
        task: None: not in the registry, or none was set.
        incomplete: why it is not all that was to be recorded; empty: it is.
        data_lost: some of what arrived is not in the bag.
        joints: traces of joint positions (rad) by stream; of its last stretch, where there are several.
        touches: traces of the sum over a tactile pad by stream, alike.
        joint_limits: of joint streams, from the robot's description.
        moved: by stream, ``Motion.moving`` of the stretches before the last, by when each began.
        last_ns: when the last one began; 0: there is only one.
        drivers: by stream, how many messages each driver sent that shares its topic.
    """

    from_ns: int
    start_ns: int
    stop_ns: int
    streams: Mapping[str, StreamConfig]
    certificate: Certificate | None = None
    task: Task | None = None
    incomplete: str = ""
    data_lost: bool = False
    joints: Mapping[str, Trace] = field(default_factory=dict)
    touches: Mapping[str, Trace] = field(default_factory=dict)
    joint_limits: Mapping[str, Limits] = field(default_factory=dict)
    moved: Mapping[str, Mapping[int, Bools]] = field(default_factory=dict)
    last_ns: int = 0
    drivers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """From start to stop."""
        return (self.stop_ns - self.start_ns) / NS_PER_S

    @cached_property
    def motion(self) -> Motion:
        """When the robot moved, or was told to."""
        return Motion.together(self.motions.values(), self.from_ns, self.stop_ns)

    @cached_property
    def motions(self) -> dict[str, Motion]:
        """When each joint stream moved."""
        begin_ns = self.last_ns or self.from_ns
        parts = {name: dict(before) for name, before in self.moved.items()}
        for name, trace in self.joints.items():
            last, own = Motion.of(trace, begin_ns, self.stop_ns), parts.setdefault(name, {})
            if last.known:
                own[begin_ns] = last.moving
        return {n: Motion.joined(own, self.from_ns, self.stop_ns) for n, own in parts.items()}

    @property
    def may_drive(self) -> bool:
        """Something may have moved that joint positions do not show: a base, a wheel."""
        observed = {n for n, s in self.streams.items() if s.role is Role.OBSERVATION}
        unseen = {n for n in observed if self.streams[n].type.endswith("/JointState")} - set(
            self.motions
        )
        return bool(unseen) or any(s.type.endswith(_MOVING) for s in self.streams.values())

    def motion_without(self, stream: str) -> Motion:
        """The same as all but one stream saw it."""
        if stream not in self.motions:
            return self.motion
        others = [m for name, m in self.motions.items() if name != stream]
        return Motion.together(others, self.from_ns, self.stop_ns)

    @cached_property
    def pairing(self) -> Pairing:
        """Which commands the observed joint streams follow."""
        joints = self.joints

        def fit(command: str, observed: str) -> float:
            return alike(joints[command], joints[observed])

        return pair(self._joint_streams(Role.ACTION), self._joint_streams(Role.OBSERVATION), fit)

    def _joint_streams(self, role: Role) -> list[JointStream]:
        return [
            JointStream(n, self.streams[n].topic, frozenset(t.names), self.streams[n].of)
            for n, t in self.joints.items()
            if len(t) and n in self.streams and self.streams[n].role is role
        ]

    def commands_of(self, stream: str) -> list[Trace]:
        """Traces of what an observed joint stream was commanded."""
        return [self.joints[name] for name in self.pairing.commands.get(stream, ())]


class Check:
    """One check of one stream, or of the episode. It looks for one thing, and has one figure for it."""

    name: ClassVar[str]
    remedy: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """
        Raises:
            TypeError: it has a name that no threshold is known for.
        """
        super().__init_subclass__()
        name = cls.__dict__.get("name")
        if name is not None and name not in THRESHOLDS:
            raise TypeError(
                f"check {cls.__module__}.{cls.__qualname__} is named {name!r}, and THRESHOLDS has no row "
                "of that name: add one in model/thresholds.py and in docs/quality.md"
            )

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """
        Args:
            stream: its name; empty: the whole episode.
        """
        self.stream = stream
        self.threshold = threshold

    def fold(self, stretch: EpisodeSummary) -> None:
        """Take what the traces of one stretch tell, which are not kept. Of the last one ``finish`` is told."""

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """What it found; nothing where there is nothing to look at. Called once."""
        raise NotImplementedError

    def say(
        self, figure: float, sentence: str, remedy: str = "", threshold: Threshold | None = None
    ) -> Result:
        """The result for a figure.

        Args:
            sentence: the figure in words.
            remedy: what to do when it is bad; empty: as usual for this check.
            threshold: where it depends on the episode; None: as configured.
        """
        held_against = threshold or self.threshold
        level = held_against.judge(figure)
        what = remedy or self.remedy
        words = sentence if level is Level.PASS or not what else f"{sentence}: {what}"
        limit = held_against.crossed(level)
        return Result(self.name, self.stream, level, float(figure), limit, held_against.unit, words)


class ValueCheck(Check):
    """A check that looks at a stream's numbers while they pass."""

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """
        Args:
            range: the largest reading the sensor can give; None: not known.
        """
        super().__init__(stream, threshold)
        self.range = range

    def add(self, values: Values) -> None:
        """Take samples, in order of receipt."""
        raise NotImplementedError
