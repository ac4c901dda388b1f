"""Figures that both the checks of an episode and the health of a stream before it are judged by."""

from __future__ import annotations

from collections.abc import Sequence


def rate_off(
    measured_hz: float, declared_hz: float, count: int, drivers: Sequence[float] = ()
) -> float:
    """By which share of the declared rate a stream is too seldom or too often.

    Args:
        count: of the samples it was measured with; one more or less is chance.
        drivers: where several publish it, the share of the messages that each has: the declared rate may be each
            one's, or that of all together.
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
    """By how much stamps lie after their receipt.

    Args:
        offset_ms: by which stamps lie before their receipt, at best.
    """
    return max(-offset_ms, 0.0)


def delay_ms(offset_ms: float) -> float:
    """By how much stamps lie before their receipt, at best."""
    return max(offset_ms, 0.0)
