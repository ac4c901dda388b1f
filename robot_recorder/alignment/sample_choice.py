"""Choose samples for ticks: pure functions of stamps, receive times and the stream's policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.model.arrays import Floats, Int64s, Places
from robot_recorder.model.streams import Policy, StreamConfig

try:  # part of the package that is compiled where it can be: a tenth of the cost
    from robot_recorder.alignment._choice import choose as _choose
    from robot_recorder.alignment._choice import pick as _pick
except ImportError:
    _choose = _pick = None

FRESH, INTERPOLATED, HELD, MISSING = (int(s) for s in SampleStatus)
NONE = -1
NEVER = 2**62
_RULES = {Policy.NEAREST: 0, Policy.PREVIOUS: 1, Policy.LINEAR: 2, Policy.SLERP: 2, Policy.NONE: 3}


@dataclass
class SampleChoice:
    """The samples chosen for n ticks.

    Attributes:
        status: uint8[n], SampleStatus.
        first: intp[n], place of the chosen sample in the buffer; -1: none.
        second: intp[n], place of the later sample to interpolate with, valid if INTERPOLATED.
    """

    status: npt.NDArray[np.uint8]
    first: Places
    second: Places


def choose_from(
    config: StreamConfig,
    stamps: Int64s,
    receives: Int64s,
    rising: bool,
    ticks: Int64s,
    wait_ns: int,
    deadline_ns: int,
) -> tuple[SampleChoice, Places, Int64s]:
    """Choose samples for ticks.

    Args:
        config: gives policy and tolerance.
        stamps, receives: int64[m], of the samples in order of arrival, ns.
        rising: whether stamps are strictly rising.
        ticks: int64[n], ns, rising.
        wait_ns, deadline_ns: as for ``available``.

    Returns:
        The choice, and what ``available`` returns.
    """
    if rising and _choose is not None:
        status, found = np.empty(len(ticks), np.uint8), np.empty((4, len(ticks)), np.int64)
        rule = wait_ns, deadline_ns, _RULES[config.policy], min(config.tolerance_ns, NEVER)
        _choose(stamps, receives, ticks, status, found, *rule)
        first, second, count, passed = found
        return SampleChoice(status, first, second), count, passed
    count, passed = available(stamps, receives, ticks, wait_ns, deadline_ns)
    around_them = neighbours(stamps, rising, ticks, count)
    return choose(config, stamps, ticks, *around_them), count, passed


def needed(
    numbers: Int64s, stamps: Int64s, ticks: Int64s, choice: SampleChoice
) -> tuple[Int64s, Int64s, Floats]:
    """Return which samples a choice needs, and how ticks are made of them.

    Args:
        numbers, stamps: int64[m], of the samples that the choice refers to; numbers are rising.
        ticks: int64[n], ns.
        choice: of n ticks.

    Returns:
        Numbers of the samples needed, int64[k], rising; the places among them of the chosen sample of
        each tick, and of the one to interpolate with, int64[2, n], -1: none; and where between these
        two the tick is, float64[n], 0 to 1.
    """
    places, shares = np.empty((2, len(ticks)), np.int64), np.empty(len(ticks))
    status, first, second = choice.status, choice.first, choice.second
    if _pick is not None:
        found = _pick(numbers, stamps, ticks, status, first, second, places, shares)
        return np.frombuffer(found, np.int64), places, shares
    places[:], shares[:] = NONE, 0
    chosen, both = status != MISSING, status == INTERPOLATED
    first, second = first[chosen], second[both]
    wanted = np.zeros(len(numbers), dtype=bool)
    wanted[first] = wanted[second] = True
    row = np.cumsum(wanted) - 1
    places[0, chosen], places[1, both] = row[first], row[second]
    start = stamps[choice.first[both]]
    shares[both] = (ticks[both] - start) / (stamps[second] - start)
    return numbers[wanted], places, shares


def available(
    stamps: Int64s, receives: Int64s, ticks: Int64s, wait_ns: int, deadline_ns: int
) -> tuple[Places, Int64s]:
    """Return how many of the samples, in order of arrival, each tick may choose from.

    These are the samples received until one is stamped ``wait_ns`` after the tick, or until the
    deadline.

    Args:
        stamps, receives: int64[m], of the samples, ns.
        ticks: int64[n], ns.
        wait_ns: how far the newest stamp must be after the tick.
        deadline_ns: how long after a tick a sample may be received.

    Returns:
        Numbers of samples, intp[n]; and receive times at which the first condition was met,
        int64[n], NEVER if it has not been met.
    """
    passed = np.maximum.accumulate(stamps) - wait_ns
    by_watermark = np.searchsorted(passed, ticks, "left") + 1
    by_deadline = np.searchsorted(receives, ticks + deadline_ns, "left")
    return np.minimum(by_watermark, by_deadline), np.append(receives, NEVER)[by_watermark - 1]


def neighbours(stamps: Int64s, rising: bool, ticks: Int64s, count: Places) -> tuple[Places, Places]:
    """Return the places of the last sample at or before each tick and the first at or after it.

    Args:
        stamps: int64[m], ns.
        rising: whether stamps are in order.
        ticks: int64[n], ns.
        count: intp[n], how many samples each tick may choose from.
    """
    if rising:
        after = np.searchsorted(stamps, ticks, "left")
        exact = np.searchsorted(stamps, ticks, "right") > after
        before = np.minimum(np.where(exact, after, after - 1), count - 1)
        return before, np.where(after < count, after, NONE)
    pairs = [around(stamps, tick, np.arange(n)) for tick, n in zip(ticks.tolist(), count.tolist())]
    return np.array([p[0] for p in pairs]), np.array([p[1] for p in pairs])


def around(stamps: Int64s, tick_ns: int, places: Places) -> tuple[int, int]:
    """``neighbours`` for one tick and samples in any order.

    Args:
        stamps: int64[m], ns.
        tick_ns: the tick.
        places: samples that the tick may choose from.
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
    """Choose by the stream's policy between the samples before and after each tick."""
    policy, tolerance = config.policy, config.tolerance_ns
    has_before, has_after = before != NONE, after != NONE
    # Without a neighbour, any place will do: the masks leave it out.
    since = ticks - stamps[before] if len(stamps) else ticks
    until = stamps[after] - ticks if len(stamps) else ticks
    first, second = before.copy(), after
    status = np.where(has_before, HELD, MISSING).astype(np.uint8)
    exact = has_before & (since == 0)
    status[exact] = FRESH
    if policy in (Policy.NEAREST, Policy.PREVIOUS):
        status[has_before & (since <= tolerance)] = FRESH
    if policy is Policy.NEAREST:
        # Of two equally near samples take the earlier one, which does not leak the future.
        later = has_after & ~exact & (until <= tolerance) & (~has_before | (until < since))
        status[later], first[later] = FRESH, after[later]
    elif policy in (Policy.LINEAR, Policy.SLERP):
        between = has_before & has_after & ~exact & (since + until <= tolerance)
        status[between] = INTERPOLATED
    return SampleChoice(status, first, second)


def choose_one(
    config: StreamConfig, stamps: Int64s, tick_ns: int, before: int, after: int
) -> tuple[int, int, int]:
    """``choose`` for one tick: without arrays it costs a fifth.

    Returns:
        status, first, second, as in SampleChoice.
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
