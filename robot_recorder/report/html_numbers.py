"""Embeds curves in a page: base64 columns, small enough to send and exact enough to read values."""

from __future__ import annotations

import base64
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from robot_recorder.content.series import EpisodeData, Series
from robot_recorder.content.thinning import halved
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.arrays import Floats
from robot_recorder.report.html_text import Html
from robot_recorder.report.html_timeline import TimelineMark, span, stop
from robot_recorder.report.panels import SHOWN, Curve, PadCells, Panel

_NUMBERS = 1_300_000  # most numbers of all curves together
_FEWEST = 200  # points that a curve keeps at least
_STEPS = 65534  # codes of a column's range; one more stands for NaN
_UNFOLDED = 8  # panels of a stream, and of all streams of unknown types, that are unfolded at first
_FEW_CURVES = 4  # whose legend fits a low plot
_WIDE = 60  # columns; a series with more has cells
_LISTED = 60  # constant values that a panel lists
_SPIKY = 500  # a range this many times that of most values would make 16 bits too coarse for them


def embedded(data: EpisodeData, panels: Sequence[Panel], marks: Sequence[TimelineMark]) -> Html:
    """Return what the page's script draws, as JSON that is safe in a script element."""
    store = _Store(_thinning(panels))
    first, last = span(data)
    plain = {
        "first": first,
        "last": last,
        "stop": stop(data),
        "marks": [[m.start_s, m.end_s, m.kind, m.colour] for m in marks],
        "panels": [_panel(p, store, is_folded) for p, is_folded in _folding(panels)],
        "series": store.series,
    }
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    # Nothing in it may end the element or begin a comment.
    return Html(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _folding(panels: Sequence[Panel]) -> Iterator[tuple[Panel, bool]]:
    """Yield each panel and whether it is folded at first: of a stream with many all but the main.

    Those of a stream that are folded come last.
    """
    unknown = 0
    for _, same in groupby(panels, key=lambda p: p.topic.stream):
        mine = list(same)
        folded = []
        for panel in mine:
            unknown += panel.topic.sort is Sort.NUMBERS
            many = len(mine) > _UNFOLDED or panel.topic.sort is Sort.POSE  # orientations say little
            crowded = many and not panel.is_main and bool(panel.curves or len(mine) > _UNFOLDED)
            if crowded or (panel.topic.sort is Sort.NUMBERS and unknown > _UNFOLDED):
                folded.append(panel)
            else:
                yield panel, False
        yield from ((panel, True) for panel in folded)


def _panel(panel: Panel, store: _Store, is_folded: bool) -> dict[str, Any]:
    listed = list(panel.constant.items())[:_LISTED]
    constant = [f"{name} {'never there' if math.isnan(v) else f'{v:g}'}" for name, v in listed]
    more = ["..."] if len(panel.constant) > _LISTED else []
    return {
        "title": panel.title,
        "stream": panel.topic.stream,
        "unit": panel.unit,
        "topic": panel.topic.name,
        "note": panel.note,
        "constant": ", ".join(constant + more),
        "linked": _link(panel),
        "palette": panel.palette,
        "height": _height(panel),
        "shown": len(panel.curves) if panel.pads else SHOWN,
        "limits": panel.limits,
        "folded": is_folded,
        "curves": [_curve(curve, store) for curve in panel.curves],
        "cells": bool(panel.pads),
        "pads": [_pad(pad, panel, store) for pad in panel.pads],
    }


def _pad(pad: PadCells, panel: Panel, store: _Store) -> dict[str, Any]:
    assert panel.series is not None
    names = [f"{n // pad.cols},{n % pad.cols}" if pad.is_known else f"{n}"
             for n in range(len(pad.columns))]  # fmt: skip
    return {
        "name": pad.name, "cols": pad.cols, "known": pad.is_known, "names": names,
        "at": [store.add(panel.series, column) for column in pad.columns],
    }  # fmt: skip


def _link(panel: Panel) -> str:
    """Return what panels have in common that show and hide the same curves."""
    if panel.topic.sort is Sort.JOINTS:
        return panel.topic.stream
    if panel.topic.sort is Sort.WRENCH:
        return f"{panel.name}s"
    return f"{panel.topic.stream} {panel.name} {panel.unit}"


def _height(panel: Panel) -> int:
    """Return the height of the plot, pixels."""
    if panel.pads:
        return min(max((7 if len(panel.pads) == 1 else 13) * len(panel.curves), 84), 240)
    if panel.topic.sort is Sort.JOINTS:
        return 240 if panel.is_main else 170
    return 130 if len(panel.curves) > _FEW_CURVES else 100


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

    def __init__(self, thinning: Mapping[int, int]) -> None:
        self.series: list[dict[str, Any]] = []
        self._thinning = thinning
        self._known: dict[int, tuple[int, Floats, np.ndarray]] = {}
        self._columns: dict[tuple[int, int], int] = {}

    def add(self, series: Series, column: int) -> tuple[int, int]:
        """Return the index of a column's series and of the column in it, adding them if needed."""
        if id(series) not in self._known:
            times, values = series.times_s, series.values
            if self._thinning[id(series)] > 1 and len(times) > _FEWEST:
                times, values = halved(times, values, self._thinning[id(series)])
            self._known[id(series)] = len(self.series), values, _spiky(values)
            self.series.append({"times": _exactly(times), "columns": []})
        number, values, spiky = self._known[id(series)]
        columns = self.series[number]["columns"]
        if (number, column) not in self._columns:
            self._columns[number, column] = len(columns)
            columns.append(_encoded(values[:, column], bool(spiky[column])))
        return number, self._columns[number, column]


def _thinning(panels: Sequence[Panel]) -> dict[int, int]:
    """Return the factor by which each series is thinned so that all fit, by its id.

    Cells of pads are many and coarse, so they are thinned before curves are.
    """
    drawn = [(c.series, c.column) for panel in panels for c in panel.curves]
    drawn += [c.command for panel in panels for c in panel.curves if c.command is not None]
    drawn += [(p.series, c) for p in panels if p.series for pad in p.pads for c in pad.columns]
    counts = {(id(series), column): len(series.times_s) for series, column in drawn}
    columns: Counter[int] = Counter(series for series, _ in counts)
    wide = sum(n for (s, _), n in counts.items() if columns[s] > _WIDE)
    narrow = sum(counts.values()) - wide
    left = max(_NUMBERS - narrow, _NUMBERS // 3)
    of_wide = math.ceil(wide / left)
    of_narrow = math.ceil(narrow / max(_NUMBERS - wide / max(of_wide, 1), 1))
    return {s: of_wide if many > _WIDE else of_narrow for s, many in columns.items()}


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
