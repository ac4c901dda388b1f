"""Read the finished episodes below a root directory: the entrance of the Python API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.model.errors import BagError


class Root:
    """The finished episodes below a root directory, oldest id first. Read-only.

    Attributes:
        path: the root directory.
        problems: why episodes could not be opened, by directory name; filled while iterating.
    """

    def __init__(self, path: Path) -> None:
        """Use an existing root directory; ``open_root`` checks that it exists."""
        self.path = path
        self.problems: dict[str, str] = {}
        self._store = EpisodeStore(path)

    def __len__(self) -> int:
        return len(self._store.paths())

    def __iter__(self) -> Iterator[Episode]:
        """Yield the episodes that can be opened; ``problems`` names the others."""
        self.problems = {}
        for path in self._store.paths():
            try:
                yield Episode.open(path)
            except BagError as error:
                self.problems[path.name] = str(error)

    def __getitem__(self, id: str) -> Episode:
        """Return an episode by its id.

        Raises:
            BagError: there is no such episode; the message names the nearest ids.
        """
        return Episode.open(self._store.find(id))


def open_root(path: str | Path) -> Root:
    """Open the root directory of a recorder.

    Raises:
        BagError: it is not a directory.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise BagError(f"{path} is not a directory: give the root directory of a recorder")
    return Root(path)
