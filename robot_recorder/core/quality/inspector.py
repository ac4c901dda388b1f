"""Looks at an episode's samples while they pass, so that its quality report stands when it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from robot_recorder.core.arrays import Int64s
from robot_recorder.core.cdr import CdrReader
from robot_recorder.core.certificate import Certificate, certified
from robot_recorder.core.decoder import Decoder, Messages, StreamCounts
from robot_recorder.core.decoding import KINDS, Decoded
from robot_recorder.core.image_messages import IMAGE_TYPES
from robot_recorder.core.pairing import nearest_topics
from robot_recorder.core.quality.camera_watch import CameraWatch, Looker, Nobody
from robot_recorder.core.quality.check import Check, EpisodeFacts, Limits, ValueCheck
from robot_recorder.core.quality.frozen import Frozen, JointFrozen, JointsFrozen
from robot_recorder.core.quality.joints import (
    JointJump,
    JointLimits,
    NotANumber,
    Undecodable,
)
from robot_recorder.core.quality.report import QualityReport, unchecked, weigh
from robot_recorder.core.quality.result import Result
from robot_recorder.core.quality.settings import (
    NO_SETTINGS,
    QualitySettings,
    budget_of,
    threshold_of,
)
from robot_recorder.core.quality.tactile import (
    NeverTouched,
    TactileFrozen,
    TaxelsDead,
    TaxelsSaturated,
    TaxelsStuck,
)
from robot_recorder.core.quality.timing import TIMING_CHECKS
from robot_recorder.core.quality.tracking import TrackingError, TrackingLag
from robot_recorder.core.quality.values import Trace, Values, robot_times
from robot_recorder.core.quality.whole import WHOLE_CHECKS
from robot_recorder.core.quality.wrench import WrenchBias, WrenchClipping, WrenchSpikes
from robot_recorder.core.streams import RobotProfile, Role, StreamConfig
from robot_recorder.core.tasks import Task
from robot_recorder.core.urdf import joint_limits
from robot_recorder.core.value_names import joint_of

_JOINTS = "sensor_msgs/msg/JointState"
_TACTILE = "robot_recorder/msg/TactileArray"
_INFO = "sensor_msgs/msg/CameraInfo"
_TEXT = "std_msgs/msg/String"

_NARROW = 32  # columns
_PATIENCE_S = 0.4  # for the last pictures: the verdict has a second

# What is looked for in the numbers of each type, when they are observed.
_VALUE_CHECKS: dict[str, tuple[type[ValueCheck], ...]] = {
    _JOINTS: (NotANumber, JointsFrozen, JointJump, JointLimits),
    "geometry_msgs/msg/WrenchStamped": (
        NotANumber,
        Frozen,
        WrenchBias,
        WrenchClipping,
        WrenchSpikes,
    ),
    _TACTILE: (NotANumber, TactileFrozen, TaxelsDead, TaxelsStuck, TaxelsSaturated),
    "sensor_msgs/msg/Imu": (NotANumber, Frozen),
}
_STREAM_CHECKS: dict[str, tuple[type[Check], ...]] = {
    _JOINTS: (JointFrozen, TrackingLag, TrackingError),
}


class Inspector:
    """All checks of one episode. One that breaks is left out and named: it never costs a take."""

    def __init__(
        self,
        profile: RobotProfile,
        task: Task | None,
        looker: Looker | None = None,
        decoders: Mapping[str, Callable[[bytes], Decoded]] | None = None,
    ) -> None:
        """
        Args:
            profile: its streams are those to be looked at.
            looker: says what is to be seen in pictures; None: nobody looks.
            decoders: by stream, for types the package does not know.
        """
        self.broken: list[str] = []
        self._profile = profile
        self._task = task
        self._looker: Looker = looker or Nobody()
        self._cameras: dict[str, CameraWatch] = {}
        self._numbers: dict[str, _Numbers] = {}
        self._checks: list[Check] = []
        self._limits: dict[str, Limits] = {}  # by the description's topic
        self._sizes: dict[str, tuple[int, int]] = {}  # by the CameraInfo's topic
        self._failed: set[str] = set()
        for stream in profile.streams:
            try:
                self._watch(stream, (decoders or {}).get(stream.name))
            except Exception as error:
                self._break(f"{stream.name}: {type(error).__name__}: {error}")
                self._failed.add(stream.name)
        for whole in (*WHOLE_CHECKS, NeverTouched):
            self._checks += self._built([whole], None)

    def _settings(self, stream: StreamConfig | None) -> list[QualitySettings]:
        own = stream.quality if stream else NO_SETTINGS
        return [self._profile.quality, own, self._task.quality if self._task else NO_SETTINGS]

    def _built(self, kinds: Iterable[type[Check]], stream: StreamConfig | None) -> list[Check]:
        built: list[Check] = []
        for kind in kinds:
            try:
                built += self._build(kind, stream)
            except Exception as error:
                name = f"{kind.name} {stream.name if stream else ''}"
                self._break(f"{name}: {type(error).__name__}: {error}")
        return built

    def _build(self, kind: type[Check], stream: StreamConfig | None) -> list[Check]:
        threshold = threshold_of(kind.name, self._settings(stream))
        if threshold.most is None:
            return []  # it is switched off
        if issubclass(kind, ValueCheck):
            assert stream is not None
            return [kind(stream.name, threshold, stream.quality.range)]
        return [kind(stream.name if stream else "", threshold)]

    def _watch(self, stream: StreamConfig, decode: Callable[[bytes], Decoded] | None) -> None:
        if certified(stream):
            self._checks += self._built(TIMING_CHECKS, stream)
        if stream.type in IMAGE_TYPES:
            camera = CameraWatch(stream, self._looker, lambda kinds: self._built(kinds, stream))
            self._cameras[stream.name] = camera
            self._checks += camera.checks
            return
        kind = KINDS.get(stream.type)
        decode = kind.decode if kind else decode
        if decode is None:
            return
        observed = stream.role is Role.OBSERVATION
        wanted = _VALUE_CHECKS.get(stream.type, (NotANumber,)) if observed else (NotANumber,)
        checks = self._built(wanted, stream)
        undecodable = self._built([Undecodable], stream)
        self._numbers[stream.name] = _Numbers(stream, decode, checks, undecodable)
        self._checks += [*checks, *undecodable]
        self._checks += self._built(_STREAM_CHECKS.get(stream.type, ()) if observed else (), stream)

    def wants(self, stream: StreamConfig) -> bool:
        """Whether there is anything to look at in a stream's messages."""
        return (
            stream.name in self._numbers
            or stream.name in self._cameras
            or stream.type == _INFO
            or _is_description(stream)
        )

    # -- while it is recorded

    def add(
        self, stream: StreamConfig, stamps: Int64s, receives: Int64s, messages: Sequence[bytes]
    ) -> None:
        """Take messages of a stream, in order of receipt.

        Args:
            stamps: int64[n], ns; 0: none.
            receives: int64[n], ns, robot clock.
        """
        if stream.name in self._failed:
            return
        try:
            if stream.name in self._numbers:
                self._numbers[stream.name].add(robot_times(stamps, receives), receives, messages)
            elif stream.name in self._cameras:
                self._cameras[stream.name].add(robot_times(stamps, receives), messages)
            elif stream.type == _INFO:
                self._read_info(stream, messages[0])
            elif _is_description(stream):
                self._limits[stream.topic] = joint_limits(CdrReader(messages[-1]).text())
        except Exception as error:
            self._break(f"{stream.name}: {type(error).__name__}: {error}")
            self._failed.add(stream.name)

    @property
    def troubles(self) -> dict[str, str]:
        """What can be seen to go wrong while it is recorded, by stream."""
        found = {name: camera.trouble for name, camera in self._cameras.items()}
        return {name: trouble for name, trouble in found.items() if trouble}

    def _read_info(self, stream: StreamConfig, message: bytes) -> None:
        reader = CdrReader(message)
        reader.stamp_ns()
        reader.skip_bytes()
        height, width = reader.u32(), reader.u32()
        self._sizes[stream.topic] = (width, height)

    def _break(self, what: str) -> None:
        if what not in self.broken:
            self.broken.append(what)

    # -- when it has ended

    def report(
        self,
        from_ns: int,
        start_ns: int,
        stop_ns: int,
        certificate: Certificate | None,
        incomplete: str = "",
        data_lost: bool = False,
    ) -> QualityReport:
        """The quality report; nothing can be added any more.

        Args:
            from_ns: the episode's beginning with its pre-roll, robot clock.
            start_ns, stop_ns: when start and stop were asked for.
            incomplete: why it is not all that was to be recorded.
            data_lost: some of what arrived is not in the bag.
        """
        if not self._looker.settle(_PATIENCE_S):
            self._break(f"pictures were still being looked at {_PATIENCE_S:g} s after the end")
        for camera in self._cameras.values():
            camera.end(self._size_of(camera.stream.topic))
            if camera.left_out:
                self._break(f"{camera.stream.name}: {camera.left_out} pictures were not looked at")
        for name, numbers in self._numbers.items():
            if numbers.others:
                what = f"{numbers.others} messages have other values than its first"
                self._break(f"{name}: {what}: do two drivers publish it?")
        episode = EpisodeFacts(
            from_ns, start_ns, stop_ns, {s.name: s for s in self._profile.streams}, certificate,
            self._task, incomplete, data_lost, self._traces(_JOINTS), self._traces(_TACTILE), self._limits_of_streams(),
        )  # fmt: skip
        for what in episode.unpaired:
            self._break(what)
        results: list[Result] = []
        for check in self._checks:
            if check.stream in self._failed and not isinstance(check, TIMING_CHECKS):
                continue
            try:
                results += check.finish(episode)
            except Exception as error:
                self._break(f"{check.name} {check.stream}: {type(error).__name__}: {error}")
        return weigh(results, self.broken, budget_of(self._settings(None)))

    def _size_of(self, topic: str) -> tuple[int, int] | None:
        """By the CameraInfo that stands nearest to a camera's topic; None: nobody can say which that is."""
        parent = topic.rpartition("/")[0]
        for folder in (parent, parent.rpartition("/")[0]):  # an image transport stands one below
            sizes = {t: size for t, size in self._sizes.items() if t.rpartition("/")[0] == folder}
            if sizes and folder:
                nearest = nearest_topics(topic, sizes)
                return sizes[nearest[0]] if len({sizes[t] for t in nearest}) == 1 else None
        return None

    def _limits_of_streams(self) -> dict[str, Limits]:
        """Of every joint stream, by the description whose namespace is nearest to its own."""
        found: dict[str, Limits] = {}
        for name, numbers in self._numbers.items():
            nearest = nearest_topics(numbers.stream.topic, self._limits)
            if numbers.stream.type == _JOINTS and nearest:
                limits = [self._limits[topic] for topic in nearest]
                agreed = set(limits[0].items()).intersection(*(one.items() for one in limits))
                found[name] = dict(agreed)
        return found

    def _traces(self, type_name: str) -> dict[str, Trace]:
        return {
            name: numbers.trace
            for name, numbers in self._numbers.items()
            if numbers.stream.type == type_name and name not in self._failed and len(numbers.trace)
        }


class NoInspector(Inspector):
    """For an episode whose inspector could not be built: looks at nothing, and its report says why."""

    def __init__(self, error: Exception) -> None:
        """
        Args:
            error: why.
        """
        self._report = unchecked(error)

    def wants(self, stream: StreamConfig) -> bool:
        """See Inspector."""
        return False

    @property
    def troubles(self) -> dict[str, str]:
        """See Inspector."""
        return {}

    def report(self, *_: object, **__: object) -> QualityReport:
        """See Inspector."""
        return self._report


def _is_description(stream: StreamConfig) -> bool:
    return stream.type == _TEXT and stream.topic.endswith("robot_description")


class _Numbers:
    """One numeric stream: decodes its messages at once, tells its checks, keeps its trace."""

    def __init__(
        self,
        stream: StreamConfig,
        decode: Callable[[bytes], Decoded],
        checks: list[Check],
        undecodable: list[Check],
    ) -> None:
        self.stream = stream
        self.trace = Trace()
        self._counts = StreamCounts()
        self._decoder = Decoder(decode, (), self._counts)
        self._checks = [c for c in checks if isinstance(c, ValueCheck)]
        self._undecodable = [c for c in undecodable if isinstance(c, Undecodable)]

    @property
    def others(self) -> int:
        """Messages that could be read, and are laid out in another way."""
        return self._counts.mismatched

    def add(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> None:
        values = self._decode(times, receives, messages)
        for undecodable in self._undecodable:
            undecodable.messages += len(messages)
            undecodable.bad = self._counts.undecodable
        if values is None:
            return
        for check in self._checks:
            check.add(values)
        self._trace(values)

    def _decode(self, times: Int64s, receives: Int64s, messages: Sequence[bytes]) -> Values | None:
        done, rows = self._decoder.all(Messages(messages))
        if not len(done):
            return None
        # Checks work along columns; where there are few, those should lie in one piece.
        rows = np.asfortranarray(rows) if rows.shape[1] <= _NARROW else rows
        if len(done) < len(times):
            times, receives = times[done], receives[done]
        return Values(times, receives, rows, self._decoder.names or ())

    def _trace(self, values: Values) -> None:
        prefix = "normal/" if self.stream.type == _TACTILE else "position/"
        columns = values.columns(prefix) if self.stream.type in (_JOINTS, _TACTILE) else ()
        if not len(columns):
            return
        rows = values.rows[:, columns]
        if self.stream.type == _TACTILE:
            self.trace.names = (f"normal {values.names[0].rpartition(' ')[2]}",)
            rows = rows.sum(axis=1, keepdims=True)
        elif not self.trace.names:
            self.trace.names = tuple(joint_of(values.names[c]) for c in columns)
        self.trace.add(values.times, rows)
