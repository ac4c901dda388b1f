"""Align one source episode into a folder: the first of the two kinds of jobs of an export."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from robot_recorder.alignment.camera_pairing import info_topics
from robot_recorder.bags.bag import opened
from robot_recorder.bags.metadata import METADATA_FILE
from robot_recorder.bags.reader import read_messages
from robot_recorder.configuration.find import load_profile
from robot_recorder.content.contents import descriptions
from robot_recorder.dataset.aligned import (
    ArrayWriter,
    SourceStream,
    SourceSummary,
    write_summary,
)
from robot_recorder.dataset.pictures import CameraSource, ChosenPictures, Looked, look
from robot_recorder.dataset.schema import Calibration, SourceFacts
from robot_recorder.episodes.episode import Episode, robot_in
from robot_recorder.messages.camera_info import read_camera_info
from robot_recorder.messages.kinds import CAMERA_INFO, Sort, kind_of
from robot_recorder.model.arrays import Int64s
from robot_recorder.model.errors import BagError, DecodeError
from robot_recorder.model.streams import (
    NS_PER_S,
    FrameClock,
    Policy,
    RobotProfile,
    StreamConfig,
)
from robot_recorder.offline.align import BagAligner
from robot_recorder.offline.plan import Plan, make_plan
from robot_recorder.quality.verdict import Verdict

_CAUSAL_PERIODS = 1.5  # how old a sample before the tick may be, in periods of its stream
_BLOCK = 1 << 20


@dataclass(frozen=True)
class AlignOptions:
    """How sources are aligned.

    Attributes:
        rate_hz: frames per second; None: the robot profile's.
        reference: stream with a frame at each of its samples; empty: the robot profile's; "none": a
            fixed rate.
        causal: choose no sample after its tick.
        native: keep every sample of every stream with numbers, not only those in frames.
        profile: robot profile instead of the bag's own, a file or name; empty: the bag's, or a guess.
    """

    rate_hz: float | None = None
    reference: str = ""
    causal: bool = False
    native: bool = False
    profile: str = ""


def align_source(
    path: Path,
    folder: Path,
    options: AlignOptions,
    progress: Callable[[float], None] = lambda share: None,
) -> None:
    """Align an episode, or any bag, into a folder that ``AlignedSource`` reads.

    The folder appears whole or not at all.

    Raises:
        BagError, ConfigError: it cannot be aligned.
        OSError: the folder cannot be written.
    """
    partial = folder.with_name(f"{folder.name}.{uuid4().hex}.partial")
    partial.mkdir(parents=True)
    with ThreadPoolExecutor(1) as beside:
        hashing = beside.submit(content_hashes, path)
        episode = Episode.open(path)
        plan, clock, windowed = planned(episode, options)
        summary = _write(episode, plan, clock, partial, progress)
        streams = tuple(replace(s, window=s.name in windowed) for s in summary.streams)
        write_summary(partial, replace(summary, files=hashing.result(), streams=streams))
    try:
        os.rename(partial, folder)
    except OSError:
        if not folder.exists():
            raise
        shutil.rmtree(partial)  # another process was faster


def planned(episode: Episode, options: AlignOptions) -> tuple[Plan, FrameClock, frozenset[str]]:
    """Return how a bag is aligned with some options, and its streams with windows of their own.

    Raises:
        BagError: the bag cannot be read.
        ConfigError: the bag has no topics of the profile, or the reference does not exist.
    """
    profile = load_profile(options.profile) if options.profile else None
    plan = make_plan(episode, profile)
    windowed = frozenset(s.name for s in plan.aligned if s.window)
    plan = replace(plan, profile=_as_asked(plan.profile, options))
    return plan, plan.frame_clock(options.rate_hz, options.reference), windowed


def _as_asked(profile: RobotProfile, options: AlignOptions) -> RobotProfile:
    streams = profile.streams
    if options.causal:
        streams = tuple(_causal(s) for s in streams)
    if options.native:
        streams = tuple(replace(s, window=s.policy is not Policy.NONE) for s in streams)
    return replace(profile, streams=streams)


def _causal(stream: StreamConfig) -> StreamConfig:
    """Return a stream of whose samples the last one up to a tick is chosen.

    It may be older than the nearest sample, by up to a period.
    """
    if stream.policy is Policy.NONE:
        return stream
    period_ns = round(_CAUSAL_PERIODS * NS_PER_S / stream.rate_hz) if stream.rate_hz else 0
    tolerance_ns = max(stream.tolerance_ns, period_ns)
    return replace(stream, policy=Policy.PREVIOUS, tolerance_ns=tolerance_ns)


def _write(
    episode: Episode,
    plan: Plan,
    clock: FrameClock,
    folder: Path,
    progress: Callable[[float], None],
) -> SourceSummary:
    """Write the arrays; return the summary without the hashes of the data files."""
    arrays, run = ArrayWriter(folder), BagAligner(plan, clock)
    cameras = {i: s for i, s in enumerate(plan.aligned) if kind_of(s).sort is Sort.IMAGE}
    chosen: dict[str, list[Int64s]] = {s.name: [] for s in cameras.values()}
    statuses: list[np.ndarray] = []
    windows = {s.name: 0 for s in plan.aligned if s.window}
    frames = 0
    for part in run.parts(episode.path, progress):
        frames += len(part)
        arrays.add("ticks", part.ticks)
        statuses.append(np.stack([c.status for c in part.columns], axis=1))
        arrays.add("skews", np.stack([c.skews for c in part.columns], axis=1))
        for i, (stream, column) in enumerate(zip(plan.aligned, part.columns)):
            if i in cameras:
                chosen[stream.name].append(column.numbers)
            else:
                arrays.add(f"values/{stream.name}", column.values)
            if column.window is not None and i not in cameras:
                splits = column.window.splits + windows[stream.name]
                arrays.add(f"splits/{stream.name}", splits[:-1])
                arrays.add(f"stamps/{stream.name}", column.window.stamps)
                arrays.add(f"samples/{stream.name}", column.window.values)
                windows[stream.name] = int(splits[-1])
    for name, end in windows.items():
        if frames and name not in chosen:
            arrays.add(f"splits/{name}", np.array([end]))
    status = np.concatenate(statuses) if statuses else np.empty((0, len(plan.aligned)), np.uint8)
    looked = {}
    infos = [t for t, kind in episode.topics.items() if kind == CAMERA_INFO]
    for i, stream in cameras.items():
        numbers = np.concatenate(chosen[stream.name]) if frames else np.empty(0, dtype=np.int64)
        looked[stream.name], unreadable = _look(episode, plan, stream, numbers)
        status[np.isin(numbers, unreadable), i] = 3
        numbers[np.isin(numbers, unreadable)] = -1
        arrays.add(f"numbers/{stream.name}", numbers)
    arrays.add("status", status)
    streams = tuple(
        _stream(stream, plan, names, looked.get(stream.name), episode.path, infos)
        for stream, names in zip(plan.aligned, run.value_names)
    )
    return SourceSummary(
        source_facts(episode), frames, _rate(clock, plan), clock.reference, streams,
        not plan.guessed, _stamped(plan), {}, metadata_hash(episode.path),
        next((d for d in descriptions(episode.path, episode.topics) if "<robot" in d), ""),
        run.problem, _notes(plan, run), arrays.close(),
    )  # fmt: skip


def _stream(
    stream: StreamConfig,
    plan: Plan,
    names: tuple[str, ...],
    looked: _CameraLook | None,
    path: Path,
    infos: list[str],
) -> SourceStream:
    topic = plan.topics[stream.name]
    about = SourceStream(
        stream.name, topic, stream.type, stream.role, stream.rate_hz, names,
        kind_of(stream).sort.name, stream.clock,
    )  # fmt: skip
    if looked is None or looked.first is None:
        return about
    size = looked.first.size
    return replace(
        about, size=size, encoding=looked.encoding, unreadable=looked.unreadable,
        resized=looked.resized,
        calibration=_calibration(path, info_topics(topic, infos), size),
    )  # fmt: skip


def _calibration(path: Path, topics: list[str], size: tuple[int, int]) -> Calibration | None:
    """Return the calibration of a camera from its CameraInfo, for pictures of a size; None: unknown."""
    if len(topics) != 1:
        return None
    first = next((m for m in read_messages(path, set(topics))), None)
    if first is None:
        return None
    try:
        info = read_camera_info(first.data)
    except DecodeError:
        return None
    if info.intrinsics is None or not info.width or not info.height:
        return None
    known = Calibration(*info.intrinsics, info.model, info.distortion)
    return known.scaled(size[0] / info.width, size[1] / info.height)


@dataclass(frozen=True)
class _CameraLook:
    """What the pictures of a camera are.

    Attributes:
        first: its first readable picture; None: none is readable.
        encoding: of all pictures; several are joined by a comma.
        unreadable: number of chosen pictures that cannot be read.
        resized: number of those of another size than the first.
    """

    first: Looked | None
    encoding: str
    unreadable: int
    resized: int


def _look(
    episode: Episode, plan: Plan, stream: StreamConfig, numbers: Int64s
) -> tuple[_CameraLook, list[int]]:
    """Look at all chosen pictures of a camera; also return the numbers of unreadable ones.

    A picture of another size than the first one is among them: a dataset's pictures have one size.
    """
    topic = plan.topics[stream.name]
    source = CameraSource(episode.path, topic, stream.type, topic in _stamped(plan))
    first: Looked | None = None
    encodings: dict[str, None] = {}
    unreadable: list[int] = []
    resized: list[int] = []
    for picked in ChosenPictures(source, numbers).picked():
        if picked.number < 0:
            continue
        try:
            found = look(source, picked)
        except DecodeError:
            unreadable.append(picked.number)
            continue
        first = first or found
        if found.size != first.size:
            resized.append(picked.number)
            continue
        encodings[found.encoding] = None
    look_ = _CameraLook(first, ", ".join(encodings), len(unreadable), len(resized))
    return look_, unreadable + resized


def _stamped(plan: Plan) -> tuple[str, ...]:
    """Return topics that are read in the order of their stamps."""
    if plan.span is None:
        return ()
    return tuple(sorted(plan.topics[n] for n, r in plan.readers.items() if r.has_header))


def _rate(clock: FrameClock, plan: Plan) -> float | None:
    """Return the nominal rate of the frames."""
    if not clock.reference:
        return clock.rate_hz
    rate = next(s.rate_hz for s in plan.aligned if s.name == clock.reference)
    return min(filter(None, (rate, clock.rate_hz)), default=None)


def _notes(plan: Plan, run: BagAligner) -> tuple[str, ...]:
    found = [f"{stream}: {why}" for stream, why in plan.unread.items()]
    if run.aligner.skipped_ticks:
        found.append(
            f"{run.aligner.skipped_ticks} ticks left out: nothing arrived for more than 10 s"
        )
    return (*plan.notes, *found)


def source_facts(episode: Episode) -> SourceFacts:
    """Return what is known of an episode."""
    episode, _ = episode.readable()
    labels, facts, quality = episode.labels, episode.facts, episode.quality
    start_ns = episode.start_ns
    checked = quality.verdict is not Verdict.UNKNOWN
    verdict = facts.get("verdict", "") or (quality.verdict.text if checked else "")
    return SourceFacts(
        episode.id,
        str(episode.path),
        facts.get("task", ""),
        facts.get("instruction", ""),
        facts.get("outcome", labels.outcome.text),
        facts.get("cause", ""),
        verdict,
        quality.reasons[0] if quality.reasons else "",
        facts.get("operator", ""),
        facts.get("robot", "") or robot_in(episode.id),
        start_ns,
        facts.get("robot_recorder", ""),
        tuple(
            (a.name, (a.start_ns - start_ns) / NS_PER_S, (a.end_ns - start_ns) / NS_PER_S)
            for a in labels.annotations
        ),
    )


def metadata_hash(path: Path) -> str:
    """Return the SHA-256 of a bag's metadata.yaml, which changes with its labels and verdict."""
    try:
        return hashlib.sha256((path / METADATA_FILE).read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return ""


def content_hashes(path: Path) -> dict[str, tuple[int, str]]:
    """Return size and SHA-256 of every data file of a bag, by name.

    Raises:
        BagError: the bag cannot be read.
    """
    found = {}
    with opened(path) as bag:
        names = [Path(file.path) for file in bag.files]
    for name in names:
        hashed, size = hashlib.sha256(), 0
        try:
            with open(name, "rb") as file:
                while block := file.read(_BLOCK):
                    hashed.update(block)
                    size += len(block)
        except OSError as error:
            raise BagError(f"{name} cannot be read: {error.strerror}") from error
        found[name.name] = (size, hashed.hexdigest())
    return found
