"""Files of pages: an application's own, and those that all applications share."""

from __future__ import annotations

from pathlib import Path

from fastapi.staticfiles import StaticFiles

# Resolved: colcon build --symlink-install links every file, and links are not followed.
SHARED = Path(__file__).resolve().with_name("static")


class SharedStatic(StaticFiles):
    """Serves one folder of an application and, behind it, the shared one, below the same addresses.

    A shared module may so import ``./words.js``, which every application brings itself.
    """

    def __init__(self, own: Path) -> None:
        """Create it.

        Args:
            own: folder of the application; its files come first.
        """
        super().__init__(directory=own)
        self.all_directories = [own, SHARED]
