"""The profile and the root that a recorder of these tests is given."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.robot import PROFILE


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("profile") / "bench.yaml"
    path.write_text(PROFILE)
    return path


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("episodes")
