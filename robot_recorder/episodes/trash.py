"""The trash of a root: discarded episodes and their retention.

When an episode was discarded is stored beside its data; the file system's times are not used.
"""

from __future__ import annotations

import json
import logging
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from robot_recorder.bags.files import (
    FILE_MODE,
    folder_bytes,
    is_real_directory,
    is_regular,
    move_into,
    read_regular,
    replace_text,
)
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.episodes.episode import Episode, robot_in
from robot_recorder.model.errors import BagError
from robot_recorder.model.ids import PARTIAL, checked_id
from robot_recorder.model.streams import NS_PER_S

TRASH = ".trash"
MOMENT_FILE = "discarded.json"
# What an episode's directory holds besides its data; the others are left by a crash while one was written.
OWN_FILES = frozenset(
    (METADATA_FILE, MOMENT_FILE, f"{METADATA_FILE}.tmp", f"{MOMENT_FILE}.tmp"),
)
_SEEN_FILE = ".seen"  # when the housekeeping ran last
_MOST_DAYS = 1e6  # forever
_DAY_NS = 86_400 * NS_PER_S
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class TrashLimits:
    """The limits of the trash.

    Attributes:
        days: retention of an episode, whatever its size, days.
        max_bytes: above this size a warning is shown; nothing is deleted early.
    """

    days: float = 7.0
    max_bytes: float = 20e9


@dataclass(frozen=True)
class Moment:
    """When an episode was discarded.

    Attributes:
        at_ns: ns since the epoch.
        days: retention that was promised then, days.
    """

    at_ns: int
    days: float

    def until_ns(self, days: float = 0.0) -> int:
        """Return when its retention ends, ns: the longer of the promised and ``days``."""
        return self.at_ns + round(min(max(self.days, days), _MOST_DAYS) * _DAY_NS)

    @property
    def until(self) -> str:
        """Return when its promised retention ends, formatted."""
        return utc(self.until_ns())


def utc(at_ns: int) -> str:
    """Format a time in UTC, to the minute; "for ever": too far away for a date."""
    try:
        at = datetime.fromtimestamp(at_ns / NS_PER_S, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return "for ever"
    return f"{at:%Y-%m-%d %H:%M} UTC"


class Trash:
    """The discarded episodes of one root directory."""

    def __init__(self, root: Path, file_mode: int = FILE_MODE) -> None:
        """Use the trash of a root; it is created with the first discarded episode."""
        self.folder = root / TRASH
        self._file_mode = file_mode
        self.bytes = 0  # last measured size, updated since

    def paths(self) -> list[Path]:
        """Return the directories, first discarded first; those of unknown time come in front."""
        return [path for *_, path in sorted(self._aged())]

    def _aged(self) -> list[tuple[int, float, Path]]:
        found = []
        for path in self._folders():
            moment = self.moment(path)
            with suppress(OSError):
                found.append((moment.at_ns if moment else 0, path.stat().st_mtime, path))
        return found

    def _folders(self) -> list[Path]:
        if not is_real_directory(self.folder):
            return []
        try:
            return [p for p in self.folder.iterdir() if p.name[0] != "." and is_real_directory(p)]
        except OSError:
            return []

    def find(self, id: str) -> Path | None:
        """Return the directory of an id, finished or ``.partial``; None: it is not here."""
        for name in (id, f"{id}{PARTIAL}"):
            if is_real_directory(path := self.folder / name):
                return path
        return None

    def last(self, robot: str = "") -> Path:
        """Return the directory that was discarded last.

        Args:
            robot: only this robot's episodes; empty: any robot's.

        Raises:
            BagError: there is none.
        """
        for path in reversed(self.paths()):
            if not robot or _robot_of(path) == robot:
                return path
        whose = f" of robot {robot}" if robot else ""
        raise BagError(f"there is no episode{whose} in the trash {self.folder}")

    def moment(self, path: Path) -> Moment | None:
        """Read when a directory was discarded; None: not noted, or noted for another name."""
        try:
            content = json.loads(read_regular(path / MOMENT_FILE, _MOST_BYTES))
            if content["name"] != path.name:
                return None
            days = float(content["days"])
            return Moment(int(content["discarded_ns"]), days) if days >= 0 else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def put(self, path: Path, now_ns: int, days: float) -> Path:
        """Move a directory to the trash.

        Args:
            path: the directory.
            now_ns: current time, ns since the epoch.
            days: promised retention, days.

        Returns:
            Its directory in the trash.

        Raises:
            OSError: it cannot be moved; it stays in place.
        """
        target = move_into(path, self.folder, file_mode=self._file_mode)
        self._write(target, Moment(now_ns, days))
        self.bytes += _bytes(target)
        with suppress(OSError):  # the next housekeeping notes it
            self.see(now_ns)
        return target

    def take(self, path: Path) -> None:
        """Remove the note of the discarding from a directory that was moved back."""
        self.bytes = max(0, self.bytes - _bytes(path))
        with suppress(OSError):  # a leftover note has no effect outside of the trash
            (path / MOMENT_FILE).unlink(missing_ok=True)

    def _write(self, path: Path, moment: Moment) -> None:
        content = {"name": path.name, "discarded_ns": moment.at_ns, "days": moment.days}
        try:
            replace_text(path / MOMENT_FILE, json.dumps(content))
        except (
            OSError
        ) as error:  # kept longer, never shorter: the time starts once it can be written
            logging.getLogger(__name__).warning(
                "the note when %s was discarded cannot be written (%s): it is kept longer",
                path,
                error,
            )

    def measure(self) -> None:
        """Measure the size of the trash; slow with many files."""
        self.bytes = sum(map(_bytes, self._folders()))

    def excess(self, limits: TrashLimits) -> str:
        """Return a warning that the trash is too large, and what to do; empty: it is not."""
        if self.bytes <= limits.max_bytes:
            return ""
        root = self.folder.parent
        return (
            f"the trash of {root} holds {self.bytes / 1e9:.1f} GB, more than trash_max_gb "
            f"({limits.max_bytes / 1e9:g} GB), and keeps each for {limits.days:g} days: delete episodes "
            f"with robot-recorder trash {root} --delete ID, or raise trash_max_gb"
        )

    def delete(self, path: Path) -> bool:
        """Delete a directory in the trash; return whether it is gone."""
        size = _bytes(path)
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            return False
        self.bytes = max(0, self.bytes - size)
        return True

    def empty(self, now_ns: int, days: float) -> list[Path]:
        """Delete the directories whose promised retention and ``days`` have both passed.

        For directories discarded at an unknown or future time, the retention starts now.

        Args:
            now_ns: current time, ns since the epoch.
            days: the configured retention, days.

        Returns:
            The deleted directories.
        """
        gone = []
        for path in self.paths():
            moment = self.moment(path)
            if moment is None or moment.at_ns > now_ns:
                self._write(path, Moment(now_ns, days))
            elif now_ns > moment.until_ns(days) and self.delete(path):
                gone.append(path)
        return gone

    def shift(self, by_ns: int) -> None:
        """Shift all discarding times by ``by_ns``, after the wall clock was set by that much."""
        for path in self._folders():
            moment = self.moment(path)
            if moment is not None:
                self._write(path, Moment(moment.at_ns + by_ns, moment.days))

    def seen(self) -> int | None:
        """Return when any process called ``see`` last, ns since the epoch; None: unknown."""
        try:
            return int(read_regular(self.folder / _SEEN_FILE, _MOST_BYTES))
        except (OSError, ValueError):
            return None

    def see(self, now_ns: int) -> None:
        """Note that the housekeeping runs now, if there is a trash.

        Raises:
            OSError: the note cannot be written.
        """
        if is_real_directory(self.folder):
            replace_text(self.folder / _SEEN_FILE, str(now_ns))


def _bytes(path: Path) -> int:
    try:
        return folder_bytes(path)
    except OSError as error:
        logging.getLogger(__name__).warning("the size of %s cannot be measured: %s", path, error)
        return 0


def name_outside(path: Path) -> str:
    """Return the name that a directory in the trash had before; its id counts only if it fits."""
    if path.suffix == PARTIAL:
        return path.name
    try:
        id = Episode.open(path).id
    except BagError:
        id = path.name
    numbered = path.name.removeprefix(id)  # a number follows if the name was in the trash already
    fits = path.name.startswith(id) and re.fullmatch(r"(-\d+)?", numbered)
    return checked_id(id if fits else path.name)


def _robot_of(path: Path) -> str:
    """Return the robot of an episode."""
    try:
        if is_regular(path / METADATA_FILE):
            return Episode.open(path).facts["robot"]
    except (BagError, KeyError):  # not finished, or made by another program
        pass
    return robot_in(path.name)
