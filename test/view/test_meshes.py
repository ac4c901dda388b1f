"""Meshes are found as in ROS, and only meshes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robot_recorder.view.meshes import find_mesh


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    for name in ("prefix/share/arm/hand.stl", "sources/legs/foot.dae", "head/face.obj"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "head" / "secret.txt").touch()
    sources = [str(tmp_path / "sources"), str(tmp_path / "head")]
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path / "prefix"))
    monkeypatch.setenv("ROS_PACKAGE_PATH", os.pathsep.join(sources))
    return tmp_path


def test_packages_files_and_paths_are_found(folder: Path) -> None:
    assert find_mesh("package://arm/hand.stl") == folder / "prefix/share/arm/hand.stl"
    assert find_mesh("package://legs/foot.dae") == folder / "sources/legs/foot.dae"
    assert find_mesh("package://head/face.obj") == folder / "head/face.obj"
    assert find_mesh(f"file://{folder}/head/face.obj") == folder / "head/face.obj"
    assert find_mesh(str(folder / "head/face.obj")) == folder / "head/face.obj"


def test_missing_files_and_files_of_other_kinds_are_ignored(folder: Path) -> None:
    for uri in (
        "package://nowhere/hand.stl",
        "package://head/secret.txt",
        f"file://{folder}/head/secret.txt",
        "https://example.com/hand.stl",
        "hand.stl",
        "",
    ):
        assert find_mesh(uri) is None, uri
