"""Write to a node's log; control characters and line breaks of foreign texts are escaped."""

from __future__ import annotations

import traceback

from rclpy.node import Node

from robot_recorder.cli.terminal import indented
from robot_recorder.model.text import visible

_SELDOM_S = 5.0


class NodeLog:
    """Writes to a node's logger.

    rclpy identifies callers by their source line and fixes severity and filter of each, so every
    way of logging has its own line here.
    """

    def __init__(self, node: Node) -> None:
        """Use the logger of a node."""
        self._logger = node.get_logger()

    def info(self, text: str) -> None:
        """Log an event."""
        self._logger.info(visible(text))

    def warning(self, text: str) -> None:
        """Log a problem that needs attention."""
        self._logger.warning(visible(text))

    def seldom_warning(self, text: str) -> None:
        """Log a frequent problem, at most every 5 s."""
        self._logger.warning(visible(text), throttle_duration_sec=_SELDOM_S)

    def error(self, text: str) -> None:
        """Log an error."""
        self._logger.error(visible(text))

    def failure(self, text: str) -> None:
        """Log an error with the traceback of the current exception."""
        self._logger.error(_with_traceback(text))

    def seldom_failure(self, text: str) -> None:
        """Log a frequent error with its traceback, at most every 5 s."""
        self._logger.error(_with_traceback(text), throttle_duration_sec=_SELDOM_S)

    def fatal(self, text: str) -> None:
        """Log an error that ends the process, with the traceback of the current exception."""
        self._logger.fatal(_with_traceback(text))


def _with_traceback(text: str) -> str:
    return f"{visible(text)}:\n{indented(traceback.format_exc().rstrip())}"
