"""What a dataset holds: its features, one row per frame, and what is known of each episode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from enum import Enum
from typing import Any

STATUS, SKEW, TICK, MISSING = "sync.status", "sync.skew_s", "sync.tick_s", "sync.missing"


class FeatureKind(str, Enum):
    """What a feature is made of."""

    VALUES = "values"
    WINDOW = "window"
    PICTURE = "picture"
    DEPTH = "depth"


@dataclass(frozen=True)
class Calibration:
    """How a camera projects, for pictures of one size.

    Attributes:
        fx, fy, cx, cy: pixels.
        model: of the distortion, as in sensor_msgs/CameraInfo; empty: unknown.
        distortion: its coefficients, which do not depend on the size.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    model: str = ""
    distortion: tuple[float, ...] = ()

    def cut(self, left: float, top: float) -> Calibration:
        """Return that of pictures whose left and top pixels were cut off."""
        return replace(self, cx=self.cx - left, cy=self.cy - top)

    def scaled(self, x: float, y: float) -> Calibration:
        """Return that of pictures resized by these factors; a pixel's centre is at half a pixel."""
        return replace(
            self, fx=self.fx * x, fy=self.fy * y,
            cx=(self.cx + 0.5) * x - 0.5, cy=(self.cy + 0.5) * y - 0.5,
        )  # fmt: skip

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Calibration:
        """Read what ``asdict`` made plain."""
        return cls(**{**plain, "distortion": tuple(plain["distortion"])})


@dataclass(frozen=True)
class Feature:
    """One column of a dataset.

    Attributes:
        name: such as ``observation.state``.
        kind: what it is made of.
        shape: of one frame: (k,) values; (rows, k) of a window; (height, width, 3) of a picture;
            (height, width) of distances.
        names: of the k values, ``<stream>/<value>`` with units; of a picture its dimensions.
        streams: names of the streams that it is made of.
        dtype: numpy name of its type.
        calibration: of its pictures, as they are in the dataset; None: unknown.
    """

    name: str
    kind: FeatureKind
    shape: tuple[int, ...]
    names: tuple[str, ...]
    streams: tuple[str, ...]
    dtype: str = "float32"
    calibration: Calibration | None = None

    @property
    def is_camera(self) -> bool:
        """Return whether it holds pictures."""
        return self.kind in (FeatureKind.PICTURE, FeatureKind.DEPTH)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Feature:
        """Read what ``asdict`` made plain."""
        return cls(
            plain["name"], FeatureKind(plain["kind"]), tuple(plain["shape"]), tuple(plain["names"]),
            tuple(plain["streams"]), plain["dtype"],
            Calibration.from_dict(plain["calibration"]) if plain["calibration"] else None,
        )  # fmt: skip


@dataclass(frozen=True)
class Schema:
    """The features of all episodes of a dataset.

    Attributes:
        robot: name of the robot; several are joined by a comma.
        rate_hz: frames per second; with a reference stream its nominal rate.
        reference: stream with a frame at each of its samples; empty: a fixed rate.
        features: in the order of the export profile.
        streams: aligned streams, the columns of ``sync.status`` and ``sync.skew_s``.
    """

    robot: str
    rate_hz: float
    reference: str
    features: tuple[Feature, ...]
    streams: tuple[str, ...]

    @property
    def cameras(self) -> tuple[Feature, ...]:
        """Return the features that hold pictures."""
        return tuple(f for f in self.features if f.is_camera)

    @property
    def values(self) -> tuple[Feature, ...]:
        """Return the features that are rows of numbers."""
        return tuple(f for f in self.features if f.kind is FeatureKind.VALUES)

    @property
    def columns(self) -> tuple[Feature, ...]:
        """Return all columns that are numbers, in order: features, windows with their masks, sync."""
        found: list[Feature] = []
        for feature in self.features:
            if feature.is_camera:
                continue
            found.append(feature)
            if feature.kind is FeatureKind.WINDOW:
                found += window_columns(feature)
        kind, streams = FeatureKind.VALUES, self.streams
        missing = tuple(f.name for f in self.values)
        found += [
            Feature(STATUS, kind, (len(streams),), streams, streams, "int8"),
            Feature(SKEW, kind, (len(streams),), streams, streams),
            Feature(TICK, kind, (1,), ("since the episode's start (s)",), (), "float64"),
        ]
        if missing:
            found.append(Feature(MISSING, kind, (len(missing),), missing, (), "bool"))
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> Schema:
        """Read what ``to_dict`` wrote."""
        features = tuple(Feature.from_dict(f) for f in plain["features"])
        return cls(
            plain["robot"], plain["rate_hz"], plain["reference"], features, tuple(plain["streams"])
        )


def window_columns(window: Feature) -> tuple[Feature, ...]:
    """Return the columns beside a window: which rows are samples, how many, and when they were.

    Their names begin with ``sync.``: trainers take what begins with ``observation.`` as input.
    """
    rows, kind = window.shape[0], FeatureKind.WINDOW
    stem = window.name.removesuffix(".window")
    stem = f"sync.{stem.removeprefix('observation.').removeprefix('operator.')}"
    names = tuple(f"row {n}" for n in range(rows))
    return (
        Feature(f"{stem}.window_mask", kind, (rows,), names, window.streams, "bool"),
        Feature(f"{stem}.window_count", kind, (1,), ("samples",), window.streams, "int32"),
        Feature(f"{stem}.window_time_s", kind, (rows,), names, window.streams),
    )


@dataclass(frozen=True)
class SourceFacts:
    """What is known of the episode that a dataset's episode was made of; empty: unknown.

    Attributes:
        id: of the source episode; for bags of others the directory's name.
        path: where it was read from.
        task, instruction: what was demonstrated.
        outcome, cause, verdict, reason: as in the catalogue, as text.
        operator, robot: who drove which.
        start_ns: when it started, ns since the epoch.
        recorder: version of the recorder that recorded it.
        annotations: (name, start, end) s since the episode's start.
    """

    id: str
    path: str
    task: str = ""
    instruction: str = ""
    outcome: str = ""
    cause: str = ""
    verdict: str = ""
    reason: str = ""
    operator: str = ""
    robot: str = ""
    start_ns: int = 0
    recorder: str = ""
    annotations: tuple[tuple[str, float, float], ...] = ()

    @property
    def sentence(self) -> str:
        """Return what to do, as a sentence; the task's id if it has no instruction."""
        return self.instruction or self.task or "unknown"

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SourceFacts:
        """Read what ``asdict`` made plain."""
        known = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        known["annotations"] = tuple((n, float(a), float(b)) for n, a, b in plain["annotations"])
        return cls(**known)


Runs = tuple[tuple[int, int], ...]
"""Some frames of a source: first and last + 1 of consecutive ones."""


@dataclass(frozen=True)
class DatasetEpisode:
    """One episode of a dataset: some frames of a source episode.

    Attributes:
        index: its number in the dataset.
        first_frame: number of its first frame in the dataset.
        facts: of its source.
        split: train, val or test.
        content: SHA-256 of the source's data files; empty: not computed.
        piece: its number among the episodes of the same source, 0 unless it was cut.
        runs: its frames among the aligned ones of the source.
    """

    index: int
    first_frame: int
    facts: SourceFacts
    split: str
    content: str
    piece: int
    runs: Runs

    @property
    def length(self) -> int:
        """Return the number of its frames."""
        return sum(end - first for first, end in self.runs)


@dataclass(frozen=True)
class ShardSpec:
    """A part of a dataset that is written at once, by one process.

    Attributes:
        number: of the shard; files are named after it.
        episodes: its episodes, in order.
        schema: of the dataset.
        sentences: all instructions of the dataset; a task's number is its place here.
        subtasks: names of all annotations of the dataset; a subtask's number is its place here.
    """

    number: int
    episodes: tuple[DatasetEpisode, ...]
    schema: Schema
    sentences: tuple[str, ...] = ()
    subtasks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ShardResult:
    """What was written of a shard.

    Attributes:
        files: paths relative to the dataset.
        episodes: by episode index, what the dataset's metadata needs of it.
        counted: figures that are summed up for the user, such as repeated pictures.
    """

    files: tuple[str, ...]
    episodes: dict[int, dict[str, Any]]
    counted: dict[str, int] = field(default_factory=dict)


def sentences_of(episodes: Iterable[DatasetEpisode]) -> tuple[str, ...]:
    """Return all different instructions, in the order of their first episode."""
    return tuple(dict.fromkeys(e.facts.sentence for e in episodes))
