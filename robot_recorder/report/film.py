"""A small film of an episode for pages: pictures, curves, and when findings happened, in one file.

The file: three lengths, the index as JSON, the curves as JSON, the pictures.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robot_recorder.content.contents import Contents
from robot_recorder.content.groups import CurveGroup, groups, most_moving
from robot_recorder.content.series import EpisodeData, Pictures, Series, load
from robot_recorder.content.thinning import halved
from robot_recorder.model.arrays import Floats
from robot_recorder.model.check_result import Result
from robot_recorder.model.errors import BagError, RecorderError

MOST_PICTURES = 120  # per camera
MOST_POINTS = 600  # per curve
_MOST_CURVES = 24  # per group
_MOST_GROUPS = 80
_MOST_PROBLEMS = 20
_LENGTHS = struct.Struct(">II")
_DIGITS = 6
_PEAKS = {"wrench_clipping": "force", "wrench_spikes": "force", "taxels_saturated": "normal"}
_STEPS = {"joint_jump": "position"}


def make_film(episode: Path, target: Path) -> None:
    """Write the film of an episode.

    Args:
        episode: directory of the bag.
        target: file to write.

    Raises:
        RecorderError: it cannot be read.
    """
    data = load(Contents.open(episode), pictures=MOST_PICTURES)
    cameras, blobs = _cameras(data.pictures)
    try:
        findings = data.episode.quality.findings
    except BagError:
        findings = ()
    index = {
        "duration_s": _rounded(data.episode.duration_s),
        "first_s": _rounded(data.contents.first_s),
        "last_s": _rounded(data.contents.last_s),
        "cameras": cameras,
        "times": finding_times(findings, data),
        "problems": data.problems[:_MOST_PROBLEMS],
    }
    curves = {"groups": list(_curves(data.series))[:_MOST_GROUPS]}
    head, body = _json(index), _json(curves)
    with open(target, "wb") as file:
        file.write(_LENGTHS.pack(len(head), len(body)) + head + body)
        file.writelines(blobs)


def film_index(film: Path) -> dict[str, Any]:
    """Return cameras with the times of their pictures, times of findings, and problems.

    Raises:
        RecorderError: the file is not a film, or is gone.
    """
    return _read(film)[0]


def told_of(index: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an index that pages are told."""
    told = {key: index[key] for key in ("duration_s", "first_s", "last_s", "problems")}
    told["cameras"] = [
        {key: camera[key] for key in ("name", "times_s", "width", "height")}
        for camera in index["cameras"]
    ]
    return told


def film_curves(film: Path) -> bytes:
    """Return the curves as JSON.

    Raises:
        RecorderError: the file is not a film, or is gone.
    """
    return _read(film, curves=True)[1]


def film_picture(film: Path, camera: str, number: int) -> tuple[bytes, str] | None:
    """Return a picture and its media type; None: there is no such picture.

    Raises:
        RecorderError: the file is not a film, or is gone.
    """
    index, _, start = _read(film)
    for one in index["cameras"]:
        if one["name"] == camera and 0 <= number < len(one["at"]):
            begin, size = one["at"][number]
            with open(film, "rb") as file:
                file.seek(start + begin)
                return file.read(size), one["types"][number]
    return None


def _read(film: Path, curves: bool = False) -> tuple[dict[str, Any], bytes, int]:
    """Return index, curves if asked for, and where the pictures begin."""
    try:
        with open(film, "rb") as file:
            head, body = _LENGTHS.unpack(file.read(_LENGTHS.size))
            index = json.loads(file.read(head))
            return index, file.read(body) if curves else b"", _LENGTHS.size + head + body
    except (OSError, struct.error, ValueError) as error:
        raise RecorderError(f"the film cannot be read ({error}): ask for it again") from error


def _cameras(cameras: Sequence[Pictures]) -> tuple[list[dict[str, Any]], list[bytes]]:
    """Return the cameras for the index, and all pictures in their order."""
    found, blobs, place = [], [], 0
    for camera in cameras:
        times, places, types = [], [], []
        for time_s, picture in camera.chosen:
            times.append(_rounded(time_s))
            places.append([place, len(picture.data)])
            types.append(picture.media_type)
            blobs.append(picture.data)
            place += len(picture.data)
        if not times:
            continue
        height, width = camera.chosen[0][1].pixels().shape[:2]
        found.append(
            {"name": camera.topic.stream, "times_s": times, "width": width, "height": height,
             "at": places, "types": types}
        )  # fmt: skip
    return found, blobs


def _curves(all_series: Iterable[Series]) -> Iterable[dict[str, Any]]:
    """Yield the groups of curves, thinned."""
    for series in all_series:
        for group in groups(series):
            values = series.values[:, list(group.columns)]
            if not len(values) or not np.isfinite(values).any():
                continue
            yield _group(series, group, values)


def _group(series: Series, group: CurveGroup, values: Floats) -> dict[str, Any]:
    items, left_out = list(group.items), 0
    if group.is_array:  # a pad: its taxels are too many for curves
        with np.errstate(all="ignore"):
            seen = np.where(np.isfinite(values), values, np.nan)
            items, values = ["max", "mean"], np.stack([_max(seen), _mean(seen)], axis=1)
    elif len(items) > _MOST_CURVES:
        kept = sorted(most_moving(values, _MOST_CURVES))
        left_out = len(items) - len(kept)
        items, values = [items[k] for k in kept], values[:, kept]
    times = series.times_s
    if len(times) > MOST_POINTS:
        times, values = halved(times, values, -(-len(times) // MOST_POINTS))
    return {
        "stream": series.topic.stream,
        "name": group.name,
        "unit": group.unit,
        "items": [item or group.name for item in items],
        "left_out": left_out,
        "times_s": [_rounded(t) for t in times.tolist()],
        "values": [[_rounded(v) for v in column] for column in values.T.tolist()],
    }


def _max(values: Floats) -> Floats:
    return np.asarray(np.fmax.reduce(values, axis=1))


def _mean(values: Floats) -> Floats:
    count = np.isfinite(values).sum(axis=1)
    return np.asarray(np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan))


def finding_times(findings: Iterable[Result], data: EpisodeData) -> dict[str, float]:
    """Return when findings happened, s since the start, by ``check stream``; without those unknown.

    Checks do not say it; it is looked for in the data.
    """
    by_stream: dict[str, list[Series]] = {}
    for series in data.series:
        by_stream.setdefault(series.topic.stream, []).append(series)
    arrivals = {s.topic.stream: s.times_s for s in data.series}
    arrivals |= {p.topic.stream: p.times_s for p in data.pictures}
    found = {}
    for finding in findings:
        at_s = _time_of(finding, by_stream.get(finding.stream, []), arrivals, data)
        if at_s is not None:
            found[f"{finding.check} {finding.stream}"] = _rounded(at_s)
    return {key: at_s for key, at_s in found.items() if at_s is not None}


def _time_of(
    finding: Result, series: list[Series], arrivals: dict[str, Floats], data: EpisodeData
) -> float | None:
    """Return when a finding happened, s since the start; None: unknown."""
    if finding.check == "idle_head":
        return 0.0
    if finding.check == "idle_tail":
        return max(0.0, data.episode.duration_s - finding.figure)
    if finding.check == "gap" and finding.stream in arrivals:
        return _longest_gap(arrivals[finding.stream], data)
    for one in series:
        for by_check, looked in ((_PEAKS, _peak), (_STEPS, _step)):
            name = by_check.get(finding.check)
            columns = [
                c for g in groups(one) if name and g.name.split("/")[0] == name for c in g.columns
            ]
            if columns and len(one.times_s) > 2:
                return looked(one.times_s, one.values[:, columns])
    return None


def _longest_gap(times: Floats, data: EpisodeData) -> float | None:
    """Return when the longest silence began."""
    edges = np.concatenate(([data.contents.first_s], np.sort(times), [data.contents.last_s]))
    return float(edges[int(np.argmax(np.diff(edges)))]) if len(edges) > 1 else None


def _peak(times: Floats, values: Floats) -> float:
    """Return when a value was farthest from its usual one."""
    filled = np.nan_to_num(values)
    away = np.abs(filled - np.median(filled, axis=0))
    return float(times[int(np.argmax(away.max(axis=1)))])


def _step(times: Floats, values: Floats) -> float:
    """Return when a value changed most between two samples."""
    steps = np.abs(np.diff(np.nan_to_num(values), axis=0))
    return float(times[int(np.argmax(steps.max(axis=1))) + 1])


def _rounded(value: float) -> float | None:
    return float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None


def _json(plain: Any) -> bytes:
    return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode()
