"""Makes simulated sensors realistic: clock offset, latency, jitter and noise per stream."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from robot_recorder.configuration.yaml_source import YamlMap
from robot_recorder.model.streams import NS_PER_MS


@dataclass(frozen=True)
class Timing:
    """How one sensor stamps and delivers.

    Attributes:
        offset_ns: added to the true sampling time to give the stamp.
        drift_ppm: how much too fast the sensor's own clock runs.
        latency_ns: from sampling to publishing.
        jitter_ns: standard deviation of the latency.
        noise: standard deviation of the noise added to readings, in their unit.
    """

    offset_ns: int = 0
    latency_ns: int = 0
    jitter_ns: int = 0
    noise: float = 0.0
    drift_ppm: float = 0.0

    def stamp_ns(self, sampled_ns: int, began_ns: int) -> int:
        """Return the stamp of a sample.

        Args:
            sampled_ns: true time of sampling.
            began_ns: when its clock was off by ``offset_ns`` only.
        """
        drifted_ns = round((sampled_ns - began_ns) * self.drift_ppm / 1e6)
        return sampled_ns + self.offset_ns + drifted_ns


def parse_timings(text: str, source: str) -> dict[str, Timing]:
    """Parse the timing of each sensor, by name.

    Args:
        text: YAML.
        source: name of the file, for errors.

    Raises:
        ConfigError: the text is invalid; names file, line, key and fix.
    """
    keys = ("offset_ms", "latency_ms", "jitter_ms")
    timings = {}
    for name, entry in YamlMap.parse(text, source).items():
        entry.allow((*keys, "noise", "drift_ppm"))
        times = (round((entry.number(k, 0.0) or 0.0) * NS_PER_MS) for k in keys)
        noise, drift_ppm = (entry.number(k, 0.0) or 0.0 for k in ("noise", "drift_ppm"))
        timings[name] = Timing(*times, noise, drift_ppm)
    return timings


class Delivery:
    """A queue that delays messages by random latencies; messages of one stream keep their order."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._waiting: list[tuple[int, int, Callable[[bytes], None], bytes]] = []
        self._order = itertools.count()
        self._last: dict[Callable[[bytes], None], int] = {}

    def send(
        self, publish: Callable[[bytes], None], data: bytes, sampled_ns: int, timing: Timing
    ) -> None:
        """Schedule ``publish(data)`` for the time at which this sensor would deliver."""
        jitter = self._random.normal(0.0, timing.jitter_ns) if timing.jitter_ns else 0.0
        due = sampled_ns + max(0, round(timing.latency_ns + jitter))
        due = max(due, self._last.get(publish, 0))  # a driver sends its messages in order
        self._last[publish] = due
        heapq.heappush(self._waiting, (due, next(self._order), publish, data))

    def run(self, now_ns: int) -> None:
        """Publish all messages that are due."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            _, _, publish, data = heapq.heappop(self._waiting)
            publish(data)
