"""Which samples of a stream a tick gets: pure functions of stamps, receipts and the stream's policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.model.arrays import Int64s, Places
from robot_recorder.model.streams import Policy, StreamConfig

FRESH, INTERPOLATED, HELD, MISSING = (int(s) for s in SampleStatus)
NONE = -1
NEVER = 2**62


@dataclass
class SampleChoice:
    """Of each tick its status, the sample it got, and of an interpolated one the next; places in the buffer."""

    status: npt.NDArray[np.uint8]
    first: Places
    second: Places


def available(
    stamps: Int64s, receives: Int64s, ticks: Int64s, wait_ns: int, deadline_ns: int
) -> tuple[Places, Int64s]:
    """How many of the samples, in order of arrival, each tick may choose from.

    Those received until one is stamped ``wait_ns`` after the tick, or until the deadline.

    Returns:
        intp[n]; int64[n], receipt of the sample that was so far after the tick, NEVER while there is none.
    """
    passed = np.maximum.accumulate(stamps) - wait_ns
    by_watermark = np.searchsorted(passed, ticks, "left") + 1
    by_deadline = np.searchsorted(receives, ticks + deadline_ns, "left")
    return np.minimum(by_watermark, by_deadline), np.append(receives, NEVER)[by_watermark - 1]


def neighbours(stamps: Int64s, rising: bool, ticks: Int64s, count: Places) -> tuple[Places, Places]:
    """Of each tick the last sample at or before it and the first at or after it.

    Args:
        rising: whether stamps are in order.
        count: how many samples each may choose from.
    """
    if rising:
        after = np.searchsorted(stamps, ticks, "left")
        exact = np.searchsorted(stamps, ticks, "right") > after
        before = np.minimum(np.where(exact, after, after - 1), count - 1)
        return before, np.where(after < count, after, NONE)
    pairs = [around(stamps, tick, np.arange(n)) for tick, n in zip(ticks.tolist(), count.tolist())]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def around(stamps: Int64s, tick_ns: int, places: Places) -> tuple[int, int]:
    """The same for one tick, of samples in any order.

    Args:
        places: of those it may choose from.
    """
    mine = stamps[places]
    before, after = places[mine <= tick_ns], places[mine >= tick_ns]
    return (
        int(before[stamps[before].argmax()]) if len(before) else NONE,
        int(after[stamps[after].argmin()]) if len(after) else NONE,
    )


def choose(
    config: StreamConfig, stamps: Int64s, ticks: Int64s, before: Places, after: Places
) -> SampleChoice:
    """By the stream's policy, of the samples before and after each tick."""
    policy, tolerance = config.policy, config.tolerance_ns
    has_before, has_after = before != NONE, after != NONE
    # Where there is none, any place will do: the masks leave it out.
    since = ticks - stamps[before] if len(stamps) else ticks
    until = stamps[after] - ticks if len(stamps) else ticks
    first, second = before.copy(), after
    status = np.where(has_before, HELD, MISSING).astype(np.uint8)
    exact = has_before & (since == 0)
    status[exact] = FRESH
    if policy in (Policy.NEAREST, Policy.PREVIOUS):
        status[has_before & (since <= tolerance)] = FRESH
    if policy is Policy.NEAREST:
        # Of two equally near ones the earlier: it can not leak the future.
        later = has_after & ~exact & (until <= tolerance) & (~has_before | (until < since))
        status[later], first[later] = FRESH, after[later]
    elif policy in (Policy.LINEAR, Policy.SLERP):
        between = has_before & has_after & ~exact & (since + until <= tolerance)
        status[between] = INTERPOLATED
    return SampleChoice(status, first, second)


def choose_one(
    config: StreamConfig, stamps: Int64s, tick_ns: int, before: int, after: int
) -> tuple[int, int, int]:
    """``choose`` for one tick, as a live robot asks: without arrays it costs a fifth.

    Returns:
        status, first, second, as in Choice.
    """
    policy, tolerance = config.policy, config.tolerance_ns
    since = tick_ns - int(stamps[before]) if before != NONE else NEVER
    until = int(stamps[after]) - tick_ns if after != NONE else NEVER
    status = HELD if before != NONE else MISSING
    if since == 0:
        return FRESH, before, after
    if policy in (Policy.NEAREST, Policy.PREVIOUS) and since <= tolerance:
        status = FRESH
    if policy is Policy.NEAREST and until <= tolerance and until < since:
        return FRESH, after, after
    between = policy in (Policy.LINEAR, Policy.SLERP) and since + until <= tolerance
    return INTERPOLATED if between else status, before, after
