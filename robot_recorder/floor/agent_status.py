"""What a running station agent says of itself in ``.agent/status.json``, for others on the robot."""

from __future__ import annotations

import json
from pathlib import Path

from robot_recorder.bags.files import read_regular
from robot_recorder.floor.changes import AGENT

STATUS_FILE = Path(AGENT, "status.json")
RUNNING_S = 90.0  # a running agent writes it at least once a minute
_MOST_BYTES = 1_000_000


def agent_alarms(root: Path, now_ns: int) -> list[str] | None:
    """Return the alarms of the agent that sends the episodes of a root.

    Args:
        root: directory of the episodes.
        now_ns: time now, ns since the epoch.

    Returns:
        Sentences; None: no agent runs.
    """
    try:
        return alarms_in(read_regular(root / STATUS_FILE, _MOST_BYTES), now_ns)
    except OSError:
        return None


def alarms_in(text: str | bytes, now_ns: int) -> list[str] | None:
    """Return the alarms in the content of the file; None: it is older than 90 s, or not understood."""
    try:
        plain = json.loads(text)
        is_new = abs(now_ns - plain["at_ns"]) / 1e9 < RUNNING_S
        return [str(sentence) for sentence in plain["alarms"]] if is_new else None
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError):
        return None
