"""Stamps of a source clock, and the receive times of its messages."""

from __future__ import annotations

import numpy as np

NS = 1_000_000_000
T0 = 1_700_000_000 * NS


def stream(
    seconds: float = 30,
    rate_hz: float = 100,
    offset_s: float = 0.0,
    drift_ppm: float = 0.0,
    seed: int = 0,
    shortest_s: float = 0.002,
) -> tuple[np.ndarray, np.ndarray]:
    """Return stamps and receive times of a sensor with a mean delay of 2 ms above the shortest."""
    rng = np.random.default_rng(seed)
    at = np.arange(int(seconds * rate_hz)) / rate_hz
    stamps = T0 + ((at * (1 + drift_ppm * 1e-6) - offset_s) * NS).astype(np.int64)
    receives = T0 + ((at + shortest_s + rng.exponential(0.002, len(at))) * NS).astype(np.int64)
    return stamps, np.maximum.accumulate(receives)
