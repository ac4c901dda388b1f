"""The page that summarises an episode."""

from __future__ import annotations

import pytest

pytest.importorskip("rerun")
from support.recordings import Recorded


def test_the_page_summarises_the_episode(recorded: Recorded) -> None:
    _, texts = recorded.rows("/episode", "TextDocument:text")
    page = texts[-1][0]
    assert page.startswith("# Lift \\*it\\*.\n") and "**FAILURE: SLIP**" in page
    assert "| palm | tactile | 225 |" in page and "by bob, 2023-11-17" in page
    assert "/undefined" in page.partition("Not shown")[2]
