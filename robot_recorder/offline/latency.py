"""Estimate the remaining latency of streams from events that several of them see: motion, contact.

A stream's changes between samples (for images: optical flow in a grid of cells) are regressed on
the changes of a faster stream, the reference, over the same time spans, shifted in time. The shift
that explains most is the latency. Even for a slow camera, it is far more precise than one period.
The confidence interval is a jackknife over parts of the recordings.

Sources: time delay by maximum likelihood of shifted signals: Knapp & Carter, "The generalized
correlation method for estimation of time delay", IEEE TASSP 24, 1976. Jackknife: Quenouille, "Notes
on bias in estimation", Biometrika 43, 1956. Optical flow: Farneback, "Two-frame motion estimation
based on polynomial expansion", SCIA 2003 (OpenCV's).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robot_recorder.episodes.episode import Episode
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_MS, Role, StreamConfig
from robot_recorder.offline.activity import Activity, activities
from robot_recorder.offline.plan import Plan

_SHIFTS_MS = np.arange(-100.0, 201.0, 2.0)
_REACH_NS = 250 * NS_PER_MS  # the reference must cover this much time around a sample
_PARTS = 8  # parts of a recording for the jackknife
_DIRECTIONS = 8  # principal components kept of the reference's values
_RIDGE = 1e-3
_LEAST_FIT = 0.2  # least share of changes explained; below, the streams see different events
_SURE_MS = 5.0  # largest half width of the interval for a proposal
_LEAST_STEPS = 5 * _DIRECTIONS


@dataclass(frozen=True)
class LatencyEstimate:
    """The latency of one stream relative to another.

    Attributes:
        stream: name of the stream.
        reference: name of the stream it was compared with.
        profile_ms: latency that the profile already subtracts from its stamps, ms.
        remaining_ms: latency left after that, ms; negative: early.
        pm_ms: half width of the 95 % interval, ms.
        fit: share of the stream's changes that the reference explains at that shift, 0 to 1.
    """

    stream: str
    reference: str
    profile_ms: float
    remaining_ms: float
    pm_ms: float
    fit: float

    @property
    def known(self) -> bool:
        """Whether the estimate is precise enough to act upon."""
        return self.fit >= _LEAST_FIT and self.pm_ms <= _SURE_MS

    @property
    def doubt(self) -> str:
        """Why the estimate is not precise enough; empty: it is."""
        if self.fit < _LEAST_FIT:
            return "they do not see the same events"
        return "" if self.known else "not sure yet: give more episodes"

    @property
    def proposal(self) -> str:
        """The line to write into the profile; empty: no change needed, or the estimate is unsure."""
        if not self.known or abs(self.remaining_ms) <= max(self.pm_ms, 1.0):
            return ""
        return (
            f"{self.stream}: latency_ms: {self.profile_ms + self.remaining_ms:.1f} "
            f"(now {self.profile_ms:g}; against {self.reference})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "known": self.known, "proposal": self.proposal}


def estimate_latencies(
    recordings: Sequence[tuple[Episode, Plan]],
    reference: str = "",
    progress: Callable[[float], None] = lambda share: None,
) -> list[LatencyEstimate]:
    """Estimate the latency of every stream that sees the same events as a faster one.

    Args:
        recordings: bags of one robot with their plans; more of them narrow the intervals.
        reference: name of the stream to compare with; empty: the one with the best estimate.
        progress: called with the share of the recordings read so far, 0 to 1.

    Raises:
        BagError: a recording cannot be read.
        ConfigError: the reference does not exist, or its values never change.
    """
    found = []
    for number, (episode, plan) in enumerate(recordings):
        found.append(activities(episode, plan))
        progress((number + 1) / len(recordings))
    configs = {s.name: s for _, plan in recordings for s in plan.aligned}
    names = [n for n in configs if any(n in a for a in found)]
    if reference and reference not in names:
        raise ConfigError(f"'{reference}' has no values that change; there are {', '.join(names)}")
    estimates = []
    for name in names:
        others = [reference] if reference else _candidates(name, names, configs, found)
        tried = [
            e for other in others if other != name
            if (e := _estimate(configs[name], other, found)) is not None
        ]  # fmt: skip
        if tried:
            estimates.append(
                min(tried, key=lambda e: (not e.known, e.pm_ms if e.known else -e.fit))
            )
    return estimates


def _candidates(
    name: str,
    names: list[str],
    configs: dict[str, StreamConfig],
    found: list[dict[str, Activity]],
) -> list[str]:
    """Return the observed streams that are fast enough to serve as a reference."""
    periods = {
        n: min(a[n].period_ns for a in found if n in a)
        for n in names
        # Commands precede the motion by the controller's delay; images have no values to use.
        if configs[n].role is Role.OBSERVATION and any(a[n].levels.size for a in found if n in a)
    }
    own = min(a[name].period_ns for a in found if name in a)
    return [n for n in periods if periods[n] < 0.7 * own]


@dataclass(frozen=True)
class _Products:
    """Sums of products for the regression, for every part of a recording and every shift.

    Attributes:
        squares: float64[parts, shifts, k, k], changes of the reference with themselves.
        mixed: float64[parts, shifts, k, m], changes of the reference with those of the stream.
        total: float64[parts], squared changes of the stream.
    """

    squares: np.ndarray
    mixed: np.ndarray
    total: np.ndarray

    def explained(self, leave_out: int = -1) -> tuple[np.ndarray, float]:
        """Return the squared changes explained, float64[shifts], and their total.

        Args:
            leave_out: part to leave out; negative: none.
        """
        kept = np.arange(len(self.total)) != leave_out
        squares, mixed = self.squares[kept].sum(axis=0), self.mixed[kept].sum(axis=0)
        size = squares.shape[-1]
        scale = np.trace(squares, axis1=1, axis2=2)[:, np.newaxis, np.newaxis] / size
        solution = np.linalg.solve(squares + (_RIDGE * scale + 1e-300) * np.eye(size), mixed)
        explained = 2 * (solution * mixed).sum(axis=(1, 2))
        explained -= np.einsum("sim,sij,sjm->s", solution, squares, solution)
        return explained, float(self.total[kept].sum())


def _estimate(
    stream: StreamConfig, reference: str, found: list[dict[str, Activity]]
) -> LatencyEstimate | None:
    # Each recording has its own regression: what a camera sees may differ, the latency does not.
    products = [
        p for a in found if stream.name in a and reference in a
        if (p := _products(a[stream.name], a[reference])) is not None
    ]  # fmt: skip
    if not products:
        return None
    whole = [p.explained() for p in products]
    shift_ms, fit = _peak(whole)
    left_out = np.array(
        [
            _peak([*whole[:i], p.explained(part), *whole[i + 1 :]])[0]
            for i, p in enumerate(products)
            for part in range(_PARTS)
        ]
    )
    count = len(left_out)
    spread = np.sqrt((count - 1) / count * ((left_out - left_out.mean()) ** 2).sum())
    # A maximum at the edge of the tried shifts is no peak, even if all parts agree on it.
    inside = _SHIFTS_MS[0] < min(shift_ms, *left_out) and max(shift_ms, *left_out) < _SHIFTS_MS[-1]
    pm_ms = 2 * float(spread) if inside else float(_SHIFTS_MS[-1] - _SHIFTS_MS[0])
    return LatencyEstimate(
        stream.name, reference, stream.latency_ns / NS_PER_MS,
        round(shift_ms, 2), round(pm_ms, 2), round(fit, 3),
    )  # fmt: skip


def _peak(explained: list[tuple[np.ndarray, float]]) -> tuple[float, float]:
    """Return the shift that explains most, ms, and the share it explains, 0 to 1."""
    total = max(sum(t for _, t in explained), 1e-300)
    shares = np.sum([e for e, _ in explained], axis=0) / total
    top = int(np.argmax(shares))
    shift = float(_SHIFTS_MS[top])
    if 0 < top < len(shares) - 1:  # fit a parabola through three shifts
        before, here, after = shares[top - 1 : top + 2]
        bend = before - 2 * here + after
        if bend < 0:
            shift += 0.5 * (before - after) / bend * (_SHIFTS_MS[1] - _SHIFTS_MS[0])
    return shift, float(shares[top])


def _products(own: Activity, other: Activity) -> _Products | None:
    if not other.levels.size:
        return None
    first, last = other.times[0] + _REACH_NS, other.times[-1] - _REACH_NS
    inside = (own.starts >= first) & (own.ends <= last)
    if inside.sum() < _LEAST_STEPS:
        return None
    starts, ends, steps = own.starts[inside], own.ends[inside], own.steps[inside]
    levels = _directions(other.levels)
    origin = other.times[0]
    grid = (other.times - origin).astype(np.float64)

    def at(times: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(times - origin, grid, column) for column in levels.T], axis=1)

    shifts = [round(shift) * NS_PER_MS for shift in _SHIFTS_MS]
    moved = np.array([at(ends - shift) - at(starts - shift) for shift in shifts])
    parts = np.arange(len(steps)) * _PARTS // len(steps)
    mine = [(moved[:, parts == p], steps[parts == p]) for p in range(_PARTS)]
    return _Products(
        np.array([np.einsum("sni,snj->sij", m, m) for m, _ in mine]),
        np.array([np.einsum("sni,nk->sik", m, s) for m, s in mine]),
        np.array([(s**2).sum() for _, s in mine]),
    )


def _directions(levels: np.ndarray) -> np.ndarray:
    """Return the first principal components of values, float64[n, k], scaled to unit size."""
    centred = levels - levels.mean(axis=0)
    _, sizes, directions = np.linalg.svd(
        centred[:: max(1, len(centred) // 5000)], full_matrices=False
    )
    kept = directions[:_DIRECTIONS][sizes[:_DIRECTIONS] > 1e-6 * max(sizes[0], 1e-300)]
    reduced: np.ndarray = centred @ kept.T
    return reduced / max(float(reduced.std(axis=0).max(initial=0.0)), 1e-300)
