"""A node's log. What others wrote can neither steer a terminal nor look like another line of it."""

from __future__ import annotations

import traceback

from rclpy.node import Node

from robot_recorder.cli.console import indented
from robot_recorder.model.text import visible

_SELDOM_S = 5.0


class NodeLog:
    """Writes to a node's logger.

    rclpy tells callers apart by their lines, and each has one severity and one filter for ever: so
    each way of logging is one line here.
    """

    def __init__(self, node: Node) -> None:
        self._logger = node.get_logger()

    def info(self, text: str) -> None:
        """What happened."""
        self._logger.info(visible(text))

    def warning(self, text: str) -> None:
        """What somebody should look after."""
        self._logger.warning(visible(text))

    def seldom_warning(self, text: str) -> None:
        """The same, now and then of many."""
        self._logger.warning(visible(text), throttle_duration_sec=_SELDOM_S)

    def error(self, text: str) -> None:
        """What went wrong."""
        self._logger.error(visible(text))

    def failure(self, text: str) -> None:
        """What went wrong, with the traceback of the exception that is being handled."""
        self._logger.error(_with_traceback(text))

    def seldom_failure(self, text: str) -> None:
        """The same, now and then of many."""
        self._logger.error(_with_traceback(text), throttle_duration_sec=_SELDOM_S)

    def fatal(self, text: str) -> None:
        """What ends the process, with the traceback of the exception that is being handled."""
        self._logger.fatal(_with_traceback(text))


def _with_traceback(text: str) -> str:
    return f"{visible(text)}:\n{indented(traceback.format_exc().rstrip())}"
