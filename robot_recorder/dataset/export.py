"""Exporters: each writes aligned frames as one format, chosen by the suffix of the target."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from robot_recorder.bags.files import replaced
from robot_recorder.dataset import npz, parquet
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import EXPORTERS_GROUP, extensions
from robot_recorder.offline.align import Alignment

Exporter = Callable[[Alignment, Path], None]
"""Writes an alignment to a new file at a path. What it raises is told; the file is put in place only when whole."""

_SHIPPED: dict[str, Exporter] = {
    npz.SUFFIX: npz.write_npz,
    parquet.SUFFIX: parquet.write_parquet,
}


def exporters() -> dict[str, Exporter]:
    """Return the exporters by suffix, such as ``.npz``: the shipped ones and those of installed packages.

    The entry point of an installed one is named after its suffix, without the dot.
    """
    found = dict(_SHIPPED)
    for name, exporter in extensions(EXPORTERS_GROUP).found.items():
        suffix = f".{name}"
        if suffix in _SHIPPED or not callable(exporter):
            why = "is shipped" if suffix in _SHIPPED else "cannot be called"
            logging.getLogger(__name__).warning("%s: '%s' %s", EXPORTERS_GROUP, name, why)
        else:
            found[suffix] = exporter
    return found


def check_target(path: Path) -> None:
    """Raise ConfigError unless there is an exporter for the suffix of a target."""
    known = exporters()
    if path.suffix not in known:
        raise ConfigError(f"{path}: no exporter writes '{path.suffix}'; use {' or '.join(known)}")


def export(alignment: Alignment, path: Path) -> None:
    """Write all frames of a bag; replace the file only once it is whole.

    Args:
        path: the target; its suffix chooses the exporter.

    Raises:
        ConfigError: no exporter has this suffix, or the file cannot be written.
        ModuleNotFoundError: the exporter needs a library that is not installed.
    """
    check_target(path)
    with replaced(path) as partial:
        exporters()[path.suffix](alignment, partial)
