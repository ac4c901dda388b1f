"""Remaining latency of streams, from what several of them see at once: motion, contact, a moving picture.

A stream's changes from sample to sample (of a picture: its optical flow, in a grid of cells) are
explained by the changes of a faster stream, the reference, over the same spans, shifted in time. The
shift that explains most is the latency; a slow camera so gives far better than one period. The
interval is a jackknife over parts of the recordings.

Sources: time delay by maximum likelihood of shifted signals: Knapp & Carter, "The generalized correlation
method for estimation of time delay", IEEE TASSP 24, 1976. Jackknife: Quenouille, "Notes on bias in
estimation", Biometrika 43, 1956. Optical flow: Farneback, "Two-frame motion estimation based on
polynomial expansion", SCIA 2003 (OpenCV's).
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
_REACH_NS = 250 * NS_PER_MS  # a reference must be known this far around a sample
_PARTS = 8  # of a recording, for the interval
_DIRECTIONS = 8  # of the reference's values that are told apart: those that vary most
_RIDGE = 1e-3
_LEAST_FIT = 0.2  # share of the changes explained; below, the two do not see the same
_SURE_MS = 5.0  # half width; beyond, an estimate is no proposal
_LEAST_STEPS = 5 * _DIRECTIONS


@dataclass(frozen=True)
class LatencyEstimate:
    """One stream against another.

    Attributes:
        profile_ms: the latency that is taken off its stamps already.
        remaining_ms: by how much it is late all the same; negative: early.
        pm_ms: half width of the 95 % interval.
        fit: share of its changes that the reference explains at that shift.
    """

    stream: str
    reference: str
    profile_ms: float
    remaining_ms: float
    pm_ms: float
    fit: float

    @property
    def known(self) -> bool:
        """Good enough to act upon."""
        return self.fit >= _LEAST_FIT and self.pm_ms <= _SURE_MS

    @property
    def doubt(self) -> str:
        """Why it is not good enough; empty when it is."""
        if self.fit < _LEAST_FIT:
            return "they do not see the same events"
        return "" if self.known else "not sure yet: give it more episodes"

    @property
    def proposal(self) -> str:
        """What to write into the profile; empty: what it has is right, or nothing can be said."""
        if not self.known or abs(self.remaining_ms) <= max(self.pm_ms, 1.0):
            return ""
        return (
            f"{self.stream}: latency_ms: {self.profile_ms + self.remaining_ms:.1f} "
            f"(now {self.profile_ms:g}; against {self.reference})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "known": self.known, "proposal": self.proposal}


def estimate_latencies(
    recordings: Sequence[tuple[Episode, Plan]],
    reference: str = "",
    progress: Callable[[float], None] = lambda share: None,
) -> list[LatencyEstimate]:
    """The latency of every stream that sees something of what a faster one sees.

    Args:
        recordings: of one robot; more of them narrow the intervals.
        reference: name of the stream to compare with; empty: for each the one that says most.
        progress: told the share of the recordings that has been read.

    Raises:
        BagError: one can not be read.
        ConfigError: there is no such stream, or nothing of it changes.
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
    """Streams that are faster, so that they can say what happened in between."""
    periods = {
        n: min(a[n].period_ns for a in found if n in a)
        for n in names
        # A command is early by what the controller needs; a picture explains nothing.
        if configs[n].role is Role.OBSERVATION and any(a[n].levels.size for a in found if n in a)
    }
    own = min(a[name].period_ns for a in found if name in a)
    return [n for n in periods if periods[n] < 0.7 * own]


@dataclass(frozen=True)
class _Products:
    """Of every part of a recording what a regression at every shift is made of.

    Attributes:
        squares: float64[parts, shifts, k, k], of the reference's changes.
        mixed: float64[parts, shifts, k, m], of these with the stream's.
        total: float64[parts], the stream's changes squared.
    """

    squares: np.ndarray
    mixed: np.ndarray
    total: np.ndarray

    def explained(self, leave_out: int = -1) -> tuple[np.ndarray, float]:
        """float64[shifts], how much of the stream's changes the reference's explain; and all there is."""
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
    # What a posture looks like may differ between recordings; only the latency is common to all.
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
    # At the edge of what was tried there is no peak, whatever the parts agree on.
    inside = _SHIFTS_MS[0] < min(shift_ms, *left_out) and max(shift_ms, *left_out) < _SHIFTS_MS[-1]
    pm_ms = 2 * float(spread) if inside else float(_SHIFTS_MS[-1] - _SHIFTS_MS[0])
    return LatencyEstimate(
        stream.name, reference, stream.latency_ns / NS_PER_MS,
        round(shift_ms, 2), round(pm_ms, 2), round(fit, 3),
    )  # fmt: skip


def _peak(explained: list[tuple[np.ndarray, float]]) -> tuple[float, float]:
    """Shift in ms that explains most, and the share it explains."""
    total = max(sum(t for _, t in explained), 1e-300)
    shares = np.sum([e for e, _ in explained], axis=0) / total
    top = int(np.argmax(shares))
    shift = float(_SHIFTS_MS[top])
    if 0 < top < len(shares) - 1:  # the peak lies between two
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
    """float64[n, k], the values along the directions in which they vary most."""
    centred = levels - levels.mean(axis=0)
    _, sizes, directions = np.linalg.svd(
        centred[:: max(1, len(centred) // 5000)], full_matrices=False
    )
    kept = directions[:_DIRECTIONS][sizes[:_DIRECTIONS] > 1e-6 * max(sizes[0], 1e-300)]
    reduced: np.ndarray = centred @ kept.T
    return reduced / max(float(reduced.std(axis=0).max(initial=0.0)), 1e-300)
