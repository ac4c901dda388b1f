"""Episodes below a root directory: reading, labels, trash, locks, recovery. Entrance: ``Episode``, ``open_root``."""

from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.root import Root, open_root

__all__ = ["Episode", "Root", "open_root"]
