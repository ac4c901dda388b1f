"""Libraries that formats need, and Arrow tables of features for all that write Parquet."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from robot_recorder.dataset.schema import Feature
from robot_recorder.model.errors import ConfigError


def library(format: str, module: str) -> Any:
    """Return a module that only some formats need, imported when it is needed.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{format} needs {module.partition('.')[0]}; "
            "install it with: pip install 'robot_recorder[datasets]'"
        ) from error


def pyarrow() -> tuple[Any, Any]:
    """Return pyarrow and its Parquet module, imported when they are needed.

    Raises:
        ConfigError: pyarrow is not installed.
    """
    return library("Parquet", "pyarrow"), library("Parquet", "pyarrow.parquet")


def rows_of(pa: Any, feature: Feature, values: np.ndarray) -> Any:
    """Return the values of a feature as an Arrow array of n rows.

    Args:
        feature: scalars for shape (1,), lists of k, or lists of lists.
        values: [n, *shape].
    """
    if feature.shape == (1,):
        return pa.array(values[:, 0])
    flat = pa.array(np.ascontiguousarray(values).reshape(-1))
    if len(feature.shape) == 1:
        return pa.FixedSizeListArray.from_arrays(flat, feature.shape[0])
    rows, width = feature.shape
    inner = pa.ListArray.from_arrays(_splits(pa, len(values) * rows, width), flat)
    return pa.ListArray.from_arrays(_splits(pa, len(values), rows), inner)


def _splits(pa: Any, count: int, width: int) -> Any:
    return pa.array(np.arange(count + 1, dtype=np.int32) * width)
