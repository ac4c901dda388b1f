"""Plan how to align a bag: by its own profile, a given one, or one guessed from its topics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from robot_recorder.alignment.aligner import Seed
from robot_recorder.alignment.frame_messages import decode_clock_settings, decode_value_names
from robot_recorder.bags.columns import Column, Segment, bag_topics, read_columns
from robot_recorder.bags.reader import read_messages
from robot_recorder.clocks.robot_clock import restamp_by
from robot_recorder.clocks.source_clock import ClockSetting, Restamp
from robot_recorder.configuration.profile import parse_profile
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.decoders import Decoded
from robot_recorder.messages.encoded import recorded_profile
from robot_recorder.messages.kinds import has_header
from robot_recorder.messages.stamps import StampReader
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError, ConfigError, DecodeError
from robot_recorder.model.streams import (
    NS_PER_MS,
    FrameClock,
    RobotProfile,
    SourceClockKind,
    StreamConfig,
)
from robot_recorder.offline.definitions import Definitions, bag_definitions, decoders_of
from robot_recorder.offline.first_clocks import first_clocks
from robot_recorder.offline.guess import Guess, TopicSummary, guess_profile
from robot_recorder.offline.heard_topic import HeardTopic, described
from robot_recorder.offline.stamp_order import log_times_stand, read_by_stamp
from robot_recorder.quality.audit import AuditedStream

_LAYOUT, _CLOCKS = "synchronizer/layout", "synchronizer/clocks"


@dataclass(frozen=True)
class Plan:
    """Which streams of a bag are aligned, and how.

    Attributes:
        profile: profile with only the streams whose topics are in the bag. An episode's own profile
            keeps all streams, so that absent ones are missing in frames as they were live.
        topics: fully qualified topic by stream name.
        readers: readers of the streams' stamps, by stream name.
        seeds: value order and clock corrections of the live run, by stream name.
        restamp: function that removes jumps of the robot's own clock from stamps; None: no jumps.
        decoders: by stream name, for streams that are read by the definition of their type.
        guessed: whether the profile was guessed from the topics.
        absent: topics of the profile that are missing from the bag.
        left_out: reason by topic for every topic that did not become a stream of a guess.
        unread: reason by stream name why its messages have no values.
        definitions: of the bag's message types, as ``bag_definitions`` returns them.
        span: first and last stamp, ns, if log times are unusable; None: they are usable.
        unseeded: number of the synchronizer's messages that cannot be read.
    """

    profile: RobotProfile
    topics: dict[str, str]
    readers: Mapping[str, StampReader]
    seeds: Mapping[str, Seed]
    restamp: Restamp | None
    decoders: Mapping[str, Callable[[bytes], Decoded]]
    guessed: bool
    absent: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    definitions: Definitions = field(default_factory=dict)
    span: tuple[int, int] | None = None
    unseeded: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is unusual in how the bag is aligned."""
        found = []
        if self.span is not None:
            found.append(
                "all messages have one log time: header stamps are used instead, delays are unknown"
            )
        if self.unseeded:
            found.append(
                f"{self.unseeded} messages about the robot's own alignment cannot be read: clock "
                "corrections are estimated again, and values may be in another order"
            )
        return tuple(found)

    def read(self, path: Path, topics: set[str]) -> Iterator[Segment]:
        """Read the bag by receive time, or by stamps if log times are unusable.

        Args:
            path: of the bag.
            topics: names of the topics to read.

        Raises:
            BagError: the bag cannot be read. Everything readable has been yielded before.
        """
        if self.span is None:
            return read_columns(path, topics)
        return read_by_stamp(
            path,
            topics,
            {self.topics[name] for name, reader in self.readers.items() if reader.has_header},
        )

    @property
    def aligned(self) -> tuple[StreamConfig, ...]:
        """Streams that are part of frames."""
        return self.profile.aligned

    def audited(self, streams: Iterable[StreamConfig]) -> list[AuditedStream]:
        """Return streams of the profile, whether or not the bag has them, for an audit."""
        return [
            AuditedStream(s, self.topics.get(s.name, s.topic), self.readers.get(s.name))
            for s in streams
        ]

    def stamps(self, stream: str, column: Column) -> Int64s:
        """Return the source stamps of a stream's messages, int64[n], ns; 0: not stamped."""
        reader = self.readers[stream]
        return reader.read(column.payloads, column.sends, column.receives, column.headers)

    def frame_clock(self, rate_hz: float | None, reference: str) -> FrameClock:
        """Return the frame clock for the given options, with defaults from the profile.

        Args:
            rate_hz: frame rate; None: the profile's.
            reference: name or topic of the reference stream; "none": a fixed rate; empty: the
                profile's.

        Raises:
            ConfigError: the reference is not an aligned stream.
        """
        own = self.profile.frame_clock
        if not reference:
            if own.reference in self.topics:
                return replace(own, rate_hz=rate_hz or own.rate_hz)
            return FrameClock(rate_hz or own.rate_hz or 30.0)
        if reference == "none":
            return FrameClock(rate_hz or own.rate_hz or 30.0)
        names = {s.name for s in self.aligned}
        by_topic = {self.topics[name]: name for name in names}
        wanted = "/" + reference.strip("/")
        name = reference if reference in names else by_topic.get(wanted)
        if name is None:
            raise ConfigError(
                f"'{reference}' is not an aligned stream of this bag; there are "
                + ", ".join(f"{n} ({self.topics[n]})" for n in sorted(names))
            )
        return FrameClock(rate_hz, name)


def make_plan(
    episode: Episode, profile: RobotProfile | None = None, deadline_ns: int | None = None
) -> Plan:
    """Plan how to align a bag.

    Args:
        episode: the bag.
        profile: the robot's profile; None: the one in the bag, or a guess.
        deadline_ns: how long frames wait for late samples; None: the profile's.

    Raises:
        BagError: the bag cannot be read.
        ConfigError: the bag has no topics of the profile.
    """
    definitions = topics_of(episode)
    recorded, guess = episode.facts.get("profile_yaml", ""), None
    if profile is None:
        profile, guess = _own_profile(episode, definitions)
    namespace, anywhere = episode.facts.get("namespace"), "namespace" not in episode.facts
    profile = _as_recorded(profile, set(definitions), namespace, anywhere)
    exact = _exact(profile, set(definitions), namespace)
    topics = _resolve(profile, set(definitions), exact, anywhere)
    there = set(topics)
    same = bool(recorded) and profile.text == recorded
    if same:
        topics = exact | topics
    streams = tuple(s for s in profile.streams if s.name in topics)
    found = replace(profile, streams=streams, deadline_ns=deadline_ns or profile.deadline_ns)
    if not same and not found.aligned:
        raise ConfigError(
            f"{episode.path} has none of the topics of profile {profile.robot}; it has "
            + ", ".join(sorted(definitions))
            + "; give the right one with --profile"
        )
    known = bag_definitions(episode.path)
    decoders, unread = decoders_of(found.aligned, known)
    seeds, unseeded = _seeds(episode, set(definitions)) if same else ({}, 0)
    readers = _readers(episode, found, known)
    seeds = _with_first_clocks(episode, found, topics, readers, seeds)
    return Plan(
        found, topics, readers, seeds,
        restamp_by(episode.clock_jumps), decoders, guess is not None,
        tuple(s.topic for s in profile.streams if s.name not in there),
        guess.left_out if guess else {}, unread, known, _stamp_span(episode, definitions), unseeded,
    )  # fmt: skip


def _as_recorded(
    profile: RobotProfile, there: set[str], namespace: str | None, anywhere: bool
) -> RobotProfile:
    """Return a profile whose encoded streams are as a bag has them: encoded, or as they were sent.

    Args:
        profile: as it was read.
        there: topics of the bag.
        namespace: the robot's; None: unknown.
        anywhere: whether streams may be in another namespace.
    """
    encoded = tuple(s for s in profile.streams if s.encode is not None)
    if not encoded:
        return profile
    raw = replace(profile, streams=encoded)
    as_sent = _resolve(raw, there, _exact(raw, there, namespace), anywhere)
    return recorded_profile(profile, raw=as_sent.keys())


def _own_profile(
    episode: Episode, definitions: dict[str, tuple[str, str]]
) -> tuple[RobotProfile, Guess | None]:
    """Return the profile in a bag; or one guessed from its topics, with the guess."""
    recorded = episode.facts.get("profile_yaml", "")
    if not recorded:
        guess = guess_of(episode, definitions)
        return parse_profile(guess.text, f"{episode.path}: guessed profile"), guess
    try:
        return parse_profile(recorded, f"{episode.path}: profile_yaml"), None
    except ConfigError as error:
        raise ConfigError(f"{error}; give the robot's profile with --profile") from error


def topics_of(episode: Episode) -> dict[str, tuple[str, str]]:
    """Return type and definition of every topic with messages."""
    return {t: d for t, d in bag_topics(episode.path).items() if episode.counts.get(t, 1)}


def guess_of(
    episode: Episode,
    definitions: dict[str, tuple[str, str]],
    heard: Mapping[str, HeardTopic] | None = None,
) -> Guess:
    """Guess the profile of a bag from its topics, and from messages where some are given.

    Args:
        episode: the bag.
        definitions: type and definition by topic.
        heard: some messages by topic, from which types that nobody described are mapped.

    Raises:
        BagError: the bag cannot be read.
        ConfigError: no topic looks like a sensor.
    """
    seconds = float(episode.metadata["duration"]["nanoseconds"]) / 1e9
    span = _stamp_span(episode, definitions)
    seconds = (span[1] - span[0]) / 1e9 if span else seconds
    known = survey(episode.path, definitions)
    times = [found for found, _ in known.values() if len(found)]
    if times:  # a damaged bag may have less data than its metadata says
        read_s = float(max(t[-1] for t in times) - min(t[0] for t in times)) / 1e9
        seconds = min(seconds, read_s)
    topics = [
        TopicSummary(name, type_name, episode.counts.get(name, 0), *known.get(name, ()))
        for name, (type_name, _) in sorted(definitions.items())
    ]
    if span:  # messages will be read in the order of their stamps, so there is no disorder
        topics = [replace(t, disorder_ns=0) for t in topics]
    topics = [described(t, heard[t.name]) if heard and t.name in heard else t for t in topics]
    guess = guess_profile(episode.facts.get("robot", episode.path.name), topics, seconds)
    note = "# All messages have one log time: rates are those of header stamps.\n" if span else ""
    return replace(guess, note=note)


def _stamp_span(
    episode: Episode, definitions: dict[str, tuple[str, str]]
) -> tuple[int, int] | None:
    """Return first and last stamp, ns, of a bag with unusable log times; None: they are usable."""
    duration_ns = int(episode.metadata["duration"]["nanoseconds"])
    if "episode_id" in episode.facts or duration_ns >= NS_PER_MS:
        return None
    stamped = {t: d for t, d in definitions.items() if has_header(*d)}
    times = {t: found for t, (found, _) in survey(episode.path, stamped).items() if len(found)}
    if not log_times_stand(duration_ns, int(episode.metadata["message_count"]), times):
        return None
    return min(int(t[0]) for t in times.values()), max(int(t[-1]) for t in times.values())


def survey(path: Path, definitions: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Int64s, int]]:
    """Return times and disorder of every topic.

    Returns:
        By topic: stamps, or receive times without stamps, int64[n], ns, rising; and the largest
        difference by which a message is stamped before an earlier one, ns.

    Raises:
        BagError: no message can be read.
    """
    receives: dict[str, list[Int64s]] = {}
    stamps: dict[str, list[Int64s]] = {}
    try:
        for segment in read_columns(path, set(definitions)):
            for topic, column in segment.columns.items():
                receives.setdefault(topic, []).append(column.receives)
                if has_header(*definitions[topic]):
                    stamps.setdefault(topic, []).append(column.stamps())
    except BagError:
        if not receives:
            raise
    found = {}
    for topic, parts in receives.items():
        times, disorder_ns = np.concatenate(parts), 0
        if topic in stamps:
            own = np.concatenate(stamps[topic])
            if own.all():
                times = own
                disorder_ns = int((np.maximum.accumulate(own) - own).max())
        found[topic] = np.sort(times), disorder_ns
    return found


def _exact(profile: RobotProfile, there: set[str], namespace: str | None) -> dict[str, str]:
    """Return the topic of every stream in the robot's namespace.

    Args:
        profile: streams to look up.
        there: topics of the bag.
        namespace: the robot's; None: unknown.
    """
    exact = {
        s.name: s.topic if s.topic.startswith("/") else f"{(namespace or '').rstrip('/')}/{s.topic}"
        for s in profile.streams
    }
    # Converted bags may name topics without the leading slash.
    return {n: t if t in there or t[1:] not in there else t[1:] for n, t in exact.items()}


def _resolve(
    profile: RobotProfile, there: set[str], exact: dict[str, str], anywhere: bool
) -> dict[str, str]:
    """Return the topic of every stream that is in the bag.

    Args:
        profile: streams to look up.
        there: topics of the bag.
        exact: topics in the robot's namespace, by stream name.
        anywhere: also accept a topic in another namespace if it is the only match.
    """
    found = {name: topic for name, topic in exact.items() if topic in there}
    if anywhere:
        left = there - set(found.values())
        longest_first = sorted(profile.streams, key=lambda s: -len(s.topic))
        for stream in longest_first:  # the most specific topic first
            others = [t for t in left if t.endswith("/" + stream.topic.lstrip("/"))]
            if stream.name not in found and len(others) == 1:
                found[stream.name] = others[0]
                left.remove(others[0])
    return found


def _readers(
    episode: Episode, profile: RobotProfile, definitions: Definitions
) -> dict[str, StampReader]:
    """Return the readers of the streams' stamps.

    Raises:
        ConfigError: a stream's ``stamp`` does not fit its type.
    """
    readers = {}
    for s in profile.streams:
        definition = definitions.get(s.type, "")
        try:
            readers[s.name] = StampReader(s, has_header(s.type, definition), definition)
        except ConfigError as error:
            raise ConfigError(f"{episode.path}: stream '{s.name}': {error}") from error
    return readers


def _with_first_clocks(
    episode: Episode,
    profile: RobotProfile,
    topics: dict[str, str],
    readers: dict[str, StampReader],
    seeds: dict[str, Seed],
) -> dict[str, Seed]:
    """Add the first estimate of devices' clocks that the live run did not record."""
    unknown = [
        (s.name, topics[s.name], readers[s.name])
        for s in profile.aligned
        if s.clock is SourceClockKind.DEVICE and seeds.get(s.name, Seed()).clock is None
    ]
    try:
        segments = read_columns(episode.path, {topic for _, topic, _ in unknown})
        firsts = first_clocks(segments, unknown)
    except BagError:  # aligning it says what is damaged; its first second stays unknown
        return seeds
    return {
        **seeds,
        **{name: replace(seeds.get(name, Seed()), first=one) for name, one in firsts.items()},
    }


def _seeds(episode: Episode, there: set[str]) -> tuple[dict[str, Seed], int]:
    """Return the live run's seeds by stream name, and the number of its unreadable messages."""
    names: dict[str, tuple[str, ...]] = {}
    clocks: dict[str, list[ClockSetting]] = {}
    unseeded = 0
    topics = {t for t in there if t.endswith(("/" + _LAYOUT, "/" + _CLOCKS))}
    for message in read_messages(episode.path, topics) if topics else ():
        try:
            if message.topic.endswith(_LAYOUT):
                names |= {k: v for k, v in decode_value_names(message.data).items() if v}
            else:
                for stream, setting in decode_clock_settings(message.data):
                    clocks.setdefault(stream, []).append(setting)
        except DecodeError:
            unseeded += 1
    return {s: Seed(names.get(s), clocks.get(s)) for s in {*names, *clocks}}, unseeded
