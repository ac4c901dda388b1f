"""Decode a bag some seconds at a time, for plots, reports and viewers.

Any rosbag2 bag can be opened. Unreadable parts are listed and do not stop the reading.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.command_pairing import nearest_topics
from robot_recorder.alignment.stream_decoder import Decoder, StreamCounts, widened
from robot_recorder.bags.columns import Column, bag_topics, read_columns
from robot_recorder.clocks.robot_clock import restamp_by
from robot_recorder.clocks.source_clock import SourceClock, robot_stamps
from robot_recorder.configuration.profile import RESERVED_TOPICS
from robot_recorder.content.depth_pictures import DepthPicture, depth_of
from robot_recorder.content.image_files import ImageFile, jpeg_of, picture_of
from robot_recorder.content.video_pictures import Video, VideoPart
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.audio import (
    AUDIO_INFO,
    AudioDecoder,
    AudioFormat,
    read_audio_info,
)
from robot_recorder.messages.cdr import CdrReader
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.definition import parse_definition
from robot_recorder.messages.kinds import (
    Sort,
    has_header,
    kind_of,
    needs_definition,
    stream_decoder,
    values_problem,
)
from robot_recorder.messages.point_cloud import PointCloud, read_point_cloud
from robot_recorder.messages.stamps import StampReader
from robot_recorder.messages.video_messages import is_video
from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.model.errors import BagError, ConfigError, DecodeError
from robot_recorder.model.payloads import Messages, Payloads, Rows
from robot_recorder.model.streams import NS_PER_S, Role, SourceClockKind, StreamConfig
from robot_recorder.offline.definitions import Definitions, bag_definitions
from robot_recorder.offline.guess import DETAILS
from robot_recorder.offline.guess_roles import guessed_role
from robot_recorder.offline.plan import Plan, make_plan

# Limits of receive time minus timestamp; beyond them the timestamp is from another clock.
_BEFORE_NS, _AFTER_NS = 2 * NS_PER_S, NS_PER_S // 5
_STRING = "std_msgs/msg/String"
SOUND = "sound"  # field of the names of samples
# Types whose numbers are not drawn as curves.
_NOT_CURVES = re.compile(
    r"/(CameraInfo|TFMessage|Clock|Log|ParameterEvent|DiagnosticArray|PointCloud|OccupancyGrid|"
    r"MarkerArray|Marker|Path)$"
)
_ROLES = (Role.ACTION, Role.OBSERVATION, Role.CONTEXT)  # in the order in which they are shown


@dataclass(frozen=True)
class Topic:
    """A topic of a bag that has messages; one for each stream that is read from it.

    Attributes:
        name: fully qualified name.
        type: message type, package/msg/Name.
        count: number of messages.
        sort: how it is drawn.
        stream: its name in the robot profile, or a short name made from the topic.
        role: from the profile, or guessed; None: it has none.
        unreadable: why it cannot be shown; empty: it can.
    """

    name: str
    type: str
    count: int
    sort: Sort
    stream: str
    role: Role | None
    unreadable: str = ""


@dataclass(frozen=True)
class Numbers:
    """Decoded messages of one topic.

    Attributes:
        topic: the topic.
        names: names of the columns, with units.
        times_s: float64[n], time since the episode's start, s.
        values: float64[n, len(names)].
    """

    topic: Topic
    names: tuple[str, ...]
    times_s: Floats
    values: Floats


@dataclass(frozen=True)
class Images:
    """Pictures of one topic; their bytes are read on demand.

    Attributes:
        topic: the topic.
        times_s: float64[n], time since the episode's start, s.
        payloads: the n messages.
        video: their pictures, if they are packets of a video.
    """

    topic: Topic
    times_s: Floats
    payloads: Payloads
    video: VideoPart | None = None

    def picture(self, number: int) -> ImageFile:
        """Return a picture by its index. Of a video, rising indexes are fast.

        Raises:
            NotYetDecodable: no key frame of the video came before it.
            CannotDecode: it is a video, and PyAV or the codec is missing.
            DecodeError: it cannot be decoded.
        """
        if self.video is not None:
            return jpeg_of(self.video.picture(number).bgr())
        return picture_of(self.topic.type, self.payloads[number], self.topic.name)

    def depth(self, number: int) -> DepthPicture | None:
        """Return distances by their index; None: the camera shows light.

        Raises:
            DecodeError: it cannot be decoded.
        """
        if self.video is not None:
            return None
        return depth_of(self.topic.type, self.payloads[number], self.topic.name)


@dataclass(frozen=True)
class Clouds:
    """Point clouds of one topic; their points are read on demand.

    Attributes:
        topic: the topic.
        times_s: float64[n], time since the episode's start, s.
        payloads: the n messages.
    """

    topic: Topic
    times_s: Floats
    payloads: Payloads

    def cloud(self, number: int) -> PointCloud:
        """Return a cloud by its index.

        Raises:
            DecodeError: it cannot be decoded.
        """
        return read_point_cloud(self.payloads[number])


@dataclass(frozen=True)
class Sounds:
    """Sound of one topic; its samples are read on demand.

    Attributes:
        topic: the topic.
        times_s: float64[n], time since the episode's start, s.
        payloads: the n messages.
        decoder: reads them.
    """

    topic: Topic
    times_s: Floats
    payloads: Payloads
    decoder: AudioDecoder

    def samples(self) -> Numbers | None:
        """Return all samples, from the stamp of each message on; None: they cannot be read."""
        times: list[Floats] = []
        values: list[Floats] = []
        steps = np.diff(self.times_s, append=self.times_s[-1:])
        for number, (time_s, step_s) in enumerate(zip(self.times_s.tolist(), steps.tolist())):
            try:
                sound = self.decoder.samples(self.payloads[number])
            except DecodeError:  # the reader of the levels reports it
                continue
            if sound is None or not len(sound.values):
                continue
            each_s = 1 / sound.rate_hz if sound.rate_hz else step_s / len(sound.values)
            times.append(time_s + np.arange(len(sound.values)) * each_s)
            values.append(sound.values.astype(np.float64))
        if not times:
            return None
        width = max(part.shape[1] for part in values)
        names = tuple(f"{SOUND}/{n + 1} (1)" for n in range(width))
        whole = np.concatenate([widened(part, width) for part in values])
        return Numbers(self.topic, names, np.concatenate(times), whole)


@dataclass(frozen=True)
class ContentBatch:
    """Some seconds of a bag.

    Attributes:
        numbers: decoded messages, by topic.
        images: pictures, by topic.
        share: share of the bag read so far, 0 to 1.
        clouds: point clouds, by topic.
        sounds: sound, by topic.
    """

    numbers: list[Numbers]
    images: list[Images]
    share: float
    clouds: list[Clouds] = field(default_factory=list)
    sounds: list[Sounds] = field(default_factory=list)


@dataclass
class Contents:
    """An open bag whose content can be read.

    Attributes:
        episode: the bag's metadata.
        topics: topics with messages: actions, then observations, then others, in the order of the
            profile, or by name without a profile. No two have the same ``stream``.
        start_ns: time 0, ns: the episode's start, or the first message of a foreign bag.
        first_s, last_s: first and last receive time since the start, s.
        plan: how it is aligned; None: it cannot be.
    """

    episode: Episode
    topics: tuple[Topic, ...]
    start_ns: int
    first_s: float
    last_s: float
    plan: Plan | None
    _definitions: Definitions
    _streams: dict[str, StreamConfig]
    _problems: dict[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, path: Path) -> Contents:
        """Open a bag.

        Raises:
            BagError: it is not a bag, or nothing of it can be read.
        """
        episode, unclear = Episode.open(path).readable()
        definitions = {t: d for t, d in bag_topics(path).items() if episode.counts.get(t, 1)}
        problems = {sentence: sentence for sentence in (*episode.notes, *unclear)}
        problems |= {sentence: sentence for sentence in episode.unread if "not cdr" in sentence}
        plan = None
        try:
            plan = make_plan(episode)
        except (ConfigError, BagError) as error:
            problems["plan"] = f"not aligned: {error}"
        known = plan.definitions if plan else bag_definitions(path)
        streams = {s.name: s for s in plan.profile.streams} if plan else {}
        by_topic: dict[str, list[StreamConfig]] = {}
        for s in streams.values():
            by_topic.setdefault(plan.topics[s.name] if plan else "", []).append(s)
        for entry in episode.metadata["topics_with_message_count"]:
            name, kind = entry["topic_metadata"]["name"], entry["topic_metadata"]["type"]
            if definitions.get(name, (kind,))[0] != kind:
                problems[f"{name} {kind}"] = f"{name}: its messages of type {kind} are not shown"
        topics = _in_order(
            [
                _topic(name, type_name, episode.counts.get(name, 0), stream, known)
                for name, (type_name, _) in sorted(definitions.items())
                for stream in by_topic.get(name, [None])
            ],
            list(streams),
        )
        problems |= {t.stream: f"{t.name}: {t.unreadable}" for t in topics if t.unreadable}
        first_ns = int(episode.metadata["starting_time"]["nanoseconds_since_epoch"])
        length_ns = int(episode.metadata["duration"]["nanoseconds"])
        start_ns = episode.start_ns
        first_s = (first_ns - start_ns) / NS_PER_S if episode.metadata["message_count"] else 0.0
        return cls(
            episode, topics, start_ns, first_s, first_s + length_ns / NS_PER_S, plan, known, streams,
            problems,
        )  # fmt: skip

    @property
    def problems(self) -> list[str]:
        """Return what could not be read, one sentence each; grows while the bag is read."""
        return list(self._problems.values())

    @property
    def description(self) -> str:
        """Return the robot's URDF from the bag; empty: the bag has no URDF."""
        types = {topic.name: topic.type for topic in self.topics}
        return next((t for t in descriptions(self.episode.path, types) if "<robot" in t), "")

    def has_header(self, topic: Topic) -> bool:
        """Return whether the messages of a topic begin with a std_msgs/Header."""
        return has_header(topic.type, self._definitions.get(topic.type, ""))

    def batches(self, topics: Collection[Topic] | None = None) -> Iterator[ContentBatch]:
        """Read the bag once. Reading ends at damage, which is added to ``problems``.

        Args:
            topics: topics to read; None: all.
        """
        readers: dict[str, list[_Reader]] = {}
        for topic in dict.fromkeys(self.topics if topics is None else topics):
            if (reader := self._reader(topic)) is not None:
                readers.setdefault(topic.name, []).append(reader)
        try:
            for segment in read_columns(self.episode.path, set(readers)):
                batch = ContentBatch([], [], segment.share)
                for name in sorted(segment.columns):
                    for reader in readers[name]:
                        reader.read(segment.columns[name], batch)
                yield batch
        except BagError as error:
            self._problems["bag"] = str(error)
        for reader in chain.from_iterable(readers.values()):
            if reader.problem:
                topic = reader.topic
                self._problems[topic.stream] = f"{topic.name}: {reader.problem}"

    def _reader(self, topic: Topic) -> _Reader | None:
        """Return the reader of a topic; None: it is not shown."""
        if topic.unreadable or topic.sort in (Sort.TEXT, Sort.OTHER):
            return None
        stream = self._streams.get(topic.stream)
        as_stream = stream or _unlisted(topic.name, topic.type)
        definition = self._definitions.get(topic.type, "")
        decode: Callable[[bytes], Decoded] | None = None
        if topic.sort is Sort.AUDIO and definition:
            types = parse_definition(topic.type, definition)
            decode = AudioDecoder(topic.type, types, self._audio_format(topic))
        elif not needs_definition(as_stream) or definition:
            decode = stream_decoder(as_stream, definition)
        reader = StampReader(as_stream, has_header(topic.type, definition), definition)
        return _Reader(topic, _Times(self, stream, reader), decode)

    def _audio_format(self, topic: Topic) -> AudioFormat | None:
        """Return the format that the AudioInfo with the most similar name gives; None: unknown."""
        infos = [t.name for t in self.topics if t.type == AUDIO_INFO]
        if not infos:
            return None
        nearest = nearest_topics(topic.name, infos)[0]
        for segment in read_columns(self.episode.path, {nearest}):
            for column in segment.columns.values():
                try:
                    return read_audio_info(column.payloads[0])
                except (DecodeError, IndexError):
                    continue
        return None


def _in_order(topics: list[Topic], streams: list[str]) -> tuple[Topic, ...]:
    """Return topics in the order in which they are shown, with unique names of streams.

    Args:
        topics: by name.
        streams: of the profile, in its order.
    """
    places = {name: place for place, name in enumerate(streams)}
    taken = {t.stream for t in topics if t.stream in places}
    found = []
    for topic in topics:
        stream, number = topic.stream, 1
        while topic.stream not in places and stream in taken:
            stream = topic.name.strip("/").replace("/", "_") + (f"_{number}" if number > 1 else "")
            number += 1
        taken.add(stream)
        found.append(replace(topic, stream=stream))
    order = {role: place for place, role in enumerate(_ROLES)}
    found.sort(key=lambda t: (order.get(t.role, len(order)) if t.role else len(order),
                              places.get(t.stream, len(places)), t.name))  # fmt: skip
    return tuple(found)


def descriptions(path: Path, types: Mapping[str, str]) -> Iterator[str]:
    """Yield the texts published as robot descriptions, valid or not.

    Args:
        path: the bag.
        types: message types of its topics.

    Raises:
        BagError: the bag cannot be read.
    """
    topics = {t for t, kind in types.items() if kind == _STRING and t.endswith("robot_description")}
    for segment in read_columns(path, topics) if topics else ():
        for topic in sorted(segment.columns):
            payloads = segment.columns[topic].payloads
            for number in range(len(payloads)):
                try:
                    yield CdrReader(payloads[number]).text()
                except DecodeError:
                    continue


class _Times:
    """Determines when the messages of a topic were made, from timestamps or receive times."""

    def __init__(
        self, contents: Contents, stream: StreamConfig | None, reader: StampReader
    ) -> None:
        self._reader = reader
        self._start_ns = contents.start_ns
        self._stream = stream
        self._restamp = restamp_by(contents.episode.clock_jumps)
        self._device: SourceClock | None = None
        if stream is not None and stream.clock is SourceClockKind.DEVICE:
            seeds = contents.plan.seeds if contents.plan is not None else {}
            seed = seeds.get(stream.name)
            self._device = SourceClock(stream, seed.clock if seed is not None else None)
        self._by_stamp: bool | None = None
        self.problem = ""

    def __call__(self, column: Column) -> Floats:
        """Return the times since the episode's start, s, float64[n]."""
        times = receives = column.receives
        stamps = self._reader.read(column.payloads, column.sends, column.receives, column.headers)
        if self._device is not None:
            stamps, known = self._device.correct(stamps, np.maximum.accumulate(receives))
            times = np.where(known & _near(receives - stamps), stamps, receives)
        elif self._by_stamp is not False:
            stamps = np.where(stamps == 0, receives, stamps)
            if self._stream is not None:
                stamps = robot_stamps(self._stream, stamps, receives, self._restamp)
            early = receives - stamps
            if self._by_stamp is None:
                usual = float(np.median(early))
                self._by_stamp = -_AFTER_NS < usual < _BEFORE_NS
                if not self._by_stamp and (stamps != 0).any():
                    self.problem = (
                        f"its timestamps are {abs(usual) / NS_PER_S:.1f} s "
                        f"{'before' if usual > 0 else 'after'} their receipt, so they are from another "
                        "clock: shown by receive time"
                    )
            if self._by_stamp:
                times = np.where(_near(early), stamps, receives)
        return np.asarray((times - self._start_ns) / NS_PER_S, dtype=np.float64)


def _near(early: Int64s) -> npt.NDArray[np.bool_]:
    """Return which stamps are so near to their receipt, ns, that they can be of the same clock."""
    return (early > -_AFTER_NS) & (early < _BEFORE_NS)


class _Reader:
    """Decodes the messages of one topic."""

    def __init__(
        self,
        topic: Topic,
        times: _Times,
        decode: Callable[[bytes], Decoded] | None,
    ) -> None:
        self.topic, self._times, self._decode = topic, times, decode
        self._counts = StreamCounts()
        self._decoder = Decoder(decode, self._counts)
        self._video: Video | None = None

    def read(self, column: Column, batch: ContentBatch) -> None:
        """Decode messages and add them to a batch."""
        times = self._times(column)
        if self.topic.sort is Sort.IMAGE:
            part = self._video_part(column)
            batch.images.append(Images(self.topic, times, column.payloads, part))
            return
        payloads = column.payloads
        if self.topic.sort is Sort.POINTS:
            batch.clouds.append(Clouds(self.topic, times, payloads))
        if isinstance(self._decode, AudioDecoder):
            batch.sounds.append(Sounds(self.topic, times, payloads, self._decode))
        rows = payloads if isinstance(payloads, Rows) else Messages(payloads)  # type: ignore[arg-type]
        done, values, _ = self._decoder.all(rows)
        names = self._decoder.names or ()
        if len(done) and names:
            batch.numbers.append(Numbers(self.topic, names, times[done], values))

    def _video_part(self, column: Column) -> VideoPart | None:
        """Return the pictures of packets of a video; None: messages hold whole pictures."""
        if self._video is None and is_video(self.topic.type, column.payloads[0]):
            self._video = Video(self.topic.type)
        return self._video.part(column.payloads) if self._video is not None else None

    @property
    def problem(self) -> str:
        """Return what could not be read; empty: nothing."""
        bad, other = self._counts.undecodable, self._counts.mismatched
        found = [f"{bad} messages cannot be decoded ({self._decoder.first_error})"] if bad else []
        found += [f"{other} messages have more value names than are kept"] if other else []
        found += self._decoder.notes
        found += [self._times.problem] if self._times.problem else []
        return "; ".join(found)


def _unlisted(topic: str, type_name: str) -> StreamConfig:
    """Return a stream for a topic that is no stream of the profile."""
    return StreamConfig(topic, topic, type_name, Role.CONTEXT)


def _topic(
    name: str,
    type_name: str,
    count: int,
    stream: StreamConfig | None,
    definitions: Mapping[str, str],
) -> Topic:
    as_stream, why = stream or _unlisted(name, type_name), ""
    sort = kind_of(as_stream).sort
    mapped = stream is not None and stream.mapping is not None
    if type_name == _STRING and not mapped:
        sort = Sort.TEXT
    elif name.endswith(tuple(f"/{own}" for own in RESERVED_TOPICS)) or (
        _NOT_CURVES.search(type_name) and not (stream is not None and (mapped or sort is Sort.POSE))
    ):
        sort = Sort.OTHER
    elif needs_definition(as_stream):
        why = values_problem(as_stream, definitions.get(type_name, ""))
    short = DETAILS.sub("", name).strip("/").replace("/", "_") or name.strip("/")
    if stream is not None:
        return Topic(name, type_name, count, sort, stream.name, stream.role, why)
    role = None if sort in (Sort.OTHER, Sort.TEXT) else guessed_role(name, type_name)
    return Topic(name, type_name, count, sort, short, role, why)
