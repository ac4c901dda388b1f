"""Load an episode as arrays of bounded size on one time axis, for plots and reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.content.contents import Contents, Images, Numbers, Topic
from robot_recorder.content.depth_pictures import DepthPicture, DepthScale
from robot_recorder.content.image_files import ImageFile, coloured, shrunk
from robot_recorder.content.thinning import lowest_and_highest
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import ConfigError, DecodeError
from robot_recorder.quality.video_decoder import NotYetDecodable

_POINTS = 4000  # per curve; more than a screen can show
_WIDTH = 320  # of a picture, pixels


@dataclass(frozen=True)
class Series:
    """The values of a numeric topic.

    Attributes:
        topic: the topic.
        names: names of the columns, with units.
        times_s: float64[n], time since the episode's start, s.
        values: float64[n, len(names)]. Long series are thinned to the lowest and highest value of
            each bin, so that no spike is lost.
    """

    topic: Topic
    names: tuple[str, ...]
    times_s: Floats
    values: Floats


@dataclass(frozen=True)
class Pictures:
    """The pictures of a camera.

    Attributes:
        topic: the topic.
        times_s: float64[n], times of all pictures since the episode's start, s.
        chosen: evenly spread pictures with their times; none while the camera was silent.
        scale: of the colours of distances, the same in all pictures; None: they show light.
    """

    topic: Topic
    times_s: Floats
    chosen: list[tuple[float, ImageFile]]
    scale: DepthScale | None = None


@dataclass(frozen=True)
class EpisodeData:
    """The readable content of an episode.

    Attributes:
        contents: the open bag.
        series: numeric streams in the order of ``Contents.topics``; sound comes after its levels.
        pictures: cameras.
        problems: what could not be read, one sentence each.
        chosen: names of the streams that were asked for; empty: all.
    """

    contents: Contents
    series: list[Series]
    pictures: list[Pictures]
    problems: list[str]
    chosen: frozenset[str] = frozenset()

    @property
    def episode(self) -> Episode:
        """Return the episode."""
        return self.contents.episode


def load(
    contents: Contents,
    pictures: int = 96,
    progress: Callable[[float], None] = lambda share: None,
    streams: Sequence[str] = (),
) -> EpisodeData:
    """Read a whole bag once.

    Args:
        contents: the open bag.
        pictures: maximum number of pictures of each camera.
        progress: called with the share read so far, 0 to 1.
        streams: names of streams or topics; empty: all. Joints come with all other joints, among
            which are their commands.

    Raises:
        ConfigError: there is no such stream.
    """
    width_s = max(contents.last_s - contents.first_s, 1e-3) / (_POINTS // 2)
    chosen = _chosen(contents, streams)
    curves: dict[tuple[int, bool], _ThinnedCurves] = {}  # by place of the topic, and whether sound
    strips: dict[Topic, _Strip] = {}
    places = {topic: place for place, topic in enumerate(contents.topics)}
    for batch in contents.batches(_needed(contents, chosen) if streams else None):
        sounds = filter(None, (part.samples() for part in batch.sounds))
        for is_sound, parts in ((False, batch.numbers), (True, sounds)):
            for numbers in parts:
                key = places[numbers.topic], is_sound
                curves.setdefault(key, _ThinnedCurves(width_s)).add(numbers)
        for images in batch.images:
            strip = strips.setdefault(images.topic, _Strip(contents, pictures))
            strip.add(images)
        progress(batch.share)
    broken = [f"{t.name}: {s.problem}" for t, s in strips.items() if s.problem]
    return EpisodeData(
        contents,
        [curves[key].series(contents.topics[key[0]]) for key in sorted(curves)],
        [strips[topic].pictures(topic) for topic in sorted(strips, key=places.__getitem__)],
        [*contents.problems, *broken],
        chosen,
    )


def _chosen(contents: Contents, streams: Sequence[str]) -> frozenset[str]:
    """Return the names of the streams that are asked for by their names or topics."""
    found: set[str] = set()
    for name in streams:
        named = [t.stream for t in contents.topics if name in (t.stream, t.name)]
        if not named:
            known = [t.stream for t in contents.topics if t.sort is not Sort.OTHER]
            where = contents.episode.path
            raise ConfigError(f"{where}: no stream '{name}'; {did_you_mean(name, known)}")
        found.update(named)
    return frozenset(found)


def _needed(contents: Contents, chosen: Collection[str]) -> list[Topic]:
    """Return the topics of some streams; of a joint state also all others."""
    found = [t for t in contents.topics if t.stream in chosen]
    if any(t.sort is Sort.JOINTS for t in found):
        found += [t for t in contents.topics if t.sort is Sort.JOINTS and t not in found]
    return found


@dataclass
class _ThinnedCurves:
    """The curves of one topic, thinned while they are read."""

    width_s: float
    names: tuple[str, ...] = ()
    bins: list[np.ndarray] = field(default_factory=list)
    times: list[Floats] = field(default_factory=list)  # [bins, 2] first and last
    values: list[Floats] = field(default_factory=list)  # [bins, 4, k] lowest, highest, first, last
    raw: list[tuple[Floats, Floats]] | None = field(default_factory=list)
    count: int = 0

    def add(self, numbers: Numbers) -> None:
        """Add some seconds of values."""
        self.names = numbers.names
        times, values = numbers.times_s, numbers.values
        if (np.diff(times) < 0).any():
            order = np.argsort(times, kind="stable")
            times, values = times[order], values[order]
        self.count += len(times)
        if self.raw is not None and self.count <= _POINTS:
            self.raw.append((times, values))
            return
        for earlier in self.raw or ():
            self._thin(*earlier)
        self.raw = None
        self._thin(times, values)

    def _thin(self, times: Floats, values: Floats) -> None:
        bins, starts = np.unique((times // self.width_s).astype(np.int64), return_index=True)
        ends = np.append(starts[1:], len(times)) - 1
        self.bins.append(bins)
        self.times.append(np.stack([times[starts], times[ends]], axis=1))
        low, high = lowest_and_highest(values, starts)
        self.values.append(np.stack([low, high, values[starts], values[ends]], axis=1))

    def series(self, topic: Topic) -> Series:
        """Return the thinned series."""
        if self.raw is not None:
            times = np.concatenate([part[0] for part in self.raw])
            values = np.concatenate([widened(part[1], len(self.names)) for part in self.raw])
            return Series(topic, self.names, *_in_order(times, values))
        times = np.concatenate(self.times)
        values = np.concatenate([_wider(part, len(self.names)) for part in self.values])
        low, high, first, last = values.transpose(1, 0, 2)
        bins = np.concatenate(self.bins)
        starts = np.flatnonzero(np.diff(bins, prepend=bins[0] - 1))
        if len(starts) < len(bins):  # a bin on the border of two batches occurs twice
            ends = np.append(starts[1:], len(bins)) - 1
            low, high = np.fmin.reduceat(low, starts), np.fmax.reduceat(high, starts)
            first, last = first[starts], last[ends]
            times = np.stack([times[starts, 0], times[ends, 1]], axis=1)
        falls = last < first
        pairs = np.stack([np.where(falls, high, low), np.where(falls, low, high)], axis=1)
        return Series(
            topic, self.names, *_in_order(times.ravel(), pairs.reshape(-1, len(self.names)))
        )


def _wider(bins: Floats, width: int) -> Floats:
    """Pad bins, float64[n, 4, k], that were made when fewer names were known with NaN."""
    flat = widened(bins.reshape(-1, bins.shape[2]), width)
    return flat.reshape(len(bins), 4, width)


def _in_order(times: Floats, values: Floats) -> tuple[Floats, Floats]:
    if not (np.diff(times) < 0).any():
        return times, values
    order = np.argsort(times, kind="stable")
    return times[order], values[order]


class _Strip:
    """The pictures of one camera that are nearest to evenly spread times."""

    def __init__(self, contents: Contents, count: int) -> None:
        self._slot_s = max(contents.last_s - contents.first_s, 1e-3) / count
        self._centres = contents.first_s + (np.arange(count) + 0.5) * self._slot_s
        self._apart = np.full(count, self._slot_s)  # maximum distance of a picture from its time, s
        self._chosen: dict[int, tuple[float, ImageFile | DepthPicture]] = {}
        self._times: list[Floats] = []
        self._problem = ""
        self._is_late = False  # whether its video begins before its first key frame

    def add(self, images: Images) -> None:
        """Take the pictures that are nearer to a time than those found so far."""
        times = images.times_s
        self._times.append(times)
        for slot, centre in enumerate(self._centres.tolist()):
            nearest = int(np.abs(times - centre).argmin())
            apart = abs(float(times[nearest]) - centre)
            if apart < self._apart[slot]:
                try:
                    picture = _small(images, nearest)
                except NotYetDecodable:
                    self._is_late = True
                    continue
                except DecodeError as error:
                    self._problem = str(error)
                    continue
                self._chosen[slot] = float(times[nearest]), picture
                self._apart[slot] = apart

    @property
    def problem(self) -> str:
        """Return what could not be shown; empty: nothing."""
        if self._is_late and not self._problem:
            return "pictures before the first key frame of its video are not shown"
        return self._problem

    def pictures(self, topic: Topic) -> Pictures:
        """Return the chosen pictures in order of time."""
        # A picture of a slow camera may be the nearest to several times.
        chosen = {self._chosen[slot][0]: self._chosen[slot][1] for slot in sorted(self._chosen)}
        scale = DepthScale.of([p for p in chosen.values() if isinstance(p, DepthPicture)])
        drawn = [
            (at, coloured(p, scale) if isinstance(p, DepthPicture) else p)
            for at, p in chosen.items()
        ]
        is_depth = any(isinstance(p, DepthPicture) for p in chosen.values())
        times = np.concatenate(self._times)
        return Pictures(topic, times, drawn, scale if is_depth else None)


def _small(images: Images, number: int) -> ImageFile | DepthPicture:
    """Return a picture that is small enough to be kept.

    Raises:
        DecodeError: it cannot be decoded.
    """
    depth = images.depth(number)
    return shrunk(images.picture(number), _WIDTH) if depth is None else depth.shrunk(_WIDTH)
