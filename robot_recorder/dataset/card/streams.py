"""The sections of a card on cameras, streams, features and their synchronisation."""

from __future__ import annotations

from robot_recorder.dataset.card.about import About, is_lerobot, video_of
from robot_recorder.dataset.card.blocks import (
    UNKNOWN,
    Cell,
    Grid,
    Listed,
    Mono,
    Section,
    clean,
    hz,
    known,
    ms,
    share,
)
from robot_recorder.dataset.lock import LOCK
from robot_recorder.dataset.schema import (
    MISSING,
    SKEW,
    STATUS,
    TICK,
    Feature,
    FeatureKind,
)
from robot_recorder.model.text import plural
from robot_recorder.model.value_names import split_name

_CODECS = {"mjpeg": "JPEG, as recorded", "h264": "H.264, as recorded", "hevc": "HEVC, as recorded",
           "av1": "AV1, as recorded", "+h264": "H.264, encoded", "+hevc": "HEVC, encoded",
           "+av1": "AV1, encoded", "+depth": "HEVC, 12 bits of a logarithm"}  # fmt: skip


def cameras_section(about: About) -> Section:
    """Return the cameras, and how their pictures are stored."""
    extra = about.lock.settings.get("extra") or {}
    tables = about.format in ("npz", "parquet") and "pictures" not in extra
    left = "left out of the tables" if tables else f"in files of {clean(about.format)}"
    rows: list[tuple[Cell, ...]] = []
    for feature in about.schema.cameras:
        height, width = feature.shape[:2]
        codec = video_of(about, feature)
        stored = _CODECS.get(codec, codec) or left
        own = about.streams.get(feature.streams[0])
        rates = hz(own.rates_hz) if own else UNKNOWN
        recorded = about.lock.encodings.get(feature.name, "") or UNKNOWN
        rows.append((Mono(feature.name), f"{width} × {height}", rates, recorded, stored))
    headings = ("Feature", "Size", "Camera's rate", "Recorded as", "Stored as")
    return Section("Cameras", (Grid(headings, tuple(rows), (1, 2)),) if rows else ())


def streams_section(about: About) -> Section:
    """Return the aligned streams."""
    rows = tuple(
        (Mono(name), known(s.topics), known(s.types), known(s.roles), hz(s.rates_hz))
        for name, s in about.streams.items()
    )
    headings = ("Stream", "Topic", "Type", "Role", "Rate")
    return Section("Streams", (Grid(headings, rows, (4,)),) if rows else ())


_WHAT = {STATUS: "how each stream's sample was found", SKEW: "its time minus the frame's",
         TICK: "the frame's time", MISSING: "features with unknown values"}  # fmt: skip


_UNITS = {STATUS: "0–3", SKEW: "s", TICK: "s", MISSING: "true or false"}


def _unit(feature: Feature) -> str:
    if feature.is_camera:
        return "m" if feature.kind is FeatureKind.DEPTH else "0–255"
    for end, unit in (("_mask", "true or false"), ("_count", "samples"), ("_time_s", "s")):
        if feature.kind is FeatureKind.WINDOW and feature.name.endswith(f".window{end}"):
            return unit
    if feature.name in _UNITS:
        return _UNITS[feature.name]
    units = dict.fromkeys(split_name(n)[1] or UNKNOWN for n in feature.names)
    return ", ".join(map(clean, units)) or UNKNOWN


def features_section(about: About) -> Section:
    """Return all columns with their units."""
    schema = about.schema
    rows: list[tuple[Cell, ...]] = [
        (Mono(f.name), _WHAT.get(f.name, f.kind.value), " × ".join(map(str, f.shape)), f.dtype,
         _unit(f), Listed(f.names))
        for f in (*schema.cameras, *schema.columns)
    ]  # fmt: skip
    note = (
        "A window holds all samples of a stream since the frame before, one a row. Shapes are "
        "those of one frame; of pictures height × width × channels. Values are named by their "
        f"streams where a feature has several. {LOCK} has all names."
    )
    if not is_lerobot(about):
        note += " The format may use other names for some features, and leave others out."
    headings = ("Feature", "What", "Shape", "Type", "Unit", "Values")
    return Section("Features", (Grid(headings, tuple(rows), (2,)), note))


def sync_section(about: About) -> Section:
    """Return how well streams meet the frames."""
    rows = tuple(
        (Mono(name), *map(ms, (s.p50_ms, s.p95_ms, s.worst_ms, s.max_ms)),
         share(s.held), share(s.missing))
        for name, s in about.streams.items()
    )  # fmt: skip
    known = sum(e.index in about.summaries for e in about.episodes)
    of = "all episodes" if known == len(about.episodes) else (
        f"{known:,} of {plural(len(about.episodes), 'episode')}; of the others it is unknown"
    )  # fmt: skip
    note = (
        f"Skew is the time of a stream's sample minus that of the frame; its size, of {of}. "
        "p50 and p95 are those of the median episode, beside them the p95 of the worst one. Held: "
        "the sample was too old, and was kept. Missing: there was none. "
    )
    codes = (note, "In ", Mono(STATUS), ", 0 is fresh, 1 interpolated, 2 held, 3 missing.")
    headings = (
        "Stream",
        "p50 (ms)",
        "p95 (ms)",
        "Worst p95 (ms)",
        "Maximum (ms)",
        "Held",
        "Missing",
    )
    grid = Grid(headings, rows, tuple(range(1, 7)))
    return Section("Synchronisation", (grid, codes) if rows else ())
