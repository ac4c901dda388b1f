"""How a bag is to be aligned: by its own profile, a given one, or one guessed from its topics."""

from __future__ import annotations

import re
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
from robot_recorder.messages.kinds import KINDS, Decoded
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError, ConfigError, DecodeError
from robot_recorder.model.streams import NS_PER_MS, FrameClock, RobotProfile, StreamConfig
from robot_recorder.offline.by_stamp import log_times_stand, read_by_stamp
from robot_recorder.offline.every_number import bag_types, foreign_decoder, without_values
from robot_recorder.offline.guess import Guess, TopicSummary, guess_profile
from robot_recorder.quality.audit import AuditedStream

_HEADER = re.compile(r"^\s*(std_msgs/(msg/)?)?Header\s+\w+\s*$")
_LAYOUT, _CLOCKS = "synchronizer/layout", "synchronizer/clocks"


@dataclass(frozen=True)
class Plan:
    """What of a bag is aligned, and how.

    Attributes:
        profile: its streams are those whose topics the bag has. Of an episode with its own profile it is all of
            them: what is not there is missing, as it was live.
        topics: by stream name, fully qualified.
        stamped: streams whose messages begin with a header.
        seeds: what the live run knew, where there was one.
        restamp: takes jumps of the robot's own clock out of stamps.
        decoders: for types the package does not know.
        unread: of streams without values, why.
        guessed: the profile was, from the topics.
        absent: topics of profile streams that the bag does not have.
        left_out: by topic that a guess made no stream of, why.
        span: first and last stamp, ns, where log times cannot serve; None: they can.
        unseeded: messages in which the live run said how it aligned, and that cannot be read.
    """

    profile: RobotProfile
    topics: dict[str, str]
    stamped: frozenset[str]
    seeds: Mapping[str, Seed]
    restamp: Restamp | None
    decoders: Mapping[str, Callable[[bytes], Decoded]]
    guessed: bool
    absent: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    span: tuple[int, int] | None = None
    unseeded: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What there is to know of how the bag is aligned, one sentence each."""
        found = []
        if self.span is not None:
            found.append(
                "all messages have one log time: header stamps are used instead, delays are not known"
            )
        if self.unseeded:
            found.append(
                f"{self.unseeded} messages in which the robot said how it aligned cannot be read: its "
                "corrections are estimated again, and values may stand in another order"
            )
        return tuple(found)

    def read(self, path: Path, topics: set[str]) -> Iterator[Segment]:
        """The bag's messages in order of receipt, or of their stamps where log times cannot serve.

        Raises:
            BagError: it can not be read; what could be read has been yielded.
        """
        if self.span is None:
            return read_columns(path, topics)
        return read_by_stamp(path, topics, {self.topics[name] for name in self.stamped})

    @property
    def aligned(self) -> tuple[StreamConfig, ...]:
        """Streams that take part in frames."""
        return self.profile.aligned

    def audited(self, streams: Iterable[StreamConfig]) -> list[AuditedStream]:
        """Return streams of the profile, whether or not the bag has them, for an audit."""
        return [
            AuditedStream(s, self.topics.get(s.name, s.topic), s.name in self.stamped)
            for s in streams
        ]

    def stamps(self, stream: str, column: Column) -> Int64s:
        """int64[n], ns, source stamps of a stream's messages; 0: they carry none."""
        return column.stamps() if stream in self.stamped else np.zeros_like(column.receives)

    def frame_clock(self, rate_hz: float | None, reference: str) -> FrameClock:
        """The frame clock asked for; what is not said is as the profile has it.

        Args:
            reference: a stream's name, or its topic; "none": a fixed rate.

        Raises:
            ConfigError: the bag has no such stream.
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
                f"'{reference}' is no aligned stream of this bag; there are "
                + ", ".join(f"{n} ({self.topics[n]})" for n in sorted(names))
            )
        return FrameClock(rate_hz, name)


def make_plan(
    episode: Episode, profile: RobotProfile | None = None, deadline_ns: int | None = None
) -> Plan:
    """Look at a bag and decide.

    Args:
        profile: None: the one in the bag, or else a guess.
        deadline_ns: instead of the profile's.

    Raises:
        BagError: it can not be read.
        ConfigError: none of the profile's streams is in it.
    """
    definitions = _topics(episode)
    recorded = episode.facts.get("profile_yaml", "")
    guess: Guess | None = None
    if profile is None and recorded:
        try:
            profile = parse_profile(recorded, f"{episode.path}: profile_yaml")
        except ConfigError as error:
            raise ConfigError(f"{error}; give the robot's profile with --profile") from error
    elif profile is None:
        guess = _guess(episode, definitions)
        profile = parse_profile(guess.text, f"{episode.path}: guessed profile")
    exact = _exact(profile, set(definitions), episode.facts.get("namespace"))
    topics = _resolve(profile, set(definitions), exact, "namespace" not in episode.facts)
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
    stamped = frozenset(
        s.name
        for s in found.streams
        if is_stamped(s.type, definitions.get(topics[s.name], (s.type, ""))[1])
    )
    decoders, unread = _decoders(episode, found)
    seeds, unseeded = _seeds(episode, set(definitions)) if same else ({}, 0)
    return Plan(
        found, topics, stamped, seeds,
        restamp_by(episode.clock_jumps), decoders, guess is not None,
        tuple(s.topic for s in profile.streams if s.name not in there),
        guess.left_out if guess else {}, unread, _stamp_span(episode, definitions), unseeded,
    )  # fmt: skip


def profile_yaml(episode: Episode) -> str:
    """The profile that a bag carries, or else one guessed from its topics."""
    return episode.facts.get("profile_yaml", "") or _guess(episode, _topics(episode)).text


def _topics(episode: Episode) -> dict[str, tuple[str, str]]:
    """Type and definition of every topic with messages."""
    return {t: d for t, d in bag_topics(episode.path).items() if episode.counts.get(t, 1)}


def _guess(episode: Episode, definitions: dict[str, tuple[str, str]]) -> Guess:
    seconds = float(episode.metadata["duration"]["nanoseconds"]) / 1e9
    span = _stamp_span(episode, definitions)
    seconds = (span[1] - span[0]) / 1e9 if span else seconds
    known = survey(episode.path, definitions)
    times = [found for found, _ in known.values() if len(found)]
    if times:  # of a damaged bag less can be read than it says it has
        read_s = float(max(t[-1] for t in times) - min(t[0] for t in times)) / 1e9
        seconds = min(seconds, read_s)
    facts = [
        TopicSummary(name, type_name, episode.counts.get(name, 0), *known.get(name, ()))
        for name, (type_name, _) in sorted(definitions.items())
    ]
    if span:  # messages will be read in the order of their stamps
        facts = [replace(f, disorder_ns=0) for f in facts]
    guess = guess_profile(episode.facts.get("robot", episode.path.name), facts, seconds)
    note = "# All messages have one log time: rates are those of header stamps.\n" if span else ""
    return replace(guess, text=note + guess.text)


def _stamp_span(
    episode: Episode, definitions: dict[str, tuple[str, str]]
) -> tuple[int, int] | None:
    """First and last stamp of somebody else's bag whose log times say nothing; None: they do."""
    duration_ns = int(episode.metadata["duration"]["nanoseconds"])
    if "episode_id" in episode.facts or duration_ns >= NS_PER_MS:
        return None
    stamped = {t: d for t, d in definitions.items() if is_stamped(*d)}
    times = {t: found for t, (found, _) in survey(episode.path, stamped).items() if len(found)}
    if not log_times_stand(duration_ns, int(episode.metadata["message_count"]), times):
        return None
    return min(int(t[0]) for t in times.values()), max(int(t[-1]) for t in times.values())


def survey(path: Path, definitions: Mapping[str, tuple[str, str]]) -> dict[str, tuple[Int64s, int]]:
    """Of every topic when its messages were stamped, or received where they are not, int64[n], ns, rising;
    and how far the latest was stamped before one that came earlier, ns.

    Raises:
        BagError: nothing of the bag can be read.
    """
    receives: dict[str, list[Int64s]] = {}
    stamps: dict[str, list[Int64s]] = {}
    try:
        for segment in read_columns(path, set(definitions)):
            for topic, column in segment.columns.items():
                receives.setdefault(topic, []).append(column.receives)
                if is_stamped(*definitions[topic]):
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
    """Of every stream its topic in the robot's namespace.

    Args:
        namespace: None: the bag does not say.
    """
    exact = {
        s.name: s.topic if s.topic.startswith("/") else f"{(namespace or '').rstrip('/')}/{s.topic}"
        for s in profile.streams
    }
    # Converted bags name topics without the first slash.
    return {n: t if t in there or t[1:] not in there else t[1:] for n, t in exact.items()}


def _resolve(
    profile: RobotProfile, there: set[str], exact: dict[str, str], anywhere: bool
) -> dict[str, str]:
    """Of every stream its topic in the bag, where it has one.

    Args:
        anywhere: in another namespace, too, where only one fits.
    """
    found = {name: topic for name, topic in exact.items() if topic in there}
    if anywhere:
        left = there - set(found.values())
        for stream in sorted(
            profile.streams, key=lambda s: -len(s.topic)
        ):  # the most telling first
            others = [t for t in left if t.endswith("/" + stream.topic.lstrip("/"))]
            if stream.name not in found and len(others) == 1:
                found[stream.name] = others[0]
                left.remove(others[0])
    return found


def is_stamped(type_name: str, definition: str) -> bool:
    if type_name in KINDS:
        return KINDS[type_name].has_header
    found = re.search(rf"struct\s+{type_name.rpartition('/')[2]}\s*\{{([^;]*);", definition)
    if found:  # IDL: its first member, behind annotations
        return "std_msgs::msg::Header" in found[1]
    lines = (line.split("#")[0] for line in definition.split("\n====")[0].splitlines())
    first = next((line for line in lines if line.strip()), "")
    return bool(_HEADER.match(first))


_Decoders = dict[str, Callable[[bytes], Decoded]]


def _decoders(episode: Episode, profile: RobotProfile) -> tuple[_Decoders, dict[str, str]]:
    """Of streams whose types the package does not know: what reads them, or why nothing does."""
    unknown = [s for s in profile.aligned if s.type not in KINDS]
    if not unknown or "episode_id" in episode.facts:  # live frames have no values of these either
        return {}, {}
    store = bag_types(episode.path)
    why = {s.name: reason for s in unknown if (reason := without_values(store, s.type))}
    found = {
        s.name: decoder
        for s in unknown
        if (decoder := foreign_decoder(store, s.type, next(iter(s.units), None))) is not None
    }
    return found, why


def _seeds(episode: Episode, there: set[str]) -> tuple[dict[str, Seed], int]:
    """What the live run said of its streams, and how many of its messages cannot be read."""
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
