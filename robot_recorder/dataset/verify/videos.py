"""Check videos against the list of episodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from robot_recorder.dataset.verify.episodes import FRAMES, TOLERANCE_S, EpisodeTable
from robot_recorder.dataset.verify.findings import COPY, DESCRIBE, LIST, first, first_line
from robot_recorder.dataset.verify.reading import OpenedSet, StoredFeature
from robot_recorder.model.arrays import Floats, Int64s
from robot_recorder.quality.video_decoder import pyav

_CODECS = {"libdav1d": "av1", "libaom-av1": "av1", "libsvtav1": "av1", "libx264": "h264",
           "avc1": "h264", "libx265": "hevc", "h265": "hevc", "hev1": "hevc"}  # fmt: skip
_ENCODE = "encode the video anew from its pictures, or delete its episodes"


def find_videos(ds: OpenedSet, episodes: EpisodeTable | None) -> dict[tuple[str, str], Int64s]:
    """Return rows of the list of episodes by camera and video; all videos if there is no list."""
    found: dict[tuple[str, str], list[int]] = {}
    for camera in ds.of("video") if episodes is None else ():
        pattern = f"*/{camera.name}/*.mp4" if ds.is_old else f"{camera.name}/*/*.mp4"
        for path in sorted((ds.root / "videos").glob(pattern)):
            found[camera.name, ds.name(path)] = []
    for name, clips in episodes.videos.items() if episodes is not None else ():
        for row, video in enumerate(clips.paths):
            if video:
                found.setdefault((name, video), []).append(row)
    return {key: np.array(rows, dtype=np.int64) for key, rows in found.items()}


def check_video(
    ds: OpenedSet, camera: StoredFeature, name: str, episodes: EpisodeTable | None, rows: Int64s
) -> None:
    """Check a video, and that it has the pictures of the episodes in these rows of the list."""
    if not (ds.root / name).is_file():
        numbers = episodes.number[rows] if episodes is not None else ()
        ds.add(name, "the video of {} is missing", COPY, episodes=numbers)
        return
    av = pyav()
    try:
        with av.open(str(ds.root / name)) as container:
            if not container.streams.video:
                ds.add(name, "it holds no video", _ENCODE)
                return
            stream = container.streams.video[0]
            if stream.codec_context is None:
                ds.add(name, "its codec is unknown to the installed PyAV", _ENCODE)
                return
            _check_format(ds, camera, name, stream)
            times, decoded = _times(container, stream, ds.thorough)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        ds.add(name, "it cannot be read", _ENCODE, example=first_line(error))
        return
    even = _check_spacing(ds, name, times)
    if episodes is not None and len(times):
        _check_places(ds, camera.name, name, episodes, rows, times, even)
        if ds.thorough:
            _check_decoded(ds, camera.name, name, episodes, rows, times, decoded)


def _check_format(ds: OpenedSet, camera: StoredFeature, name: str, stream: Any) -> None:
    size, facts, where = (stream.width, stream.height), camera.facts, f"{camera.name} in {name}"
    said = (facts.get("video.width", size[0]), facts.get("video.height", size[1]))
    for wanted in {said, camera.size or size} - {size}:
        what = f"it is {size[0]} x {size[1]} pixels, but {wanted[0]} x {wanted[1]} in info.json"
        ds.add(where, what, DESCRIBE)
    codec, named = stream.codec.canonical_name, str(facts.get("video.codec", ""))
    if named and _CODECS.get(named, named) != _CODECS.get(codec, codec):
        ds.add(where, f"its codec is {codec}, but {named} in info.json", DESCRIBE, False)


def _times(container: Any, stream: Any, thorough: bool) -> tuple[Floats, Floats]:
    """Return when the pictures are shown, s, sorted; and those that could be decoded."""
    base, times, decoded = float(stream.time_base), list[float](), list[float]()
    if thorough:
        stream.codec_context.options = {"err_detect": "explode"}  # else damage is painted over
        stream.thread_type = "SLICE"  # threads by frame do not go on after damage
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            times.append(math.nan if packet.pts is None else packet.pts * base)
        if thorough:
            try:
                frames = packet.decode()
            except (pyav().error.FFmpegError, ValueError):
                continue  # its picture is missing from those that are decoded, which is told
            decoded += [f.pts * base for f in frames if f.pts is not None and not f.is_corrupt]
    return np.sort(times), np.sort(decoded)


def _check_spacing(ds: OpenedSet, name: str, times: Floats) -> bool:
    """Return whether pictures come at the right rate."""
    steps = np.diff(times)
    wrong = ~(np.abs(steps - 1 / ds.fps) <= TOLERANCE_S)
    if wrong.any():
        at, many = first(wrong), wrong.sum()
        example = f"picture {at + 1} comes {steps[at]:.4f} s after the one before, as {many} do"
        ds.add(name, f"its pictures are not 1/{ds.fps:g} s apart", _ENCODE, example=example)
    return not wrong.any()


def _check_places(
    ds: OpenedSet, camera: str, name: str, episodes: EpisodeTable, rows: Int64s, times: Floats,
    even: bool,
) -> None:  # fmt: skip
    """Check that a video holds the pictures that the list of episodes looks for in it.

    Args:
        rows: int64[n], of the episodes that name it.
        times: float64[m], when its pictures are shown, s.
        even: they are as far apart as they should be; else only their number is checked.
    """
    wanted = int(episodes.length[rows].sum())
    if len(times) != wanted:
        fewer = len(times) < wanted
        what = f"it has {'fewer' if fewer else 'more'} pictures than it needs for {{}}"
        example, fix = f"{len(times)} instead of {wanted}", _ENCODE if fewer else LIST
        ds.add(name, what, fix, fewer or ds.is_old, episodes.number[rows], example)
    end, starts = times[-1] + 1 / ds.fps, episodes.videos[camera].start
    for row in rows if even else ():
        start, number, length = starts[row], [episodes.number[row]], int(episodes.length[row])
        if length > len(times) or not start + length / ds.fps <= end + FRAMES / ds.fps:
            ds.add(name, "it ends before {} does", LIST, True, number, f"at {end:.4f} s")
            continue
        looked = start + np.arange(length) / ds.fps
        after = np.searchsorted(times, looked).clip(0, len(times) - 1)
        gap = np.minimum(np.abs(times[after] - looked), np.abs(times[after - 1] - looked))
        wrong = gap > TOLERANCE_S + 1e-6
        if wrong.any():
            at = first(wrong)
            example = f"at {looked[at]:.4f} s the nearest is {gap[at]:.4f} s away"
            ds.add(name, "it has no pictures at the times of {}", LIST, True, number, example)


def _check_decoded(
    ds: OpenedSet, camera: str, name: str, episodes: EpisodeTable, rows: Int64s, times: Floats,
    decoded: Floats,
) -> None:  # fmt: skip
    if len(decoded) != len(times):
        example = f"{len(decoded)} of {len(times)}"
        ds.add(name, "not all of its pictures can be decoded", _ENCODE, example=example)
    half, clips = 0.5 / ds.fps, episodes.videos[camera]
    for row in rows:
        for which, time in (("first", clips.start[row]), ("last", clips.end[row] - 2 * half)):
            at = int(np.searchsorted(decoded, time - half))
            if at == len(decoded) or decoded[at] > time + half:
                what = f"the {which} picture of {{}} cannot be decoded"
                ds.add(name, what, _ENCODE, episodes=[episodes.number[row]])
