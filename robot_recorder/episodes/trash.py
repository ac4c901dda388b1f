"""Discarded episodes: for how long each is kept, and who decides that.

When something was discarded is written beside its data, never guessed from the file system's times.
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
_SEEN_FILE = ".seen"  # when a housekeeper was here last, for the next one
_MOST_DAYS = 1e6  # for ever
_DAY_NS = 86_400 * NS_PER_S
_MOST_BYTES = 10_000


@dataclass(frozen=True)
class TrashLimits:
    """What is kept of what was discarded.

    Attributes:
        days: for how long, whatever its size.
        max_bytes: a larger trash is told of, with what to do; nothing is deleted for it.
    """

    days: float = 7.0
    max_bytes: float = 20e9


@dataclass(frozen=True)
class Moment:
    """When something was discarded.

    Attributes:
        at_ns: since the epoch.
        days: for how many it was promised to be kept.
    """

    at_ns: int
    days: float

    def until_ns(self, days: float = 0.0) -> int:
        """Before this it is not deleted: what was promised holds, whatever is configured now."""
        return self.at_ns + round(min(max(self.days, days), _MOST_DAYS) * _DAY_NS)

    @property
    def until(self) -> str:
        """``until_ns`` for people."""
        return utc(self.until_ns())


def utc(at_ns: int) -> str:
    """A time for people, to the minute."""
    try:
        at = datetime.fromtimestamp(at_ns / NS_PER_S, timezone.utc)
    except (OverflowError, ValueError, OSError):
        return "for ever"
    return f"{at:%Y-%m-%d %H:%M} UTC"


class Trash:
    """What was discarded below one root folder."""

    def __init__(self, root: Path, file_mode: int = FILE_MODE) -> None:
        self.folder = root / TRASH
        self._file_mode = file_mode
        self.bytes = 0  # as measured last, and changed since

    def paths(self) -> list[Path]:
        """Longest discarded first; of what nobody knows, before the others."""
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
        """What has this name here, also where it could not be finalised; None: nothing."""
        for name in (id, f"{id}{PARTIAL}"):
            if is_real_directory(path := self.folder / name):
                return path
        return None

    def last(self, robot: str = "") -> Path:
        """What was discarded last; of this robot, unless it is empty.

        Raises:
            BagError: there is nothing.
        """
        for path in reversed(self.paths()):
            if not robot or _robot_of(path) == robot:
                return path
        whose = f"of robot {robot} " if robot else ""
        raise BagError(f"there is nothing {whose}in the trash {self.folder}")

    def moment(self, path: Path) -> Moment | None:
        """When something in the trash was discarded; None: it is not written, or it is a copy."""
        try:
            content = json.loads(read_regular(path / MOMENT_FILE, _MOST_BYTES))
            if content["name"] != path.name:
                return None
            days = float(content["days"])
            return Moment(int(content["discarded_ns"]), days) if days >= 0 else None
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None

    def put(self, path: Path, now_ns: int, days: float) -> Path:
        """Move something here.

        Raises:
            OSError: it cannot be moved; it stays where it is.
        """
        target = move_into(path, self.folder, file_mode=self._file_mode)
        self._write(target, Moment(now_ns, days))
        self.bytes += _bytes(target)
        with suppress(OSError):  # the next housekeeper does
            self.see(now_ns)
        return target

    def take(self, path: Path) -> None:
        """Forget when something was discarded, after it has been moved back."""
        self.bytes = max(0, self.bytes - _bytes(path))
        with suppress(OSError):  # what is left of it says nothing elsewhere
            (path / MOMENT_FILE).unlink(missing_ok=True)

    def _write(self, path: Path, moment: Moment) -> None:
        content = {"name": path.name, "discarded_ns": moment.at_ns, "days": moment.days}
        try:
            replace_text(path / MOMENT_FILE, json.dumps(content))
        except OSError as error:  # its retention begins when this has room: later, never earlier
            logging.getLogger(__name__).warning(
                "when %s was discarded cannot be written (%s): it is kept longer", path, error
            )

    def measure(self) -> None:
        """See how large it is; takes its time."""
        self.bytes = sum(map(_bytes, self._folders()))

    def excess(self, limits: TrashLimits) -> str:
        """That it is larger than it should be, and what to do; empty: it is not."""
        if self.bytes <= limits.max_bytes:
            return ""
        root = self.folder.parent
        return (
            f"the trash of {root} holds {self.bytes / 1e9:.1f} GB, more than trash_max_gb "
            f"({limits.max_bytes / 1e9:g} GB), and keeps each for {limits.days:g} days: delete what nobody "
            f"wants back with robot-recorder trash {root} --delete ID, or raise trash_max_gb"
        )

    def delete(self, path: Path) -> bool:
        """Delete something here for good; whether it is gone."""
        size = _bytes(path)
        shutil.rmtree(path, ignore_errors=True)
        if path.exists():
            return False
        self.bytes = max(0, self.bytes - size)
        return True

    def empty(self, now_ns: int, days: float) -> list[Path]:
        """Delete what has been here for longer than was promised, and than ``days``.

        What nobody knows the moment of, or is from the future, begins its time here now.

        Returns:
            What is gone.
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
        """Move all moments, as after the clock was set: by that alone nothing gets older."""
        for path in self._folders():
            moment = self.moment(path)
            if moment is not None:
                self._write(path, Moment(moment.at_ns + by_ns, moment.days))

    def seen(self) -> int | None:
        """When ``see`` was called last, by whichever process; None: it is not known."""
        try:
            return int(read_regular(self.folder / _SEEN_FILE, _MOST_BYTES))
        except (OSError, ValueError):
            return None

    def see(self, now_ns: int) -> None:
        """Write down that somebody is here, where there is a trash.

        Raises:
            OSError: it cannot be written.
        """
        if is_real_directory(self.folder):
            replace_text(self.folder / _SEEN_FILE, str(now_ns))


def _bytes(path: Path) -> int:
    try:
        return folder_bytes(path)
    except OSError as error:
        logging.getLogger(__name__).warning("%s cannot be measured: %s", path, error)
        return 0


def name_outside(path: Path) -> str:
    """The name that something in the trash has had. What it says of itself is believed only if it fits."""
    if path.suffix == PARTIAL:
        return path.name
    try:
        id = Episode.open(path).id
    except BagError:
        id = path.name
    numbered = path.name.removeprefix(id)  # as where a namesake was in the trash already
    fits = path.name.startswith(id) and re.fullmatch(r"(-\d+)?", numbered)
    return checked_id(id if fits else path.name)


def _robot_of(path: Path) -> str:
    """Whose episode it is."""
    try:
        if is_regular(path / METADATA_FILE):
            return Episode.open(path).facts["robot"]
    except (BagError, KeyError):  # not finished, or somebody else's
        pass
    return robot_in(path.name)
