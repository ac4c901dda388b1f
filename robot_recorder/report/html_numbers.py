"""Embeds curves in a page: base64 columns, small enough to send and exact enough to read values."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.content.thinning import halved
from robot_recorder.model.arrays import Floats
from robot_recorder.report.html_panels import Curve, Plot
from robot_recorder.report.html_text import Html
from robot_recorder.report.html_timeline import TimelineMark, span, stop

_NUMBERS = 1_300_000  # most numbers of all curves together
_FEWEST = 200  # points that a curve keeps at least
_STEPS = 65534  # codes of a column's range; one more stands for NaN
_SPIKY = 500  # a range this many times that of most values would make 16 bits too coarse for them


def embedded(data: EpisodeData, panels: Sequence[Plot], marks: Sequence[TimelineMark]) -> Html:
    """Return what the page's script draws, as JSON that is safe in a script element."""
    store = _Store(_thinning(panels))
    first, last = span(data)
    plain = {
        "first": first,
        "last": last,
        "stop": stop(data),
        "marks": [[m.start_s, m.end_s, m.kind, m.colour] for m in marks],
        "panels": [_panel(panel, store) for panel in panels],
        "series": store.series,
    }
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    # Nothing in it may end the element or begin a comment.
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _panel(panel: Plot, store: _Store) -> dict[str, Any]:
    return {
        "title": panel.title,
        "unit": panel.unit,
        "topic": panel.topic,
        "linked": panel.linked,
        "height": panel.height,
        "shown": panel.shown,
        "cells": panel.cells,
        "limits": panel.limits,
        "folded": panel.folded,
        "curves": [_curve(curve, store) for curve in panel.curves],
    }


def _curve(curve: Curve, store: _Store) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": curve.name, "at": store.add(curve.series, curve.column)}
    if curve.command is not None:
        plain["command"] = store.add(*curve.command)
    return plain


class _Store:
    """The series and columns of a page, each once.

    Attributes:
        series: as the page's script reads them.
    """

    def __init__(self, thinning: int) -> None:
        self.series: list[dict[str, Any]] = []
        self._thinning = thinning
        self._known: dict[int, tuple[int, Floats, np.ndarray]] = {}
        self._columns: dict[tuple[int, int], int] = {}

    def add(self, series: Series, column: int) -> tuple[int, int]:
        """Return the index of a column's series and of the column in it, adding them if needed."""
        if id(series) not in self._known:
            times, values = series.times_s, series.values
            if self._thinning > 1 and len(times) > _FEWEST:
                times, values = halved(times, values, self._thinning)
            self._known[id(series)] = len(self.series), values, _spiky(values)
            self.series.append({"times": _exactly(times), "columns": []})
        number, values, spiky = self._known[id(series)]
        columns = self.series[number]["columns"]
        if (number, column) not in self._columns:
            self._columns[number, column] = len(columns)
            columns.append(_encoded(values[:, column], bool(spiky[column])))
        return number, self._columns[number, column]


def _thinning(panels: Sequence[Plot]) -> int:
    """Return the factor by which curves are thinned so that all of them fit."""
    counts = {
        (id(s), column): len(s.times_s)
        for panel in panels
        for curve in panel.curves
        for s, column in (
            (curve.series, curve.column),
            curve.command or (curve.series, curve.column),
        )
    }
    return math.ceil(sum(counts.values()) / _NUMBERS)


def _spiky(values: Floats) -> np.ndarray:
    """Return bool[columns]: whether outliers make 16 bits too coarse for the other values."""
    with np.errstate(invalid="ignore", over="ignore"):
        if not len(values):
            return np.zeros(values.shape[1], dtype=bool)
        ordered = np.sort(values, axis=0)  # NaN comes last
        count = len(values)
        most = ordered[int(0.99 * (count - 1))] - ordered[int(0.01 * (count - 1))]
        whole = np.nan_to_num(ordered[-1] - ordered[0], nan=np.inf, posinf=np.inf)
        return np.asarray(whole > _SPIKY * np.nan_to_num(most, nan=0.0))


def _encoded(column: Floats, spiky: bool) -> dict[str, Any]:
    finite = np.isfinite(column)
    if not finite.any():
        return {"low": 0.0, "step": 0.0, "codes": ""}
    low, high = float(column[finite].min()), float(column[finite].max())
    if low == high and finite.all():
        return {"low": low, "step": 0.0}
    step = (high - low) / _STEPS
    if spiky or not math.isfinite(step) or step == 0.0:
        return {"exact": _exactly(column)}
    codes = np.full(len(column), _STEPS + 1, dtype="<u2")
    codes[finite] = np.rint((column[finite] - low) / step)
    return {"low": low, "step": step, "codes": _base64(codes)}


def _exactly(values: Floats) -> str:
    """Encode as float32; values beyond its range become NaN."""
    with np.errstate(over="ignore"):
        exact = values.astype("<f4")
    exact[np.isinf(exact)] = np.nan
    return _base64(exact)


def _base64(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()
