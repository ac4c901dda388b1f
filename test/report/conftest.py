"""One browser and one report of a full robot for all tests of reports."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.browser import Browser
from support.full_robot import full_robot, recorded_facts
from support.reports import report


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with Browser() as tab:
        yield tab


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return report(full_robot(tmp_path_factory.mktemp("full") / "bag", **recorded_facts()))


@pytest.fixture(scope="session")
def text(full: Path) -> str:
    """Return the page without its data and script."""
    return full.read_text(encoding="utf-8").split('<script id="data"')[0]
