"""Figures that both the checks of an episode and the health of a stream before it are judged by."""

from __future__ import annotations


def rate_off(measured_hz: float, declared_hz: float, count: int) -> float:
    """By which share of the declared rate a stream is too seldom or too often.

    Args:
        count: of the samples it was measured with; one more or less is chance.
    """
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
