"""What the node ``teleop`` says of itself, as heard by others."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import String

SIDES = ("left", "right")
_SILENT_S = 1.0  # without a message it is not heard
_MOST_STATUS = 2000  # characters


class TeleopStatus:
    """Hears ``teleop/status``."""

    def __init__(self, node: Node, changed: Callable[[], None] = lambda: None) -> None:
        """Subscribe.

        Args:
            node: that hears it.
            changed: called in the thread of the node when hands begin or end to be followed.
        """
        self._changed = changed
        self._status: dict[str, Any] | None = None
        self._heard_s = -math.inf
        node.create_subscription(String, "teleop/status", self._on_status, 10)

    def _on_status(self, message: String) -> None:
        try:
            told = json.loads(message.data[:_MOST_STATUS])
            status: dict[str, Any] = {
                "hands": {side: str(told["hands"][side])[:40] for side in SIDES}
            }
            p95 = float(told["latency_ms"]["p95"] or math.nan)
            status["p95_ms"] = p95 if math.isfinite(p95) else None
        except (ValueError, KeyError, TypeError, RecursionError):
            return  # anybody may publish anything; what nobody understands is nobody's status
        before = self.now
        is_news = before is None or before["hands"] != status["hands"]
        self._status, self._heard_s = status, time.monotonic()
        if is_news:
            self._changed()

    @property
    def now(self) -> dict[str, Any] | None:
        """Return what teleop does with each hand, and its latency; None: it is not heard."""
        return self._status if time.monotonic() - self._heard_s < _SILENT_S else None
