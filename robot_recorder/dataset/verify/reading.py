"""Read files of a dataset that may be damaged; what cannot be read is a defect."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robot_recorder.dataset.tables import pyarrow
from robot_recorder.dataset.verify.findings import COPY, Defects, first_line

INFO, EPISODES, OLD_EPISODES = "meta/info.json", "meta/episodes", "meta/episodes.jsonl"
OWN = ("timestamp", "frame_index", "episode_index", "index", "task_index")
NUMBERS = {"bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64",
           "uint8", "uint16", "uint32", "uint64"}  # fmt: skip
BUFFER = 1 << 20  # bytes read at a time
_RECORD = (
    "delete it and its episodes, or record them again; call finalize() at the end of a recording"
)
_ANEW = "copy it from where the dataset came from, or write it anew"


@dataclass(frozen=True)
class StoredFeature:
    """A feature as info.json describes it.

    Attributes:
        size: width and height of a camera's pictures; None: unknown.
        facts: what it says of its videos.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size: tuple[int, int] | None
    facts: dict[str, Any]

    @property
    def is_number(self) -> bool:
        """Return whether it has statistics of its values."""
        return self.dtype in NUMBERS

    @property
    def is_camera(self) -> bool:
        """Return whether it is pictures."""
        return self.dtype in ("video", "image")

    @property
    def is_depth(self) -> bool:
        """Return whether its pictures are depths."""
        return bool(self.facts.get("is_depth_map") or self.facts.get("video.is_depth_map"))

    @property
    def width(self) -> int:
        """Return the number of values of a row."""
        return math.prod(self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the lengths of the lists that a row is stored as; a shape of (1,) is no list."""
        return () if self.shape == (1,) else self.shape


@dataclass(frozen=True)
class OpenedSet:
    """A dataset whose description could be read."""

    root: Path
    thorough: bool
    defects: Defects
    version: tuple[int, int]
    fps: float
    features: dict[str, StoredFeature]
    info: dict[str, Any]

    @property
    def add(self) -> Callable[..., None]:
        """Add a defect."""
        return self.defects.add

    @property
    def is_old(self) -> bool:
        """Return whether it is v2.0 or v2.1."""
        return self.version[0] == 2

    @property
    def list_name(self) -> str:
        """Return where the list of episodes is."""
        return OLD_EPISODES if self.is_old else EPISODES

    def name(self, path: Path) -> str:
        """Return the path relative to the dataset."""
        return path.relative_to(self.root).as_posix()

    def of(self, dtype: str) -> list[StoredFeature]:
        """Return the features of this type."""
        return [f for f in self.features.values() if f.dtype == dtype]

    def paths(self, kind: str, keys: Sequence[dict[str, Any]]) -> list[str]:
        """Return paths relative to the dataset; empty: there is no valid one.

        Args:
            kind: ``data_path`` or ``video_path``.
            keys: what is filled in.
        """
        template, known = self.info.get(kind), dict[tuple[Any, ...], str]()
        for key in keys:
            values = tuple(key.values())
            if values not in known:
                known[values] = _filled(template, key)
        if "" in known.values():
            self.add(INFO, f"{kind} {template!r} names no file", f"correct {kind}")
        return [known[tuple(key.values())] for key in keys]


def _filled(template: Any, key: dict[str, Any]) -> str:
    try:
        path = str(template.format(**key))
    except (AttributeError, LookupError, ValueError, TypeError):
        return ""
    return "" if path.startswith("/") or ".." in path.split("/") else path


def read_json(root: Path, name: str, defects: Defects, fix: str = _ANEW) -> Any:
    """Return the object in a JSON file; None: it cannot be read as one."""
    try:
        found = json.loads((root / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        defects.add(name, "it is missing", fix)
    except (OSError, ValueError, RecursionError) as error:
        defects.add(name, "it is no JSON", fix, example=first_line(error))
    else:
        if isinstance(found, dict):
            return found
        defects.add(name, "it is no object", fix)
    return None


def json_lines(ds: OpenedSet, name: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of a line each, up to the first damaged one."""
    read = 0
    try:
        with (ds.root / name).open(encoding="utf-8") as file:
            for line in file:
                found = json.loads(line) if line.strip() else {}
                if not isinstance(found, dict):
                    raise ValueError("it is no object")
                if found:
                    yield found
                read += 1
    except FileNotFoundError:
        ds.add(name, "it is missing", _ANEW)
    except (OSError, ValueError, RecursionError) as error:
        ds.add(name, f"line {read + 1} is no JSON", _ANEW, example=first_line(error))


def damage() -> tuple[type[Exception], ...]:
    """Return the errors that a damaged table raises; names in it may be no UTF-8."""
    return pyarrow()[0].ArrowException, OSError, UnicodeDecodeError


def open_table(ds: OpenedSet, path: Path) -> Any:
    """Return the opened file; None: it cannot be read."""
    name = ds.name(path)
    try:
        return pyarrow()[1].ParquetFile(path, buffer_size=BUFFER)
    except FileNotFoundError:
        ds.add(name, "it is missing", COPY)
    except damage() as error:
        if _last_bytes(path) == b"PAR1":
            ds.add(name, "it cannot be read", COPY, example=first_line(error))
        else:
            ds.add(name, "its footer is missing: its writer was stopped before closing it", _RECORD)
    return None


def _last_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(-4, 2)
            return file.read()
    except OSError:  # it is shorter, or cannot be read at all
        return b""


def read_table(ds: OpenedSet, path: Path, skipped: tuple[str, ...] = ()) -> Any:
    """Return a table without columns whose names begin so; None: it cannot be read."""
    file = open_table(ds, path)
    if file is None:
        return None
    try:
        return file.read([n for n in file.schema_arrow.names if not n.startswith(skipped)])
    except damage() as error:
        ds.add(ds.name(path), "it cannot be read", COPY, example=first_line(error))
        return None


def is_list(kind: Any) -> bool:
    """Return whether an Arrow type is a list."""
    types = pyarrow()[0].types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))
