"""A browser for the tests of pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    """A Browser of Playwright, which is imported here because not every machine has it."""
    from support.tabs import browser

    with browser() as running:
        yield running
