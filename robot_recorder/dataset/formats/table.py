"""The table of dataset formats: those of this package, and those that installed packages add."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from robot_recorder.configuration.yaml_source import did_you_mean
from robot_recorder.dataset.formats.hdf5 import Aloha, Robomimic
from robot_recorder.dataset.formats.lerobot import LeRobot
from robot_recorder.dataset.formats.lerobot_v2 import LeRobotV2
from robot_recorder.dataset.formats.plain import Npz, Parquet
from robot_recorder.dataset.formats.port import Format
from robot_recorder.dataset.formats.rlds import Rlds
from robot_recorder.dataset.formats.webdataset import WebDataset
from robot_recorder.dataset.formats.zarr import Zarr, ZarrNative
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.extensions import FORMATS_GROUP, extensions

_SHIPPED: tuple[Format, ...] = (
    LeRobot(), LeRobotV2(), Aloha(), Robomimic(), Zarr(), ZarrNative(),
    WebDataset(), Rlds(), Npz(), Parquet(),
)  # fmt: skip


@cache
def formats() -> Mapping[str, Format]:
    """Return the formats by name, including those of installed packages (docs/extending.md)."""
    found = {one.name: one for one in _SHIPPED}
    for name, added in extensions(FORMATS_GROUP).found.items():
        found.setdefault(name, added)
    return found


def format_of(name: str) -> Format:
    """Return a format by its name.

    Raises:
        ConfigError: it does not exist.
    """
    if name not in formats():
        raise ConfigError(f"no format '{name}'; {did_you_mean(name, formats())}")
    return formats()[name]
