"""Tests of what must happen in real time, on machines that may be too slow for it."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

_PRESSURE = Path("/proc/pressure/cpu")
_MOST = 0.6  # share of the time in which something waited for a processor


def waited_s() -> float:
    """Return for how long anything on this machine has waited for a processor, s; 0: it does not say."""
    if not _PRESSURE.exists():
        return 0.0
    some = _PRESSURE.read_text().splitlines()[0]
    return int(some.rpartition("total=")[2]) / 1e6


def in_real_time(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test alone, and skip it by name if it fails on a machine that did not keep up."""

    @pytest.mark.alone
    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        began, before = time.monotonic(), waited_s()
        try:
            test(**fixtures)
        except Exception as error:
            share = (waited_s() - before) / (time.monotonic() - began)
            if share > _MOST:
                pytest.skip(
                    f"too slow a machine for {test.__name__}: something waited for a processor "
                    f"{share:.0%} of the time; {error}"[:300]
                )
            raise

    return run
