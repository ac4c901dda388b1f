"""Choose how the pictures of each camera are stored: unchanged where that is possible."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.export_profile import ExportProfile
from robot_recorder.dataset.frames import pictures_of
from robot_recorder.dataset.schema import DatasetEpisode, FeatureKind, Schema
from robot_recorder.dataset.video import VideoMode
from robot_recorder.model.errors import ConfigError

_PACKETS = ("h264", "hevc")  # whose packets an MP4 file takes


def chosen_codecs(
    mode: VideoMode,
    profile: ExportProfile,
    schema: Schema,
    encodings: Sequence[Mapping[str, str]],
    passes: Callable[[str], bool],
) -> tuple[dict[str, str], dict[str, str]]:
    """Return how the video of each camera is written, as ``VideoFile`` takes it, and what its pictures are.

    Args:
        mode: what is asked for.
        profile: rules of the features.
        schema: of the dataset.
        encodings: of the pictures by stream, of every source.
        passes: whether the packets of a feature's video can be taken over.

    Raises:
        ConfigError: pictures are to be copied, and cannot.
    """
    changed = {r.name for r in profile.features if r.size is not None or r.crop is not None}
    codecs, known = {}, {}
    for feature in schema.cameras:
        found = sorted({e.get(feature.streams[0], "") for e in encodings})
        known[feature.name] = ", ".join(found)
        codec = "" if feature.name in changed else _copied(found)
        if codec in _PACKETS and not passes(feature.name):
            codec = ""
        if feature.kind is FeatureKind.DEPTH:
            codecs[feature.name] = "+depth"
        elif mode is VideoMode.COPY and not codec:
            why = (
                "are cut out or resized"
                if feature.name in changed
                else f"are {known[feature.name]}"
            )
            raise ConfigError(
                f"{feature.name}: its pictures {why}: they cannot be copied; use --video auto"
            )
        elif mode in (VideoMode.AUTO, VideoMode.COPY):
            codecs[feature.name] = codec or "+h264"
        else:
            codecs[feature.name] = f"+{mode.value}"
    return codecs, known


def _copied(encodings: Sequence[str]) -> str:
    """Return the codec of a video that takes pictures unchanged; empty: none does."""
    if len(encodings) != 1:
        return ""
    if encodings[0].startswith("jpeg ") and "," not in encodings[0]:
        return "mjpeg"
    return encodings[0] if encodings[0] in _PACKETS else ""


def fits(
    schema: Schema,
    codecs: Mapping[str, str],
    encodings: Mapping[str, str],
    own: Mapping[str, str],
) -> str:
    """Return why the pictures of a source cannot be added to a dataset; empty: they can.

    Args:
        schema, codecs, encodings: of the dataset, by feature.
        own: encodings of the source's pictures, by stream.
    """
    for feature in schema.cameras:
        mine = own.get(feature.streams[0], "")
        if not codecs[feature.name].startswith("+") and mine != encodings[feature.name]:
            return (
                f"the pictures of {feature.name} are {mine or 'missing'}, the dataset's "
                f"{encodings[feature.name]}, which are copied; export all with --video h264"
            )
    return ""


def passes(
    episode: DatasetEpisode,
    source: AlignedSource,
    schema: Schema,
    profile: ExportProfile,
    feature: str,
) -> bool:
    """Return whether the packets of a video can be taken over for an episode.

    Its frames must choose every packet once, in order, beginning with a key frame.
    """
    pictures = pictures_of(episode, source, schema, profile)[feature]
    numbers = pictures.numbers
    if not len(numbers) or numbers[0] < 0 or (np.diff(numbers) != 1).any():
        return False
    return pictures.packet(next(pictures.picked())).is_key
