"""``ros2 run robot_recorder console``: the operator's console as a process of its own."""

from __future__ import annotations

import importlib.util

from robot_recorder.cli.terminal import log_visibly, say_error

_NEEDED = ("fastapi", "uvicorn", "websockets", "argon2")


def main() -> int:
    """Run the console; return the exit code: 0, or 2: bad configuration, or a package is missing."""
    log_visibly()
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        say_error(
            f"error: the console needs {', '.join(missing)}: pip install -r requirements/console.txt"
        )
        return 2
    from robot_recorder.console.server import serve

    return serve()
