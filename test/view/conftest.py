"""One described robot and its recording for all tests of the viewer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.described import described_robot

if TYPE_CHECKING:
    from support.recordings import Recorded


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return described_robot(tmp_path_factory.mktemp("view") / "one")


@pytest.fixture(scope="session")
def recorded(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    from support.recordings import view  # needs rerun, without which these tests are skipped

    return view(bag, tmp_path_factory.mktemp("rrd") / "one.rrd")
