"""The folder in which a dataset grows until it is whole."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.jobs import ALIGNED, DONE, HIDDEN, TRIES, mark
from robot_recorder.dataset.lock import LOCK, DatasetLock
from robot_recorder.dataset.swap import put_in_place
from robot_recorder.model.errors import ConfigError, RecorderError

_REQUEST, _BUSY = f"{HIDDEN}/request.json", f"{HIDDEN}/busy"


class Workspace:
    """The folder ``<target>.partial``.

    Attributes:
        target: where the dataset appears when it is whole.
        path: of the folder.
    """

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = target.with_name(f"{target.name}.partial")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder, and keep others from exporting to it meanwhile.

        Raises:
            ConfigError: another export is writing it.
        """
        (self.path / HIDDEN).mkdir(parents=True, exist_ok=True)
        with open(self.path / _BUSY, "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"{self.path}: another export is writing it; wait until it has ended"
                ) from error
            yield

    def begin(self, settings: Mapping[str, Any], old: DatasetLock | None) -> bool:
        """Keep what an interrupted export of the same kind left; delete what another one left.

        Args:
            settings: of this export, plain.
            old: of the dataset that is updated.

        Returns:
            Whether something was deleted.
        """
        update = hashlib.sha256(old.dump().encode()).hexdigest() if old else ""
        wanted = {"settings": dict(settings), "update": update}
        request = self.path / _REQUEST
        try:
            found = json.loads(request.read_text())
        except (FileNotFoundError, ValueError):
            found = None
        if found == wanted:
            return False
        for entry in self.path.iterdir():
            if entry.name != HIDDEN:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        for name in (ALIGNED, DONE, TRIES):
            shutil.rmtree(self.path / name, ignore_errors=True)
        mark(request, wanted)
        return found is not None

    def is_aligned(self, key: str) -> bool:
        """Return whether a source has been aligned."""
        return (self.path / ALIGNED / key).exists()

    def aligned(self, key: str) -> AlignedSource:
        """Return the aligned frames of a source."""
        return AlignedSource(self.path / ALIGNED / key)

    def finish(self, lock: DatasetLock) -> None:
        """Check the files, write the lock, and put the dataset in place.

        Raises:
            RecorderError: a file has another size than was written.
        """
        for name, (size, _) in lock.files.items():
            found = (self.path / name).stat().st_size
            if found != size:
                raise RecorderError(f"{self.path / name} has {found} bytes instead of {size}")
        for kept_no_longer in (ALIGNED, TRIES):
            shutil.rmtree(self.path / kept_no_longer, ignore_errors=True)
        (self.path / _REQUEST).unlink(missing_ok=True)
        (self.path / _BUSY).unlink(missing_ok=True)
        partial = self.path / f".{LOCK}.partial"
        partial.write_text(lock.dump(), encoding="utf-8")
        os.replace(partial, self.path / LOCK)
        put_in_place(self.path, self.target)
