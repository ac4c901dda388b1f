"""How far the values of frames are from what a take knows to be true."""

from __future__ import annotations

import numpy as np

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.model.arrays import Floats
from robot_recorder.model.streams import NS_PER_S, Policy
from robot_recorder.offline.align import Alignment
from support.robot_takes import Take

_BETWEEN = (Policy.LINEAR, Policy.SLERP)


def errors(take: Take, aligned: Alignment, start_ns: int) -> dict[str, float]:
    """Return the largest error by stream, as a share of what is tolerated.

    Args:
        take: with the truth.
        aligned: frames of its bag.
        start_ns: when the take started, robot clock.

    Raises:
        AssertionError: a stream has not the names that it should have.
    """
    found = {}
    policies = {stream.name: stream.policy for stream in aligned.streams}
    for part in take.parts:
        if part.truth is None:
            continue
        column, names = aligned.column(part.stream), aligned.names(part.stream)
        missing = [name for name in part.values if name not in names]
        assert not missing, f"{part.stream} has no {missing}; it has {names[:40]}"
        good = (column.status <= SampleStatus.INTERPOLATED) & _inside(take, aligned, start_ns)
        assert good.mean() > 0.8, f"{part.stream}: {good.mean():.2f} of its frames have a sample"
        # Between samples the truth is that of the tick, otherwise that of the sample.
        between = policies[part.stream] in _BETWEEN
        at = aligned.frames.ticks if between else column.stamps
        wanted = part.truth((at[good] - start_ns) / NS_PER_S)
        values = column.values[good][:, [names.index(name) for name in part.values]]
        found[part.stream] = float(_distance(values, wanted).max()) / part.tolerance
    return found


def _inside(take: Take, aligned: Alignment, start_ns: int) -> np.ndarray:
    """Return bool[n]: whether a frame is within the take."""
    seconds = (aligned.frames.ticks - start_ns) / NS_PER_S
    return np.asarray((seconds > 0.1) & (seconds < take.seconds - 0.1))


def _distance(values: Floats, wanted: Floats) -> Floats:
    return np.abs(values - wanted)
