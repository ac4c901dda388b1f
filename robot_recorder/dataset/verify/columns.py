"""Compare the columns of a table to the features that info.json describes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from robot_recorder.dataset.verify.findings import COPY, DESCRIBE
from robot_recorder.dataset.verify.reading import OpenedSet, StoredFeature, is_list
from robot_recorder.model.arrays import Floats


def check_columns(ds: OpenedSet, name: str, schema: Any) -> list[StoredFeature]:
    """Compare the columns of a table to the features; return the numbers that can be read."""
    readable = []
    for feature in ds.features.values():
        where = f"{feature.name} in {name}"
        if feature.dtype == "video":
            continue
        if feature.name not in schema.names:
            ds.add(where, "the column is missing", "add it, or remove the feature")
            continue
        kind = _storage(schema.field(feature.name).type)
        if feature.is_number and _fits(ds, where, feature, kind):
            readable.append(feature)
        wanted = {"image": "bytes:", "string": "string"}.get(feature.dtype, "")
        if wanted not in str(kind):
            ds.add(where, f"it holds {kind}, which is no {feature.dtype}", DESCRIBE)
    # LeRobot 3 loads tables with the features of info.json, and refuses columns that they lack.
    for column in schema.names:
        if column not in ds.features or ds.features[column].dtype == "video":
            what = f"info.json describes no column {column}"
            ds.add(name, what, "add it to features, or remove it", not ds.is_old)
    return readable


def _storage(kind: Any) -> Any:
    while hasattr(kind, "storage_type"):
        kind = kind.storage_type
    return kind


def _fits(ds: OpenedSet, where: str, feature: StoredFeature, kind: Any) -> bool:
    """Compare the type of a column to a feature; return whether its values can be read."""
    sizes: list[int | None] = []
    while is_list(kind):
        sizes.append(getattr(kind, "list_size", None))
        kind = _storage(kind.value_type)
    wanted = feature.sizes
    if len(sizes) != len(wanted) or any(n not in (None, w) for n, w in zip(sizes, wanted)):
        stored = "x".join("?" if n is None else str(n) for n in sizes) or "single values"
        what = f"its shape is {list(feature.shape)} in info.json, but {stored} in the table"
        ds.add(where, what, DESCRIBE)
        return False
    try:
        found = np.dtype(kind.to_pandas_dtype())
    except (TypeError, NotImplementedError):  # numpy has no such type
        found = np.dtype(object)
    dtype = np.dtype(feature.dtype)
    if found != dtype:
        harmless = found.kind == dtype.kind  # LeRobot converts it
        named = kind if found.kind == "O" else found
        what = f"its dtype is {dtype} in info.json, but {named} in the table"
        ds.add(where, what, DESCRIBE, not harmless)
    return found.kind in "biuf"


def check_pictures(ds: OpenedSet, name: str, metadata: Any) -> None:
    """Find pictures of which only the path was stored, from the metadata of the table."""
    wanted = {f"{f.name}.bytes": f.name for f in ds.of("image")}
    empty = Counter[str]()
    for group in range(metadata.num_row_groups if wanted else 0):
        row_group = metadata.row_group(group)
        for chunk in map(row_group.column, range(row_group.num_columns)):
            feature = wanted.get(chunk.path_in_schema)
            if feature and chunk.statistics is not None and chunk.statistics.has_null_count:
                empty[feature] += chunk.statistics.null_count
    for feature in +empty:
        what, example = "rows hold no picture, but at most its path", f"{empty[feature]} rows"
        ds.add(f"{feature} in {name}", what, COPY, example=example)


def values_of(array: Any, feature: StoredFeature) -> Floats | None:
    """Return float64[n, width], NaN where it is empty; None: rows are of another shape."""
    rows = len(array)
    array = getattr(array, "storage", array)
    for size in feature.sizes:
        if array.null_count:
            return None
        if (array.value_lengths().to_numpy(zero_copy_only=False) != size).any():
            return None
        array = array.flatten()
    values = array.to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(rows, feature.width) if len(values) == rows * feature.width else None
