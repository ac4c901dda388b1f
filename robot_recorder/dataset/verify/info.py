"""Check ``meta/info.json``, which describes a dataset."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from robot_recorder.dataset.verify.findings import DESCRIBE, Defects, some
from robot_recorder.dataset.verify.reading import (
    INFO,
    NUMBERS,
    OWN,
    OpenedSet,
    StoredFeature,
    read_json,
)

_VERSIONS = {(2, 0), (2, 1), (3, 0)}
_DTYPES = NUMBERS | {"video", "image", "string", "language"}


def open_set(root: Path, thorough: bool, defects: Defects) -> OpenedSet | None:
    """Return the dataset; None: its description says too little to check the rest."""
    info = read_json(root, INFO, defects)
    if info is None:
        return None
    said, fps, size = (info.get(key) for key in ("codebase_version", "fps", "chunks_size"))
    named = re.fullmatch(r"v?(\d+)\.(\d+)(\.\d+)?", str(said))
    version = (int(named[1]), int(named[2])) if named else (0, 0)
    if version not in _VERSIONS:
        what = f"codebase_version is {said!r}, not v2.0, v2.1 or v3.0"
        defects.add(INFO, what, "convert the dataset with LeRobot")
        return None
    if isinstance(fps, bool) or not isinstance(fps, (int, float)) or not 0 < fps < 1e6:
        defects.add(INFO, f"fps is {fps!r}, not a number of frames per second", "correct fps")
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        what = f"chunks_size is {size!r}, not a number of files"
        defects.add(INFO, what, "set it to 1000, or to what the folders hold")
    features = _features(info.get("features"), defects)
    return OpenedSet(root, thorough, defects, version, float(fps), features, info)


def _features(plain: Any, defects: Defects) -> dict[str, StoredFeature]:
    found: dict[str, StoredFeature] = {}
    for name, about in plain.items() if isinstance(plain, dict) else ():
        feature = _feature(name, about)
        if feature is None:
            what = f"feature {name} has no known dtype, or no shape of whole numbers"
            defects.add(INFO, what, DESCRIBE)
            continue
        found[name] = feature
        if "/" in name:
            defects.add(INFO, f"the name of feature {name} has a slash", "rename the feature")
        if feature.is_camera and len(feature.shape) != 3:
            defects.add(INFO, f"the shape of camera {name} has not three numbers", DESCRIBE)
    lacking = [name for name in OWN if name not in found]
    if lacking:
        what = f"there is no feature {some(lacking, 5)}"
        defects.add(INFO, what, "add it to features and to the tables")
    return found


def _feature(name: str, about: Any) -> StoredFeature | None:
    if not isinstance(about, dict):
        return None
    shape, dtype = about.get("shape"), str(about.get("dtype"))
    if not isinstance(shape, list) or not shape or dtype not in _DTYPES:
        return None
    if any(not isinstance(n, int) or n < 1 for n in shape):
        return None
    facts = about.get("info") or about.get("video_info")
    facts = facts if isinstance(facts, dict) else {}
    return StoredFeature(name, dtype, tuple(shape), _size(about.get("names"), shape), facts)


def _size(names: Any, shape: Sequence[int]) -> tuple[int, int] | None:
    if len(shape) != 3:
        return None
    if isinstance(names, list) and {"height", "width"} <= set(map(str, names)) and len(names) == 3:
        return shape[names.index("width")], shape[names.index("height")]
    channels_first = shape[0] in (1, 3) and shape[2] not in (1, 3)
    return (shape[2], shape[1]) if channels_first else (shape[1], shape[0])


def check_totals(ds: OpenedSet, counted: dict[str, int | None]) -> None:
    """Compare what it says of the whole dataset to what was counted; None: it could not be."""
    for name, count in counted.items():
        said = ds.info.get(name)
        if count is not None and said != count:
            ds.add(INFO, f"{name} is {said!r}, but there are {count}", f"set {name} to {count}")
    splits, episodes = ds.info.get("splits"), counted["total_episodes"]
    if episodes is not None and isinstance(splits, dict):
        numbers = [int(n) for text in splits.values() for n in re.findall(r"\d{1,18}", str(text))]
        if max(numbers, default=0) > episodes:
            what = f"splits name episodes beyond the last, {episodes - 1}"
            ds.add(INFO, what, "correct splits", False)
