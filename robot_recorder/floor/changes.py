"""Tell a station agent which episodes changed: an empty file per changed episode below ``.agent/changed``.

Whoever changes an episode, the recorder above all, must not wait for the agent or its database.
A mark that a power cut costs is made up for by the agent's next look at all episodes.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from robot_recorder.episodes.episode import Episode

AGENT = ".agent"
_CHANGED = "changed"


class ChangeMarks:
    """The marks below one root. Any thread and process may use them."""

    def __init__(self, root: Path) -> None:
        """Use the marks of a root; nothing is created yet."""
        self._folder = root / AGENT / _CHANGED

    def make(self) -> None:
        """Create their folder, which is what makes others set marks.

        Raises:
            OSError: it cannot be created.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        above = os.stat(self._folder.parent.parent)
        for folder in (self._folder.parent, self._folder):  # the recorder may be another user
            with suppress(PermissionError):
                if os.geteuid() == 0:
                    os.chown(folder, above.st_uid, above.st_gid)
                os.chmod(folder, above.st_mode & 0o777)

    def changed(self, path: Path, episode: Episode | None = None) -> None:
        """Mark an episode: a listener of ``EpisodeStore``. It never raises.

        Args:
            path: a directory under the root.
            episode: not needed.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        flags |= os.O_NONBLOCK  # a FIFO in its place would keep the recorder waiting for a reader
        with suppress(OSError, ValueError):  # no agent, or a full disk: the agent looks at all
            os.close(os.open(self._folder / path.name, flags, 0o600))

    def take(self) -> list[str]:
        """Return the names of the marked episodes, and remove their marks.

        They are removed before anybody reads the episodes, so a later change is marked again.
        """
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return []
        taken = []
        for name in names:
            with suppress(OSError):
                os.unlink(self._folder / name)
                taken.append(name)
        return taken
