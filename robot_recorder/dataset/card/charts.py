"""The charts of a card as SVG, 360 units wide, so that they are readable on a phone."""

from __future__ import annotations

import math

import numpy as np

from robot_recorder.dataset.card.about import OUTCOMES, About, outcomes_of
from robot_recorder.dataset.card.blocks import UNKNOWN, cut, ms
from robot_recorder.report.html_text import Html, element

_ACROSS, _MOST_BARS = 360, 12


def draw_charts(about: About) -> tuple[Html, ...]:
    """Return the charts with their titles."""
    charts = [("Outcomes by task", _bars(about)), ("Lengths of episodes", _histogram(about))]
    if any(s.p50_ms is not None for s in about.streams.values()):
        charts.append(("Skew of each stream", _skews(about)))
    return tuple(element("figure", element("figcaption", t), c) for t, c in charts)


def _svg(height: float, label: str, *content: object) -> Html:
    return element(
        "svg", content, viewBox=f"0 0 {_ACROSS} {height:g}", role="img", aria_label=label
    )


def _text(x: float, y: float, text: str, kind: str = "") -> Html:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=kind or None)


def _rect(x: float, y: float, width: float, height: float, kind: str, title: str = "") -> Html:
    return element("rect", element("title", title) if title else None, x=f"{x:.1f}", y=f"{y:.1f}",
                   width=f"{max(width, 0):.1f}", height=f"{height:.1f}", class_=kind)  # fmt: skip


def _bars(about: About) -> Html:
    """Draw how many episodes of each task succeeded, failed, or have no label."""
    groups, drawn, y = about.tasks, [], 0.0
    most = max(len(episodes) for _, _, episodes in groups)
    for task, sentence, episodes in groups[:_MOST_BARS]:
        name, counts, x = task or sentence or UNKNOWN, outcomes_of(episodes), 0.0
        drawn.append(_text(0, y + 12, cut(name, 34)))
        drawn.append(_text(_ACROSS, y + 12, f"{len(episodes):,}", "end soft"))
        for outcome, count in zip(OUTCOMES, counts):
            width = _ACROSS * count / most
            if count:
                drawn.append(_rect(x, y + 18, width - 1, 12, outcome, f"{count:,} {outcome}"))
            x += width
        y += 42
    if len(groups) > _MOST_BARS:
        drawn.append(_text(0, y + 12, f"… and {len(groups) - _MOST_BARS:,} more tasks", "soft"))
        y += 24
    for at, (outcome, count) in enumerate(zip(OUTCOMES, outcomes_of(about.episodes))):
        drawn.append(_rect(at * 120, y + 3, 10, 10, outcome))
        drawn.append(_text(at * 120 + 16, y + 12, f"{count:,} {outcome}", "soft"))
    return _svg(y + 18, "Outcomes by task", drawn)


def _histogram(about: About) -> Html:
    """Draw how many episodes have which length."""
    seconds = np.array([e.length for e in about.episodes]) / about.schema.rate_hz
    span = max(float(seconds.max() - seconds.min()), 0.1)
    few = min(max(math.ceil(2 * math.sqrt(len(seconds))), 3), 10)
    step = next(m * 10.0**p for p in range(-2, 8) for m in (1, 2, 5) if span / (m * 10.0**p) <= few)
    first = math.floor(seconds.min() / step)
    bins = max(math.floor(seconds.max() / step) - first + 1, 1)
    counts = np.bincount((np.floor(seconds / step) - first).astype(int), minlength=bins)
    width, top, height = _ACROSS / max(bins, 6), 18.0, 130.0
    drawn = []
    for at, count in enumerate(counts.tolist()):
        tall, x = height * count / counts.max(), at * width
        drawn.append(_rect(x + 1, top + height - tall, width - 2, tall, "bar"))
        if count:
            drawn.append(_text(x + width / 2, top + height - tall - 5, f"{count:,}", "middle soft"))
    drawn.append(_rect(0, top + height, bins * width, 1, "line"))
    for at in range(0, bins + 1, 1 if bins <= 5 else 2):
        end = "end" if at * width > _ACROSS - 10 else "middle" if at else ""
        drawn.append(
            _text(at * width, top + height + 16, f"{(first + at) * step:g}", f"{end} soft")
        )
    drawn.append(_text(bins * width / 2, top + height + 34, "length, s", "middle soft"))
    return _svg(top + height + 40, "Lengths of episodes", drawn)


def _skews(about: About) -> Html:
    """Draw p50 to p95 of every stream's skew, and its maximum, on a logarithmic axis."""
    rows, found = about.streams, [s.max_ms for s in about.streams.values() if s.max_ms]
    low, high = -2, max(math.ceil(math.log10(max(found, default=1.0))), 0)
    left, right, bottom = 128.0, _ACROSS - 8.0, 20.0 * len(rows) + 4

    def x(ms: float) -> float:
        share = (math.log10(max(ms, 10.0**low)) - low) / (high - low)
        return left + min(share, 1.0) * (right - left)

    drawn = []
    for power in range(low, high + 1):
        drawn.append(_rect(x(10.0**power), 0, 1, bottom, "line"))
        drawn.append(_text(x(10.0**power), bottom + 14, f"{10.0**power:g}", "middle soft"))
    for at, (name, stream) in enumerate(rows.items()):
        y, p50, p95, most = 20.0 * at + 4, stream.p50_ms, stream.p95_ms, stream.max_ms
        drawn.append(element("g", element("title", name), _text(0, y + 11, cut(name, 20))))
        if p50 is None or p95 is None or most is None:
            drawn.append(_text(left + 6, y + 11, UNKNOWN, "soft"))
            continue
        told = f"p50 {ms(p50)} ms, p95 {ms(p95)} ms, maximum {ms(most)} ms"
        drawn.append(_rect(x(p95), y + 6.5, x(most) - x(p95), 1, "most"))
        drawn.append(_rect(x(most) - 1, y + 3, 2, 8, "most"))
        drawn.append(_rect(x(p50), y + 3, max(x(p95) - x(p50), 3), 8, "bar", told))
    drawn.append(
        _text((left + right) / 2, bottom + 32, "ms: p50 to p95, and maximum", "middle soft")
    )
    return _svg(bottom + 38, "Skew of each stream", drawn)
