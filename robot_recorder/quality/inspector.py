"""Inspects samples while they are recorded, so that the quality report is ready at the end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial

from robot_recorder.alignment.camera_pairing import info_topics
from robot_recorder.alignment.certificate import Certificate, certified
from robot_recorder.alignment.command_pairing import nearest_topics
from robot_recorder.configuration.tasks import Task
from robot_recorder.messages.camera_info import camera_size
from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.kinds import (
    CAMERA_INFO,
    UNKNOWN_KIND,
    Sort,
    decoder_of,
    kind_of,
    lacks_values,
)
from robot_recorder.messages.urdf import joint_limits
from robot_recorder.model.arrays import Bools, Int64s
from robot_recorder.model.check_result import Result
from robot_recorder.model.quality_settings import (
    NO_SETTINGS,
    QualitySettings,
    budget_of,
    threshold_of,
)
from robot_recorder.model.streams import NS_PER_S, RobotProfile, Role, StreamConfig
from robot_recorder.model.text import plural
from robot_recorder.quality.checks.camera_watch import CameraWatch
from robot_recorder.quality.checks.check import Check, EpisodeSummary, Limits, ValueCheck
from robot_recorder.quality.checks.looker import Looker, NullLooker
from robot_recorder.quality.checks.motion import STEP_NS
from robot_recorder.quality.checks.number_watch import NumberWatch
from robot_recorder.quality.checks.registry import (
    episode_checks,
    message_checks,
    problems,
    value_checks,
)
from robot_recorder.quality.checks.timing import PRESENCE_CHECKS, TIMING_CHECKS, TimingCheck
from robot_recorder.quality.checks.values import Trace, robot_times
from robot_recorder.quality.checks.whole_episode import NoValues
from robot_recorder.quality.verdict import QualityReport, unchecked, weigh

_TEXT = "std_msgs/msg/String"

_PATIENCE_S = 0.4  # wait for the last pictures: the verdict is due within a second

_NAMED = 4  # most joints that a sentence names
# Traces are kept for one stretch, with an overlap for motion that crosses its beginning.
STRETCH_NS = 600 * STEP_NS
_OVERLAP_NS = 10 * NS_PER_S
_MOST_STRETCHES = 1440  # a day: a bag whose times span years is not processed minute by minute
SETTLE_NS = 5 * NS_PER_S  # no sample arrives later than this after its time


class Inspector:
    """All checks of one episode. A check that raises is dropped and reported, never fatal."""

    def __init__(
        self,
        profile: RobotProfile,
        task: Task | None,
        looker: Looker | None = None,
        decoders: Mapping[str, Callable[[bytes], Decoded]] | None = None,
        guessed: bool = False,
        unread: Mapping[str, str] | None = None,
        only: Collection[str] | None = None,
    ) -> None:
        """Build all checks that the profile and the task ask for.

        Args:
            profile: its streams are inspected.
            task: its settings override those of the profile; None: no task.
            looker: decodes pictures and returns their figures; None: pictures are not decoded.
            decoders: decoders by stream, for types the package does not know.
            guessed: the profile was guessed, so deviations from its rates and clocks are warnings
                at most.
            unread: why a stream has no values, by stream.
            only: names of the checks to run; None: all.
        """
        self.broken: list[str] = []
        self._unread = unread or {}
        self._only = only
        self._profile = profile
        self._task = task
        self._guessed = guessed
        self._looker: Looker = looker or NullLooker()
        self._cameras: dict[str, CameraWatch] = {}
        self._numbers: dict[str, NumberWatch] = {}
        self._checks: list[Check] = []
        self._limits: dict[str, Limits] = {}  # by topic of the robot_description
        self._sizes: dict[str, tuple[int, int]] = {}  # width and height by topic of the CameraInfo
        self._failed: set[str] = set()
        self._broken_checks: set[Check] = set()
        self._begin_ns = 0  # beginning of the current stretch; 0: the first has not begun
        self._doubts: dict[str, str] = {}  # why it is unclear which command a stream follows
        self._paired: set[str] = set()
        self._moved: dict[str, dict[int, Bools]] = {}  # by stream and by start of a stretch
        for stream in profile.streams:
            try:
                self._watch(stream, decoders or {})
            except Exception as error:
                self._break(f"{stream.name}: {type(error).__name__}: {error}")
                self._failed.add(stream.name)
        self._checks += self._built(episode_checks(), None)
        for problem in problems():
            self._break(problem)

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
        if threshold.most is None or (self._only is not None and kind.name not in self._only):
            return []  # switched off
        if issubclass(kind, ValueCheck):
            assert stream is not None
            return [kind(stream.name, threshold, stream.quality.range)]
        check = kind(stream.name if stream else "", threshold)
        if isinstance(check, TimingCheck):
            check.guessed = self._guessed
        return [check]

    def _watch(
        self, stream: StreamConfig, decoders: Mapping[str, Callable[[bytes], Decoded]]
    ) -> None:
        timing = TIMING_CHECKS if certified(stream) else PRESENCE_CHECKS
        self._checks += self._built(timing, stream)
        if kind_of(stream).sort is Sort.IMAGE:
            camera = CameraWatch(stream, self._looker, lambda kinds: self._built(kinds, stream))
            self._cameras[stream.name] = camera
            self._checks += camera.checks
            return
        decode = decoder_of(stream, decoders)
        if decode is None:
            return
        wanted = value_checks(stream)
        of_values = [kind for kind in wanted if issubclass(kind, ValueCheck)]
        others = [kind for kind in wanted if not issubclass(kind, ValueCheck)]
        readable = self._built(message_checks(stream), stream)
        self._numbers[stream.name] = NumberWatch(
            stream, decode, partial(self._add_built, of_values, stream), readable
        )
        self._checks += readable
        self._checks += self._built(others, stream)

    def _add_built(self, kinds: Iterable[type[Check]], stream: StreamConfig) -> list[Check]:
        """Build checks while the episode is running and add them to it."""
        built = self._built(kinds, stream)
        self._checks += built
        return built

    def wants(self, stream: StreamConfig) -> bool:
        """Return whether a stream's messages are inspected."""
        return (
            stream.name in self._numbers
            or stream.name in self._cameras
            or stream.type == CAMERA_INFO
            or _is_description(stream)
        )

    # -- while recording

    def add(
        self, stream: StreamConfig, stamps: Int64s, receives: Int64s, messages: Sequence[bytes]
    ) -> None:
        """Take messages of a stream in order of receipt.

        Args:
            stream: the stream they belong to.
            stamps: int64[n], header stamps, ns; 0: no stamp.
            receives: int64[n], times of receipt, ns, robot clock.
            messages: n whole messages, CDR.
        """
        if stream.name in self._failed:
            return
        try:
            if stream.name in self._numbers:
                self._numbers[stream.name].add(robot_times(stamps, receives), receives, messages)
            elif stream.name in self._cameras:
                self._cameras[stream.name].add(robot_times(stamps, receives), messages)
            elif stream.type == CAMERA_INFO:
                self._read_info(stream, messages[0])
            elif _is_description(stream):
                self._limits[stream.topic] = joint_limits(CdrReader(messages[-1]).text())
        except Exception as error:
            self._break(f"{stream.name}: {type(error).__name__}: {error}")
            self._failed.add(stream.name)

    def advance(self, from_ns: int, now_ns: int) -> None:
        """Fold all complete stretches; everything received before ``now_ns`` has been added.

        Args:
            from_ns: beginning of the episode including its pre-roll, robot clock.
            now_ns: current time, robot clock.
        """
        self._begin_ns = self._begin_ns or from_ns
        until_ns = min(now_ns, from_ns + _MOST_STRETCHES * STRETCH_NS)
        while self._begin_ns + STRETCH_NS + SETTLE_NS <= until_ns:
            end_ns = self._begin_ns + STRETCH_NS
            stretch = EpisodeSummary(
                self._begin_ns, self._begin_ns, end_ns, {s.name: s for s in self._profile.streams},
                joints=self._traces(Sort.JOINTS, end_ns), touches=self._traces(Sort.TACTILE, end_ns),
            )  # fmt: skip
            for check in self._checks:
                self._guard(check, partial(check.fold, stretch))
            self._end_stretch(stretch)

    def _end_stretch(self, stretch: EpisodeSummary) -> None:
        for name, motion in stretch.motions.items():
            if motion.known:
                self._moved.setdefault(name, {})[stretch.from_ns] = motion.moving
        self._note_pairs(stretch)
        for numbers in self._numbers.values():
            numbers.cut(stretch.stop_ns - _OVERLAP_NS)
        self._begin_ns = stretch.stop_ns

    def _note_pairs(self, stretch: EpisodeSummary) -> None:
        """Remember doubts about pairing; a stretch in which nothing moves proves little."""
        commands, doubts = stretch.pairing.commands, stretch.pairing.doubts
        self._doubts = {**doubts, **self._doubts}
        self._paired |= {name for name in commands if commands[name] and name not in doubts}

    def _guard(self, check: Check, action: Callable[[], None]) -> None:
        """Call an action of a check, unless the check or its stream has failed before."""
        if check.stream in self._failed and not isinstance(check, TIMING_CHECKS):
            return
        if check in self._broken_checks:
            return
        try:
            action()
        except Exception as error:
            self._break(f"{check.name} {check.stream}: {type(error).__name__}: {error}")
            self._broken_checks.add(check)

    @property
    def troubles(self) -> dict[str, str]:
        """Return what is visibly wrong while recording, by stream."""
        found = {name: "; ".join(numbers.notes) for name, numbers in self._numbers.items()}
        found |= {name: camera.trouble for name, camera in self._cameras.items()}
        return {name: trouble for name, trouble in found.items() if trouble}

    def _read_info(self, stream: StreamConfig, message: bytes) -> None:
        self._sizes[stream.topic] = camera_size(message)

    def _break(self, what: str) -> None:
        if what not in self.broken:
            self.broken.append(what)

    # -- at the end of the episode

    def layout_notes(self, name: str) -> tuple[str, ...]:
        """Return what a stream's messages leave unnamed, one sentence each."""
        numbers = self._numbers.get(name)
        if numbers is None or not kind_of(numbers.stream).by_name:
            return ()
        return numbers.words

    def report(
        self,
        from_ns: int,
        start_ns: int,
        stop_ns: int,
        certificate: Certificate | None,
        incomplete: str = "",
        data_lost: bool = False,
    ) -> QualityReport:
        """Finish all checks and return the quality report; afterwards nothing can be added.

        Args:
            from_ns: beginning of the episode including its pre-roll, robot clock.
            start_ns, stop_ns: when start and stop were requested, robot clock.
            certificate: None: it could not be made.
            incomplete: why the recording is incomplete; empty: it is complete.
            data_lost: whether messages that arrived are missing from the bag.
        """
        if not self._looker.settle(_PATIENCE_S):
            self._break(f"pictures were still being looked at {_PATIENCE_S:g} s after the end")
        for camera in self._cameras.values():
            camera.end(self._size_of(camera.stream.topic))
            if camera.left_out:
                self._break(f"{camera.stream.name}: {camera.left_out} pictures were not looked at")
        for numbers in self._numbers.values():
            numbers.end()
        lacking = self._lacking(certificate)
        for name, numbers in self._numbers.items():
            self._note_unjudged(name, numbers, name in lacking)
        self.advance(from_ns, stop_ns)
        episode = EpisodeSummary(
            from_ns, start_ns, stop_ns, {s.name: s for s in self._profile.streams}, certificate,
            self._task, incomplete, data_lost, self._traces(Sort.JOINTS), self._traces(Sort.TACTILE), self._limits_of_streams(),
            self._moved, self._begin_ns, {n: x.drivers for n, x in self._numbers.items() if x.drivers},
            lacking,
        )  # fmt: skip
        self._note_pairs(episode)
        for name, why in self._doubts.items():
            if name not in self._paired:
                self._break(f"tracking of {name}: {why}")
        for what in self._unjudged(certificate, lacking):
            self._break(what)
        results: list[Result] = []
        for check in self._checks:
            self._guard(check, partial(_finish, check, episode, results))
        return weigh(results, self.broken, budget_of(self._settings(None)))

    def _lacking(self, certificate: Certificate | None) -> dict[str, str]:
        """Return why required streams have no values although they could have some, by stream.

        A guessed profile declares no stream required.
        """
        found: dict[str, str] = {}
        if self._guessed or threshold_of(NoValues.name, self._settings(None)).most is None:
            return found
        certificates = certificate.streams if certificate else {}
        for stream in self._profile.streams:
            figures, numbers = certificates.get(stream.name), self._numbers.get(stream.name)
            notes = numbers.notes if numbers is not None else []
            why = [self._unread.get(stream.name, ""), *notes]
            reason = next((text for text in why if lacks_values(stream, text)), "")
            if reason and (figures is None or figures.count):
                found[stream.name] = reason
        return found

    def _unjudged(
        self, certificate: Certificate | None, lacking: Mapping[str, str]
    ) -> Iterator[str]:
        """Yield a sentence for each stream that is not fully checked, with the reason."""
        certificates = certificate.streams if certificate else {}
        for stream in self._profile.streams:
            camera, figures = self._cameras.get(stream.name), certificates.get(stream.name)
            if figures is not None and not figures.count:
                if not stream.required:  # a missing required stream fails a check
                    yield f"{stream.name}: nothing was recorded on {figures.topic}"
            elif camera is not None and (camera.unknown or camera.early):
                yield f"{stream.name}: {_unseen(camera)}, only their timing is checked"
            elif stream.name in self._failed or stream.name in lacking:
                continue  # reported when it failed, or by a check
            elif not (self.wants(stream) or stream.role is Role.CONTEXT):
                why = f" ({self._unread[stream.name]})" if stream.name in self._unread else ""
                yield (
                    f"{stream.name}: {stream.type} is not understood, "
                    f"only its timing is checked{why}"
                )

    def _note_unjudged(self, name: str, numbers: NumberWatch, lacking: bool) -> None:
        """Report those values of a stream that cannot be judged.

        Args:
            name: of the stream.
            numbers: its watch.
            lacking: whether a check reports that it has no values.
        """
        if numbers.others:
            self._break(
                f"{name}: {numbers.others} messages have more named values than can be kept"
            )
        if kind_of(numbers.stream) is UNKNOWN_KIND and not lacking:
            for note in numbers.notes:
                self._break(
                    f"{name}: {numbers.stream.type} is not understood, only its timing is checked "
                    f"({note})"
                )
        for unit, joints in numbers.in_other_units().items():
            self._break(f"{name}: positions in {unit} are not judged ({_some(joints)})")
        odd = numbers.unjudged(self._limits_of_streams().get(name, {}))
        if odd:
            self._break(
                f"{name}: positions of {_some(sorted(odd))} cannot be angles and are not judged; "
                "set their unit in the profile"
            )

    def _size_of(self, topic: str) -> tuple[int, int] | None:
        """Return the size that the CameraInfo nearest to a camera's topic gives.

        None: there is no CameraInfo nearby, or several that disagree.
        """
        sizes = {self._sizes[info] for info in info_topics(topic, self._sizes)}
        return sizes.pop() if len(sizes) == 1 else None

    def _limits_of_streams(self) -> dict[str, Limits]:
        """Return the limits of each joint stream, from the description nearest in namespace."""
        found: dict[str, Limits] = {}
        for name, numbers in self._numbers.items():
            nearest = nearest_topics(numbers.stream.topic, self._limits)
            if numbers.sort is Sort.JOINTS and nearest:
                limits = [self._limits[topic] for topic in nearest]
                agreed = set(limits[0].items()).intersection(*(one.items() for one in limits))
                found[name] = dict(agreed)
        return found

    def _trace(self, numbers: NumberWatch, before_ns: int) -> Trace:
        """Return a stream's trace without joints whose positions cannot be angles."""
        limits = self._limits_of_streams().get(numbers.stream.name, {})
        trace = numbers.trace.without(numbers.unjudged(limits))
        return trace.before(before_ns) if before_ns else trace

    def _traces(self, sort: Sort, before_ns: int = 0) -> dict[str, Trace]:
        """Return the traces of all streams of a sort, up to a time; 0: all that is kept."""
        found = {
            name: self._trace(numbers, before_ns)
            for name, numbers in self._numbers.items()
            if numbers.sort is sort and name not in self._failed
        }
        return {name: trace for name, trace in found.items() if len(trace)}


def _unseen(camera: CameraWatch) -> str:
    """Return which pictures of a camera were not decoded, and why."""
    if camera.problem:
        return f"{plural(camera.unknown, 'picture')} not decoded ({camera.problem})"
    if camera.early:
        return (
            f"{plural(camera.early, 'picture')} before the first key frame of its video not decoded"
        )
    return f"{plural(camera.unknown, 'picture')} in an unsupported encoding or too large to decode"


def _some(joints: Sequence[str]) -> str:
    return ", ".join(joints[:_NAMED]) + (", ..." if len(joints) > _NAMED else "")


def _finish(check: Check, episode: EpisodeSummary, results: list[Result]) -> None:
    results += check.finish(episode)


class NullInspector(Inspector):
    """The replacement of an inspector that could not be built: it reports only the reason."""

    def __init__(self, error: Exception) -> None:
        """Create it for an error.

        Args:
            error: why the inspector could not be built.
        """
        self._report = unchecked(error)

    def wants(self, stream: StreamConfig) -> bool:
        """Return False: no messages are inspected."""
        return False

    def advance(self, from_ns: int, now_ns: int) -> None:
        """Do nothing."""

    @property
    def troubles(self) -> dict[str, str]:
        """Return an empty dictionary."""
        return {}

    def layout_notes(self, name: str) -> tuple[str, ...]:
        """Return an empty tuple."""
        return ()

    def report(self, *_: object, **__: object) -> QualityReport:
        """Return a report with the verdict UNKNOWN and the error."""
        return self._report


def _is_description(stream: StreamConfig) -> bool:
    return stream.type == _TEXT and stream.topic.endswith("robot_description")
