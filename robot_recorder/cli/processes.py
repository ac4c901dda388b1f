"""Starting and ending this package's executables from another program: the demo, the benches, the tests."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from robot_recorder.configuration.find import installed_program


def node_command(name: str, parameters: Mapping[str, object], namespace: str = "") -> list[str]:
    """Return the command line that starts a node.

    Args:
        name: of the executable, as ``ros2 run`` knows it.
        parameters: ROS parameters by name.

    Raises:
        ConfigError: it is not installed.
    """
    arguments = [x for key, value in parameters.items() for x in ("-p", f"{key}:={value}")]
    if namespace:
        arguments += ["-r", f"__ns:=/{namespace}"]
    return [sys.executable, str(installed_program(name)), "--ros-args", *arguments]


def as_parameters(values: Mapping[str, object]) -> dict[str, str]:
    """Return ROS parameters as JSON, which is YAML: text stays text, also where it looks like a number."""
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}


@contextmanager
def ended(process: subprocess.Popen[Any], timeout_s: float = 20) -> Iterator[Any]:
    """Yield a running process, and end it afterwards: with SIGINT as Ctrl-C would, or else by force."""
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
