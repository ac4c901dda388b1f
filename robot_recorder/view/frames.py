"""Logs an episode's aligned frames, which are known before the whole bag is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import rerun as rr

from robot_recorder.alignment.frames import FrameColumn, SampleStatus
from robot_recorder.content.contents import Contents
from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.model.streams import NS_PER_MS, NS_PER_S
from robot_recorder.offline.align import Alignment, align_episode
from robot_recorder.view.curves import PALETTE
from robot_recorder.view.log import RerunLog, entity

FINE, HELD, MISSING = "fine", "held", "missing"
_COLOURS = ((70, 85, 75), (230, 140, 0), (220, 50, 50))
ROOT = "alignment"


@dataclass(frozen=True)
class EpisodeFrames:
    """Frames of a whole episode, at the rate of its profile.

    Attributes:
        alignment: None: nothing can be aligned.
        problem: why there is none, or why it ends early; empty: no problem.
    """

    alignment: Alignment | None
    problem: str = ""

    @classmethod
    def of(
        cls, contents: Contents, progress: Callable[[float], None] = lambda share: None
    ) -> EpisodeFrames:
        """Align an episode.

        Args:
            contents: of the episode.
            progress: called with the share done, 0 to 1.
        """
        if contents.plan is None:
            return cls(None)  # Contents.problems says why
        try:
            clock = contents.plan.frame_clock(None, "")
            found = align_episode(contents.episode, contents.plan, clock, progress)
        except (BagError, ConfigError) as error:
            return cls(None, f"not aligned: {error}")
        return cls(found, found.problem)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Return the names of the values, with units, by aligned stream."""
        found = self.alignment
        return {s.name: n for s, n in zip(found.streams, found.value_names)} if found else {}

    def values(self, stream: str, names: tuple[str, ...]) -> Floats | None:
        """Return a stream's values at the ticks where it has a sample.

        Returns:
            float64[n, len(names)]; None: there are no values of these names.
        """
        found = self.alignment
        for number, config in enumerate(found.streams if found else ()):
            if config.name == stream and found and found.value_names[number] == names:
                column = found.frames.columns[number]
                values = column.values[column.status != SampleStatus.MISSING]
                return values if len(values) else None
        return None


def skew_entity(stream: str) -> str:
    """Return the entity path of a stream's skew."""
    return entity(ROOT, stream, "skew")


def status_entity(stream: str) -> str:
    """Return the entity path of a stream's status in the frames."""
    return entity(ROOT, stream, "status")


def log_frames(log: RerunLog, frames: EpisodeFrames, start_ns: int) -> None:
    """Log each stream's skew in ms and whether it was fine, held or missing."""
    found = frames.alignment
    if found is None or not len(found.frames):
        return
    times_s = (found.frames.ticks - start_ns) / NS_PER_S
    pairs = zip(found.streams, found.frames.columns, strict=True)
    for number, (config, column) in enumerate(pairs):
        there = column.status != SampleStatus.MISSING
        skews = np.where(there, column.skews / NS_PER_MS, np.nan)
        path = skew_entity(config.name)
        log.once(path, rr.SeriesLines(names=config.name, colors=[PALETTE[number % len(PALETTE)]]))
        log.send(path, times_s, rr.Scalars.columns(scalars=skews))
        path = status_entity(config.name)
        log.once(path, rr.StateConfiguration(values=[FINE, HELD, MISSING], colors=list(_COLOURS)))
        changes, states = _changes(column)
        log.send(path, times_s[changes], rr.StateChange.columns(state=states))


def _changes(column: FrameColumn) -> tuple[np.ndarray, list[str]]:
    """Return the frames at which a stream's status changes, and its new status."""
    bad = np.maximum(column.status.astype(np.int64) - SampleStatus.INTERPOLATED, 0)
    changes = np.flatnonzero(np.diff(bad, prepend=-1))
    return changes, [(FINE, HELD, MISSING)[state] for state in bad[changes].tolist()]
