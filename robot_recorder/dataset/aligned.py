"""The aligned frames of one source episode on disk: written part by part, read as arrays.

They are made once per export and used by all of its parts, so that a bag is aligned once, and the
memory of a process does not grow with the length of an episode.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from robot_recorder.alignment.stream_decoder import widened
from robot_recorder.dataset.schema import Calibration, SourceFacts
from robot_recorder.model.streams import Role, SourceClockKind

SUMMARY = "summary.json"
_SAFE = str.maketrans({"/": "%2F", "%": "%25", ".": "%2E"})


@dataclass(frozen=True)
class SourceStream:
    """One aligned stream of a source.

    Attributes:
        name, topic, type, role: as in the robot profile.
        rate_hz: expected; None: unknown.
        names: of its values, with units.
        sort: name of how it is drawn, a ``Sort``.
        clock: that its stamps come from.
        window: whether its profile says that frames hold all of its samples.
        size: width and height of its pictures; None: it has none.
        encoding: of its pictures: ``jpeg <sampling>``, ``depth``, ``pixels``, or a codec of video.
        calibration: of its pictures as they were recorded; None: unknown.
        unreadable: chosen pictures that cannot be decoded; their frames say that they are missing.
        resized: chosen pictures of another size than the first; the same.
    """

    name: str
    topic: str
    type: str
    role: Role
    rate_hz: float | None
    names: tuple[str, ...]
    sort: str
    clock: SourceClockKind = SourceClockKind.ROBOT
    window: bool = False
    size: tuple[int, int] | None = None
    encoding: str = ""
    calibration: Calibration | None = None
    unreadable: int = 0
    resized: int = 0


@dataclass(frozen=True)
class SourceSummary:
    """What is known of an aligned source.

    Attributes:
        facts: of the episode.
        frames: number of aligned frames.
        rate_hz: of the frames; with a reference stream its nominal rate; None: unknown.
        reference: stream with a frame at each of its samples; empty: a fixed rate.
        streams: the aligned streams, in the order of the arrays' columns.
        profiled: whether the bag carried its robot's profile; else it was guessed.
        stamped: topics to be read in the order of their stamps, because log times are unusable.
        files: size in bytes and SHA-256 by name of the source's data files.
        metadata: SHA-256 of its metadata.yaml; empty: it has none.
        description: the robot's URDF; empty: the bag has none.
        problem: why it could not be read to its end; empty: it was.
        notes: sentences about what could not be used.
        arrays: type and shape by name.
    """

    facts: SourceFacts
    frames: int
    rate_hz: float | None
    reference: str
    streams: tuple[SourceStream, ...]
    profiled: bool
    stamped: tuple[str, ...]
    files: dict[str, tuple[int, str]]
    metadata: str
    description: str = ""
    problem: str = ""
    notes: tuple[str, ...] = ()
    arrays: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)

    def stream(self, name: str) -> SourceStream | None:
        """Return a stream; None: the source has none of this name."""
        return next((s for s in self.streams if s.name == name), None)

    @property
    def bytes(self) -> int:
        """Return the size of the source's data files."""
        return sum(size for size, _ in self.files.values())

    @property
    def content(self) -> str:
        """Return one SHA-256 for all data files: the file's own, or that of their list."""
        hashes = [digest for _, (_, digest) in sorted(self.files.items())]
        return hashes[0] if len(hashes) == 1 else "+".join(hashes)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> SourceSummary:
        """Read what ``asdict`` made plain."""
        values = {f.name: plain[f.name] for f in fields(cls)}
        values["facts"] = SourceFacts.from_dict(plain["facts"])
        values["streams"] = tuple(_stream(s) for s in plain["streams"])
        values["files"] = {name: (size, digest) for name, (size, digest) in plain["files"].items()}
        for name in ("stamped", "notes"):
            values[name] = tuple(plain[name])
        values["arrays"] = {n: (kind, tuple(shape)) for n, (kind, shape) in plain["arrays"].items()}
        return cls(**values)


def _stream(plain: dict[str, Any]) -> SourceStream:
    values = {**plain, "role": Role(plain["role"]), "names": tuple(plain["names"]),
              "clock": SourceClockKind(plain["clock"])}  # fmt: skip
    values["size"] = tuple(plain["size"]) if plain["size"] else None
    calibration = plain["calibration"]
    values["calibration"] = Calibration.from_dict(calibration) if calibration else None
    return SourceStream(**values)


class ArrayWriter:
    """Writes arrays row by row to files of a folder, one file each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._shapes: dict[str, tuple[str, tuple[int, ...]]] = {}

    def add(self, name: str, rows: np.ndarray) -> None:
        """Append rows to an array. Columns that earlier rows did not have are NaN in them."""
        if name not in self._files:
            self._files[name] = open(_path(self._folder, name), "w+b")
            self._shapes[name] = (rows.dtype.str, (0, *rows.shape[1:]))
        kind, shape = self._shapes[name]
        if rows.ndim == 2 and rows.shape[1] != shape[1]:
            width = max(rows.shape[1], shape[1])
            self._widen(name, width)
            rows, shape = widened(rows, width), (shape[0], width)
        self._files[name].write(np.ascontiguousarray(rows, dtype=kind).data)
        self._shapes[name] = (kind, (shape[0] + len(rows), *shape[1:]))

    def _widen(self, name: str, width: int) -> None:
        kind, shape = self._shapes[name]
        file = self._files[name]
        if shape[1] < width and shape[0]:
            file.seek(0)
            rows = np.frombuffer(file.read(), dtype=kind).reshape(shape)
            file.seek(0)
            file.write(np.ascontiguousarray(widened(rows, width)).data)

    def close(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """Close the files; return type and shape by name."""
        for file in self._files.values():
            file.close()
        return self._shapes


class AlignedSource:
    """The aligned frames of a source, read from its folder; arrays are mapped, not loaded.

    Attributes:
        summary: what is known of it.
    """

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            OSError: the folder is incomplete.
        """
        self._folder = folder
        self.summary = SourceSummary.from_dict(json.loads((folder / SUMMARY).read_text()))
        self._known: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return self.summary.frames

    def array(self, name: str) -> np.ndarray:
        """Return an array by its name.

        ``ticks`` int64[n], ns; ``status`` uint8[n, streams]; ``skews`` int64[n, streams], ns;
        ``numbers/<stream>`` int64[n] of a camera; ``values/<stream>`` float64[n, k]; and of a stream
        with a window ``splits/``, ``stamps/`` and ``samples/<stream>``, as in ``Window``.

        Raises:
            KeyError: it has no such array.
        """
        if name not in self._known:
            kind, shape = self.summary.arrays[name]
            empty = not all(shape)
            self._known[name] = (
                np.empty(shape, dtype=kind)
                if empty
                else np.memmap(_path(self._folder, name), dtype=kind, mode="r", shape=shape)
            )
        return self._known[name]

    def has(self, name: str) -> bool:
        """Return whether it has an array."""
        return name in self.summary.arrays


def write_summary(folder: Path, summary: SourceSummary) -> None:
    """Write what is known of a source, when all of its arrays are closed."""
    (folder / SUMMARY).write_text(json.dumps(asdict(summary)))


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name.translate(_SAFE)}.bin"
