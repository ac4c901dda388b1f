"""Exporters: each writes aligned frames as one format, chosen by the suffix of the target."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from robot_recorder.bags.files import replaced
from robot_recorder.dataset import npz, parquet
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import EXPORTERS_GROUP, extensions
from robot_recorder.offline.align import Alignment

Exporter = Callable[[Alignment, Path], None]
"""Writes an alignment to a path; the file replaces the target only if nothing is raised."""

_SHIPPED: dict[str, Exporter] = {
    npz.SUFFIX: npz.write_npz,
    parquet.SUFFIX: parquet.write_parquet,
}


@cache
def exporters() -> Mapping[str, Exporter]:
    """Return the exporters by suffix, such as ``.npz``, including those of installed packages.

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


def export(alignment: Alignment, path: Path) -> None:
    """Write all frames of a bag; replace the file only once it is whole.

    Args:
        alignment: the frames.
        path: the target; its suffix chooses the exporter.

    Raises:
        ConfigError: no exporter has this suffix, or the file cannot be written.
        ModuleNotFoundError: the exporter needs a library that is not installed.
    """
    known = exporters()
    if path.suffix not in known:
        raise ConfigError(f"{path}: no exporter writes '{path.suffix}'; use {' or '.join(known)}")
    with replaced(path) as partial:
        known[path.suffix](alignment, partial)
