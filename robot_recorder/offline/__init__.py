"""Align and check bags, guess profiles. Entrance: ``frames_of``, ``check.check_episode``."""

from robot_recorder.offline.align import Alignment, frames_of

__all__ = ["Alignment", "frames_of"]
