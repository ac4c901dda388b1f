"""Extensions that cannot be loaded are named and stop nothing."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from robot_recorder.model import extensions as module
from robot_recorder.model.extensions import (
    CHECKS_GROUP,
    COMMANDS_GROUP,
    EXPORTERS_GROUP,
    FORMATS_GROUP,
    KINDS_GROUP,
    WRITERS_GROUP,
    entry_points,
    extensions,
)

GROUP = "robot_recorder.test"
INSTALLED = [
    EntryPoint("good", "math:sqrt", GROUP),
    EntryPoint("good", "math:pow", GROUP),
    EntryPoint("missing", "no_such_module:thing", GROUP),
    EntryPoint("unnamed", "math:no_such_name", GROUP),
]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(module, "entry_points", lambda group: INSTALLED)
    extensions.cache_clear()
    yield
    extensions.cache_clear()


@pytest.mark.usefixtures("installed")
def test_each_problem_is_reported_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    found, problems = extensions(GROUP)
    assert list(found) == ["good"] and found["good"](9) == 3
    twice, missing, unnamed = problems
    assert twice == f"{GROUP}: 'good' exists twice; math:pow is ignored"
    assert "no_such_module:thing cannot be loaded: ModuleNotFoundError" in missing
    assert "math:no_such_name cannot be loaded: AttributeError" in unnamed
    assert extensions(GROUP).problems == problems and len(caplog.records) == 3


ALL_GROUPS = (CHECKS_GROUP, COMMANDS_GROUP, EXPORTERS_GROUP, FORMATS_GROUP, KINDS_GROUP, WRITERS_GROUP)  # fmt: skip
METADATA = "Metadata-Version: 2.1\nName: floor_pack\nVersion: 1.0\n"
POINTS = f"[console_scripts]\nfloor = floor:main\n\n[{KINDS_GROUP}]\nfloor = floor:KINDS\n"


def lines_up() -> list[str]:
    """Return the names found in all groups, which must be those that importlib.metadata finds."""
    found = {group: sorted(entry_points(group)) for group in ALL_GROUPS}
    assert found == {group: sorted(metadata.entry_points(group=group)) for group in ALL_GROUPS}
    return [point.name for points in found.values() for point in points]


@pytest.mark.parametrize("folder", ["floor_pack-1.0.dist-info", "floor_pack-1.0-py3.11.egg-info"])
def test_a_package_that_is_installed_any_way_is_found(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = lines_up()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert lines_up() == before
    info, elsewhere = tmp_path / "site" / folder, tmp_path / "archive.zip"
    info.mkdir(parents=True)
    (info / ("METADATA" if "dist" in folder else "PKG-INFO")).write_text(METADATA)
    (info / "entry_points.txt").write_text(POINTS)
    with zipfile.ZipFile(elsewhere, "w") as archive:
        for file in info.iterdir():
            archive.write(file, f"{folder}/{file.name}")
    for path in (info.parent, elsewhere):
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(path))
            assert lines_up() == [*before, "floor"], path


def test_an_egg_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    egg = tmp_path / "floor_pack-1.0-py3.11.egg"
    (egg / "EGG-INFO").mkdir(parents=True)
    (egg / "EGG-INFO" / "PKG-INFO").write_text(METADATA)
    (egg / "EGG-INFO" / "entry_points.txt").write_text(POINTS)
    monkeypatch.syspath_prepend(str(egg))
    assert "floor" in lines_up()


def test_what_cannot_be_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "floor_pack-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    (tmp_path / "floor_pack-1.0.dist-info" / "METADATA").write_text(METADATA)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert lines_up() == []
