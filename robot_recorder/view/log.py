"""Writes to a Rerun recording: columns of samples on two time axes, and static values."""

from __future__ import annotations

from typing import Any

import numpy as np
import rerun as rr

from robot_recorder.model.arrays import Floats
from robot_recorder.model.errors import RecorderError

TIME, CLOCK = "episode_time", "clock"  # since the episode's start; robot clock, UTC
_STREAMS = "streams"
PATIENCE_S = 60.0


class NotTaken(RecorderError):
    """The recording's target accepts no more data.

    Rerun's library would then never let the process end.
    """


class RerunLog:
    """A Rerun recording."""

    def __init__(self, recording: rr.RecordingStream, start_ns: int) -> None:
        """Write to a recording.

        Args:
            recording: the recording.
            start_ns: the episode's start, which is time 0, on the robot's clock.
        """
        self.recording = recording
        self._start_ns = start_ns
        # The time of logging is of no interest, and would add two time axes to choose from.
        recording.set_log_tick_enabled(False)
        recording.set_log_time_enabled(False)

    def send(self, path: str, times_s: Floats, *columns: rr.ComponentColumnList) -> None:
        """Log samples.

        Args:
            path: of the entity.
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
        """Wait until all data is written, so that little waits in memory for a slow disk or viewer.

        Raises:
            NotTaken: the target does not accept it.
        """
        try:
            self.recording.flush(timeout_sec=PATIENCE_S)
        except RuntimeError as error:
            raise NotTaken(
                "the recording cannot be written: is the disk full, or was the viewer closed? "
                f"({error})"
            ) from error

    def once(self, path: str, *archetypes: Any) -> None:
        """Log values that hold at all times."""
        self.recording.log(path, *archetypes, static=True)


def entity(*parts: str) -> str:
    """Return the path of an entity, escaping its parts."""
    return str(rr.new_entity_path(list(parts)))


def stream_entity(stream: str, *parts: str) -> str:
    """Return the path of an entity that belongs to a stream."""
    return entity(_STREAMS, stream, *parts)
