"""An exception in the log, of any process, fails a test that did not announce it.

A test that announces an exception that is not logged fails, too, so these tests notice lost logs.
"""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from support.complaints import tracebacks, verdict


def python(code: str) -> str:
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return ran.stderr


@pytest.mark.announced("first thing", "second thing")
def test_exceptions_in_this_process_are_noticed() -> None:
    logging.getLogger("somebody").error("first thing")
    try:
        raise ValueError("second thing")
    except ValueError:
        logging.getLogger("robot_recorder.somebody").warning("caught", exc_info=True)
    logging.getLogger("robot_recorder.somebody").warning("a warning is no exception")


@pytest.mark.announced("third thing", "fourth thing", "fifth thing", "sixth thing")
def test_exceptions_in_a_child_process_are_noticed() -> None:
    printed = python(
        "import logging, threading\n"
        "logging.getLogger('there').error('third thing')\n"
        "def work(): raise OSError('fourth thing')\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
        "class Odd:\n"
        "    def __del__(self): raise OSError('fifth thing')\n"
        "Odd()\n"
        "raise OSError('sixth thing')"
    )
    for word in ("third", "fourth", "fifth", "sixth"):
        assert printed.count(f"{word} thing") >= 1, "it must still be printed"


@pytest.mark.announced("seventh thing")
def test_exceptions_in_the_log_of_a_node_are_noticed() -> None:
    pytest.importorskip("rclpy")
    printed = python(
        "import rclpy, traceback\n"
        "rclpy.init()\n"
        "node = rclpy.create_node('odd')\n"
        "try: raise OSError('seventh thing')\n"
        "except OSError: node.get_logger().error(f'failed:\\n{traceback.format_exc()}')\n"
        "rclpy.shutdown()"
    )
    assert "seventh thing" in printed


def test_unannounced_and_missing_exceptions_fail_a_test() -> None:
    assert verdict([], []) == ""
    assert "no disk" in verdict(["OSError: no disk"], [])
    assert verdict(["OSError: no disk"], ["no disk"]) == ""
    assert "no ink" in verdict(["OSError: no disk", "OSError: no ink"], ["no disk"])
    assert "never logged: ['no ink']" in verdict(["OSError: no disk"], ["no disk", "no ink"])
    assert verdict([], ["no disk"], passed=False) == ""


def test_tracebacks_are_found_in_a_log() -> None:
    log = "a\nfailed:\nTraceback (most recent call last):\n  File x\nOSError: no disk\nb"
    (found,) = tracebacks(log)
    assert found.startswith("failed:\n") and "OSError: no disk" in found
    assert tracebacks("all is well") == []
