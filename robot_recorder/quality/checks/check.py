"""The base classes of all checks, and the summary of an episode that they judge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

from robot_recorder.alignment.certificate import Certificate
from robot_recorder.alignment.command_pairing import JointStream, Pairing, pair
from robot_recorder.configuration.tasks import Task
from robot_recorder.messages.kinds import Sort, kind_of
from robot_recorder.model.arrays import Bools
from robot_recorder.model.check_result import Level, Result, Threshold
from robot_recorder.model.streams import NS_PER_S, Role, SourceClockKind, StreamConfig
from robot_recorder.model.thresholds import THRESHOLDS, add_threshold
from robot_recorder.quality.checks.following_error import alike
from robot_recorder.quality.checks.motion import Motion
from robot_recorder.quality.checks.values import Trace, Values

Limits = Mapping[str, tuple[float, float]]
"""Lowest and highest allowed position by joint, rad or m."""


@dataclass(frozen=True)
class EpisodeSummary:
    """What is known about an episode, or about one stretch of it, when it ends.

    Attributes:
        from_ns: beginning of the episode including its pre-roll, robot clock.
        start_ns, stop_ns: when start and stop were requested, robot clock.
        streams: the profile's streams by name.
        certificate: None: it could not be made.
        task: None: no task was set, or it is not in the registry.
        incomplete: why the recording is incomplete; empty: it is complete.
        data_lost: whether messages that arrived are missing from the bag.
        joints: traces of joint positions (rad) by stream; of a long episode, only its last stretch.
        touches: traces of the sum over a tactile pad by stream; covers the same time as ``joints``.
        joint_limits: limits from the robot's description, by joint stream.
        moved: ``Motion.moving`` of all earlier stretches, by stream and by start of the stretch.
        last_ns: beginning of the last stretch; 0: there is only one.
        drivers: message counts of the drivers that share a stream's topic, by stream.
        lacking: why a required stream has no values, although it could have some, by stream.
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
    lacking: Mapping[str, str] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Return the time from start to stop, s."""
        return (self.stop_ns - self.start_ns) / NS_PER_S

    @cached_property
    def motion(self) -> Motion:
        """Return when the robot moved, according to all its joint streams."""
        return Motion.together(self.motions.values(), self.from_ns, self.stop_ns)

    @cached_property
    def motions(self) -> dict[str, Motion]:
        """Return when each joint stream moved, over all stretches."""
        begin_ns = self.last_ns or self.from_ns
        parts = {name: dict(before) for name, before in self.moved.items()}
        for name, trace in self.joints.items():
            last, own = Motion.of(trace, begin_ns, self.stop_ns), parts.setdefault(name, {})
            if last.known:
                own[begin_ns] = last.moving
        return {n: Motion.joined(own, self.from_ns, self.stop_ns) for n, own in parts.items()}

    @property
    def may_drive(self) -> bool:
        """Return whether the robot may have moved without its joints, such as on wheels."""
        observed = {n for n, s in self.streams.items() if s.role is Role.OBSERVATION}
        kinds = {name: kind_of(stream) for name, stream in self.streams.items()}
        unseen = {n for n in observed if kinds[n].sort is Sort.JOINTS} - set(self.motions)
        # Commanded poses with a clock of their own are those of a person, not of a base.
        worn = {
            n
            for n, s in self.streams.items()
            if s.role is Role.ACTION and s.clock is SourceClockKind.DEVICE
        }
        poses = {n for n, kind in kinds.items() if kind.sort is Sort.POSE} - worn
        return bool(unseen or poses) or any(kind.drives for kind in kinds.values())

    def motion_without(self, stream: str) -> Motion:
        """Return when the robot moved, according to all joint streams except one."""
        if stream not in self.motions:
            return self.motion
        others = [m for name, m in self.motions.items() if name != stream]
        return Motion.together(others, self.from_ns, self.stop_ns)

    @cached_property
    def pairing(self) -> Pairing:
        """Return which commands the observed joint streams follow."""
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
        """Return the traces of the commands that an observed joint stream follows."""
        return [self.joints[name] for name in self.pairing.commands.get(stream, ())]


class Check:
    """One check of a stream or of the whole episode: it looks for one defect and has one figure.

    Attributes:
        name: its name in thresholds, profiles and reports.
        remedy: what to do about a warning or failure.
        types: message types of the streams that a check of another package inspects; empty: it
            checks the whole episode.
        defaults: default thresholds of a check of another package; profiles and tasks may change
            them.
    """

    name: ClassVar[str]
    remedy: ClassVar[str] = ""
    types: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[Threshold | None] = None

    def __init_subclass__(cls) -> None:
        """Make sure that a check with a name has default thresholds.

        Raises:
            TypeError: there are no thresholds of this name, or another check has the name already.
        """
        super().__init_subclass__()
        name = cls.__dict__.get("name")
        if name is not None and cls.defaults is not None:
            add_threshold(name, cls.defaults)
        if name is not None and name not in THRESHOLDS:
            raise TypeError(
                f"check {cls.__module__}.{cls.__qualname__} is named {name!r}, and THRESHOLDS has no row "
                "of that name: add one in model/thresholds.py and in docs/quality.md"
            )

    def __init__(self, stream: str, threshold: Threshold) -> None:
        """Create the check of one episode.

        Args:
            stream: name of the stream; empty: the whole episode.
            threshold: the limits its figure is held against.
        """
        self.stream = stream
        self.threshold = threshold

    def fold(self, stretch: EpisodeSummary) -> None:
        """Note what one finished stretch shows; its traces are dropped afterwards.

        The last stretch of an episode is passed to ``finish`` only.
        """

    def finish(self, episode: EpisodeSummary) -> Iterator[Result]:
        """Yield the results, or nothing if there is nothing to judge. Called once, at the end."""
        raise NotImplementedError

    def say(
        self, figure: float, sentence: str, remedy: str = "", threshold: Threshold | None = None
    ) -> Result:
        """Build the result for a figure.

        Args:
            figure: in the unit of the threshold.
            sentence: the figure in words.
            remedy: what to do about a warning or failure; empty: the default of this check.
            threshold: limits that depend on the episode; None: the configured ones.
        """
        held_against = threshold or self.threshold
        level = held_against.judge(figure)
        what = remedy or self.remedy
        words = sentence if level is Level.PASS or not what else f"{sentence}: {what}"
        limit = held_against.crossed(level)
        return Result(self.name, self.stream, level, float(figure), limit, held_against.unit, words)


class ValueCheck(Check):
    """A check that looks at a stream's values while they are recorded."""

    def __init__(self, stream: str, threshold: Threshold, range: float | None = None) -> None:
        """Create the check of one stream.

        Args:
            stream: name of the stream.
            threshold: the limits its figure is held against.
            range: largest reading of the sensor; None: unknown.
        """
        super().__init__(stream, threshold)
        self.range = range

    def add(self, values: Values) -> None:
        """Take samples in order of receipt."""
        raise NotImplementedError
