"""Choose the frames of a source that become episodes: trimmed, and without held ones on request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.features import FeatureReader
from robot_recorder.dataset.schema import Runs, Schema
from robot_recorder.messages.kinds import Sort
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import NS_PER_S, Role

_LEAST_S = 1.0  # a run of frames shorter than this is no episode, if others were cut out
_STILL, _SPAN_S = 0.005, 0.2  # a joint moves that changes more, rad or m, within this time


class Held(str, Enum):
    """What becomes of frames in which a stream is held or missing.

    KEEP: they stay, and say so. DROP: they are left out, so that time jumps there. CUT: an episode
    ends before them, and another one begins after.
    """

    KEEP = "keep"
    DROP = "drop"
    CUT = "cut"


@dataclass(frozen=True)
class Trim:
    """What is cut off at the ends of an episode.

    Attributes:
        annotations: keep what lies between the first and the last of these; empty: no such limit.
        idle: cut off what comes before the first and after the last motion.
    """

    annotations: tuple[str, ...] = ()
    idle: bool = False


def pieces(
    reader: FeatureReader, source: AlignedSource, held: Held, trim: Trim
) -> tuple[list[Runs], dict[str, int]]:
    """Return the frames of a source that become episodes.

    Args:
        reader: of the dataset's features.
        source: aligned frames.
        held: what becomes of frames in which a stream of the dataset is held or missing.
        trim: what is cut off at both ends.

    Returns:
        The episodes, each as runs of frames: first and last + 1; and how many frames were left out,
        by reason.
    """
    whole = _trimmed(source, reader.schema, trim)
    counted = {"trimmed": len(source) - (whole[1] - whole[0])}
    runs: Runs = (whole,)
    if held is not Held.KEEP:
        bad = reader.incomplete(*whole)
        runs = _runs(~bad, whole[0])
        counted["held or missing"] = int(bad.sum())
    ahead = int(reader.looks_ahead)
    counted["without a next frame"] = ahead * len(runs)
    runs = tuple((a, b - ahead) for a, b in runs if b - ahead > a)
    if held is Held.CUT and len(runs) > 1:
        least = round(_LEAST_S * reader.schema.rate_hz)
        counted["in runs too short"] = sum(b - a for a, b in runs if b - a < least)
        episodes: list[Runs] = [((a, b),) for a, b in runs if b - a >= least]
    else:
        episodes = [runs] if runs else []
    return episodes, {why: n for why, n in counted.items() if n}


def _runs(good: npt.NDArray[np.bool_], first: int) -> Runs:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], good, [False])).astype(np.int8)))
    return tuple((first + int(a), first + int(b)) for a, b in zip(edges[::2], edges[1::2]))


def _trimmed(source: AlignedSource, schema: Schema, trim: Trim) -> tuple[int, int]:
    """Return first and last + 1 of the frames between the ends that are cut off."""
    ticks, facts = source.array("ticks"), source.summary.facts
    first, end = 0, len(source)
    if trim.annotations:
        spans = [(a, b) for name, a, b in facts.annotations if name in trim.annotations]
        if not spans:
            raise ConfigError(f"it has no annotation {' or '.join(trim.annotations)} to trim to")
        bounds = [
            facts.start_ns + round(s * NS_PER_S)
            for s in (min(a for a, _ in spans), max(b for _, b in spans))
        ]
        first = int(np.searchsorted(ticks, bounds[0], "left"))
        end = int(np.searchsorted(ticks, bounds[1], "right"))
    if trim.idle:
        moving: npt.NDArray[np.bool_] = _moving(source, schema)[first:end]
        if not moving.any():
            raise ConfigError("nothing moves in it: all of it would be trimmed")
        at = np.flatnonzero(moving)
        first, end = first + int(at[0]), first + int(at[-1]) + 1
    return first, max(first, end)


def _moving(source: AlignedSource, schema: Schema) -> npt.NDArray[np.bool_]:
    """Return in which frames an observed joint moves, bool[n].

    Moving: its position changes by more than ``_STILL`` (rad or m) within ``_SPAN_S``.
    """
    span = max(1, round(_SPAN_S * schema.rate_hz))
    moving = np.zeros(len(source), dtype=bool)
    for stream in source.summary.streams:
        own = [i for i, n in enumerate(stream.names) if n.startswith("position/")]
        if stream.role is not Role.OBSERVATION or not own or stream.sort != Sort.JOINTS.name:
            continue
        values = source.array(f"values/{stream.name}")[:, own]
        if len(values) > span:
            changed = np.abs(values[span:] - values[:-span]).max(axis=1, initial=0) > _STILL
            moving[span:] |= changed
            moving[:-span] |= changed
    return moving
