"""Figures used by both the checks of an episode and the health of a live stream."""

from __future__ import annotations

from collections.abc import Sequence


def rate_off(
    measured_hz: float, declared_hz: float, count: int, drivers: Sequence[float] = ()
) -> float:
    """Return by which share of the declared rate a stream is too slow or too fast.

    Args:
        measured_hz: measured rate, Hz.
        declared_hz: rate in the profile, Hz.
        count: number of samples it was measured with; one more or less is tolerated.
        drivers: share of the messages of each publisher, if there are several: the declared rate
            may be that of each one or of all together.
    """
    together = _rate_off(measured_hz, declared_hz, count)
    if len(drivers) < 2:
        return together
    each = [_rate_off(measured_hz * s, declared_hz, round(count * s)) for s in drivers]
    return min(together, max(each))


def _rate_off(measured_hz: float, declared_hz: float, count: int) -> float:
    chance = declared_hz / max(count, 1)
    return max(abs(measured_hz - declared_hz) - chance, 0.0) / declared_hz


def future_ms(offset_ms: float) -> float:
    """Return by how much timestamps lie after their receive times, ms.

    Args:
        offset_ms: smallest receive time minus timestamp, ms.
    """
    return max(-offset_ms, 0.0)


def delay_ms(offset_ms: float) -> float:
    """Return by how much timestamps lie before their receive times at least, ms."""
    return max(offset_ms, 0.0)
