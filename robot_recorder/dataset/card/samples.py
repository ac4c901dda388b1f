"""Short films and pictures of a dataset's cameras, for its card."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from platform import machine
from typing import Any

import cv2
import numpy as np

from robot_recorder.content.depth_pictures import DepthPicture, DepthScale
from robot_recorder.dataset.card.about import OUTCOMES
from robot_recorder.dataset.card.blocks import SampleClip, slug
from robot_recorder.dataset.pictures import Bgr, CameraSource, ChosenPictures, Picked, PictureShape
from robot_recorder.dataset.pool import ExportJob, Pool
from robot_recorder.dataset.schema import DatasetEpisode, Feature, FeatureKind, Schema
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.quality.video_decoder import CannotDecode, pyav

SAMPLES = "samples"
_MOST_SAMPLES, _TRIES = 6, 5  # of all; episodes of a task that are tried
_WIDTH, _MOST_HZ, _MOST_S = 320, 8.0, 8.0  # of a sample: pixels, pictures a second, length
_X264 = {"preset": "ultrafast", "crf": "25", "maxrate": "200k", "bufsize": "400k", "g": "30"}
if machine() == "x86_64":
    # With AVX-512 it sometimes gives other bytes for the same pictures.
    _X264["x264-params"] = "asm=SSE4.2"
_BT601 = 5  # AVCOL_SPC_BT470BG, which JPEG uses
PicturesOf = Callable[[DatasetEpisode], Mapping[str, ChosenPictures]]
"""Returns the pictures of an episode by camera feature; empty: they are not at hand."""


def make_samples(
    folder: Path,
    schema: Schema,
    episodes: Sequence[DatasetEpisode],
    pictures: PicturesOf,
    earlier: Path | None,
    pool: Pool,
) -> tuple[SampleClip, ...]:
    """Make the samples: an episode of each task, first with the first camera of all tasks."""
    shutil.rmtree(folder / SAMPLES, ignore_errors=True)
    groups: dict[str, list[DatasetEpisode]] = {}
    for episode in sorted(episodes, key=lambda e: (e.facts.outcome != OUTCOMES[0], e.index)):
        groups.setdefault(episode.facts.sentence, []).append(episode)
    most = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))[:_MOST_SAMPLES]
    found: list[SampleClip] = []
    shown: list[tuple[DatasetEpisode, Mapping[str, ChosenPictures]]] = []
    for _, group in most if schema.cameras else ():
        for episode in group[:_TRIES]:
            own = pictures(episode)
            if own or _kept(earlier, episode, schema.cameras[0]):
                shown.append((episode, own))
                break
    jobs: list[ExportJob] = []
    for feature in schema.cameras:
        for episode, own in shown:
            if len(found) + len(jobs) == _MOST_SAMPLES:
                break
            sample = _taken_over(folder, earlier, episode, feature)
            if sample is not None:
                found.append(sample)
            elif feature.name in own:
                work = (folder, episode, feature, own[feature.name], schema.rate_hz)
                jobs.append(ExportJob(f"sample of {episode.facts.id}", 1.0, film, work))
    found += [sample for _, sample in pool.run(jobs) if isinstance(sample, SampleClip)]
    return tuple(sorted(found, key=lambda s: (s.episode.index, s.feature.name)))


def _stem(episode: DatasetEpisode, feature: Feature) -> str:
    """Return the path of a sample without suffix, which changes with what it shows."""
    facts = (episode.facts.id, episode.content, episode.runs, feature.name, feature.shape)
    digest = hashlib.sha256(repr(facts).encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{SAMPLES}/{slug(episode.facts.id)}.{slug(feature.name.rpartition('.')[2])}.{digest}"


def _kept(earlier: Path | None, episode: DatasetEpisode, feature: Feature) -> list[str]:
    """Return the paths of a sample's files that an earlier dataset has, still and clip."""
    stem = _stem(episode, feature)
    names = [f"{stem}.jpg", f"{stem}.mp4"]
    return [n for n in names if earlier is not None and (earlier / n).is_file()]


def _taken_over(
    folder: Path, earlier: Path | None, episode: DatasetEpisode, feature: Feature
) -> SampleClip | None:
    names = _kept(earlier, episode, feature)
    if earlier is None or not names:
        return None
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        os.link(earlier / name, folder / name)
    return SampleClip(episode, feature, names[0], names[1] if len(names) > 1 else "")


def film(
    folder: Path,
    episode: DatasetEpisode,
    feature: Feature,
    pictures: ChosenPictures,
    rate_hz: float,
) -> SampleClip | None:
    """Write the film of a camera and a picture of it; None: its pictures cannot be read."""
    step = max(1, math.ceil(rate_hz / _MOST_HZ))
    rate = Fraction(rate_hz / step).limit_denominator(1001)
    height, width = feature.shape[:2]
    scale = min(1.0, _WIDTH / width)
    shown = tuple(max(2, round(n * scale / 2) * 2) for n in (width, height))
    numbers = pictures.numbers[::step][: max(1, round(_MOST_S * rate))]
    stem = _stem(episode, feature)
    clip, still = folder / f"{stem}.mp4", folder / f"{stem}.jpg"
    clip.parent.mkdir(exist_ok=True)
    video = _Film(clip, rate, (shown[0], shown[1]))
    best = np.zeros((shown[1], shown[0], 3), np.uint8)
    try:
        depth = feature.kind is FeatureKind.DEPTH
        for at, picture in enumerate(_drawn(pictures, numbers, depth, video.size)):
            video.add(picture)
            best = picture if at <= len(numbers) // 2 and picture.any() else best
    except (BagError, DecodeError, ValueError):  # FFmpeg's errors are the last
        video.close()
        clip.unlink(missing_ok=True)
        return None
    video.close()
    still.write_bytes(cv2.imencode(".jpg", best, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    return SampleClip(episode, feature, f"{stem}.jpg", f"{stem}.mp4" if video.whole else "")


def _drawn(
    pictures: ChosenPictures, numbers: np.ndarray, depth: bool, size: tuple[int, int]
) -> Iterator[Bgr]:
    """Yield the picture of every frame, uint8[height, width, 3], blue, green, red; black: none."""
    few = _Shown(pictures.source, numbers, pictures.shape, depth)
    black = np.zeros((size[1], size[0], 3), np.uint8)
    for picked in few.picked():
        picture = black
        if picked.number >= 0:
            picture = np.asarray(
                cv2.resize(few.bgr(picked), size, interpolation=cv2.INTER_AREA), np.uint8
            )
        for _ in range(picked.frames):
            yield picture


class _Shown(ChosenPictures):
    """Pictures for people: distances are drawn in colours, on the scale of the first picture."""

    def __init__(
        self, source: CameraSource, numbers: np.ndarray, shape: PictureShape, depth: bool
    ) -> None:
        super().__init__(source, numbers, shape)
        self._depth, self._scale = depth, DepthScale(0, 1)
        self._first = True

    def bgr(self, picked: Picked) -> Bgr:
        if not self._depth:
            return super().bgr(picked)
        picture = DepthPicture(self.metres(picked))
        if self._first:
            self._scale, self._first = DepthScale.of([picture]), False
        return picture.colours(self._scale)


class _Film:
    """Writes a small video that browsers play; nothing where PyAV or its encoder is missing.

    Attributes:
        size: width and height.
        whole: whether it was written.
    """

    def __init__(self, path: Path, rate: Fraction, size: tuple[int, int]) -> None:
        self.size, self.whole, self._rate, self._frames = size, False, rate, 0
        self._file: Any = None
        options = {"fflags": "+bitexact", "movflags": "+faststart"}
        try:
            self._file = pyav().open(str(path), "w", format="mp4", options=options)
            self._stream: Any = self._file.add_stream("libx264", rate=rate, options=_X264)
        except (CannotDecode, ValueError):  # av.error.FFmpegError of a missing encoder is one
            if self._file is not None:
                self._file.close()
                path.unlink(missing_ok=True)
            self._file = None
            return
        self._stream.width, self._stream.height = size
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.thread_count, context.time_base = 1, 1 / rate
        context.color_range, context.colorspace = 1, _BT601

    def add(self, picture: Bgr) -> None:
        """Add a picture, uint8[height, width, 3], blue, green, red."""
        if self._file is None:
            return
        frame = pyav().VideoFrame.from_ndarray(picture, format="bgr24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=_BT601, src_color_range=2, dst_color_range=1
        )
        frame.pts, frame.time_base = self._frames, 1 / self._rate
        self._frames += 1
        self._file.mux(self._stream.encode(frame))

    def close(self) -> None:
        """Write the index of the file."""
        if self._file is not None:
            self._file.mux(self._stream.encode(None))
            self._file.close()
            self.whole = self._frames > 0
