"""HTML reports of episodes, and what a browser shows of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.report.html import write_html
from support.browser import Browser, chromium

in_browser = pytest.mark.skipif(chromium() is None, reason="chromium is not installed")


def report(bag: Path) -> Path:
    """Write the report beside the bag and return its path."""
    target = bag.with_suffix(".html")
    write_html(load(Contents.open(bag)), target)
    return target


def box(browser: Browser, selector: str) -> Any:
    """Scroll an element into view and return its box in the window."""
    found = f"document.querySelector({selector!r})"
    browser.ask(f"{found}.scrollIntoView({{block: 'center'}})")
    return browser.ask(
        f"(({{left, top, width, height}}) => ({{left, top, width, height}}))({found}.getBoundingClientRect())"
    )


def now(browser: Browser) -> float:
    return float(browser.ask("document.querySelector('#lane').getAttribute('aria-valuenow')"))
