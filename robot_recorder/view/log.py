"""The way into a Rerun recording: columns of many samples on two time axes, and what holds all the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import rerun as rr

from robot_recorder.model.arrays import Floats, Places
from robot_recorder.model.errors import RecorderError

TIME, CLOCK = "episode_time", "clock"  # since the episode's start; the robot's clock, UTC
_STREAMS = "streams"
PATIENCE_S = 60.0


class NotTaken(RecorderError):
    """What is logged is not taken any more. Rerun's library then never ends a process by itself."""


class RerunLog:
    """One recording."""

    def __init__(self, recording: rr.RecordingStream, start_ns: int) -> None:
        """
        Args:
            start_ns: where time 0 is on the robot's clock.
        """
        self.recording = recording
        self._start_ns = start_ns
        # When something was logged is of no interest, and would be two more axes to choose from.
        recording.set_log_tick_enabled(False)
        recording.set_log_time_enabled(False)

    def send(self, path: str, times_s: Floats, *columns: rr.ComponentColumnList) -> None:
        """Log samples.

        Args:
            times_s: float64[n], since the episode's start.
            columns: n rows each.
        """
        since = np.rint(times_s * 1e9).astype(np.int64)
        axes = (
            rr.TimeColumn(TIME, duration=since.astype("timedelta64[ns]")),
            rr.TimeColumn(CLOCK, timestamp=(since + self._start_ns).astype("datetime64[ns]")),
        )
        self.recording.send_columns(path, axes, [c for parts in columns for c in parts])

    def flush(self) -> None:
        """Wait until all is taken, so that what waits in memory for a slow disk or viewer stays little.

        Raises:
            NotTaken: it is not.
        """
        try:
            self.recording.flush(timeout_sec=PATIENCE_S)
        except RuntimeError as error:
            raise NotTaken(
                f"nothing is taken any more: is the disk full, or was the viewer closed? ({error})"
            ) from error

    def once(self, path: str, *archetypes: Any) -> None:
        """Log what holds at all times."""
        self.recording.log(path, *archetypes, static=True)


def entity(*parts: str) -> str:
    """The path of an entity, whatever its parts are called."""
    return str(rr.new_entity_path(list(parts)))


def stream_entity(stream: str, *parts: str) -> str:
    """The path of something that belongs to a stream."""
    return entity(_STREAMS, stream, *parts)


def thinned(times_s: Floats, rate_hz: float) -> Places:
    """Which samples to keep so that there are at most so many a second."""
    slots = np.floor(times_s * rate_hz)
    return np.flatnonzero(np.diff(slots, prepend=np.nan) != 0)
