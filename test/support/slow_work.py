"""Work for other processes that takes its time, or ends them."""

from __future__ import annotations

import os
import time
from pathlib import Path


def write_late(wait_s: float, path: Path) -> None:
    """Write a file after a while."""
    time.sleep(wait_s)
    path.write_text("made late")


def stall(*_: object) -> list[str]:
    """Do not come to an end in any useful time."""
    time.sleep(600)
    return []


def die(*_: object) -> None:
    """End the process."""
    os._exit(3)
