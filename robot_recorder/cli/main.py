"""The program ``robot-recorder``: parses a command line, runs the command, and reports errors."""

from __future__ import annotations

import argparse
import errno
import logging
import sys

from robot_recorder.cli.commands import parser_for
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.cli.terminal import flush, log_visibly, say_error, stop_printing
from robot_recorder.model.errors import RecorderError

_DISK_IS_FULL = (errno.ENOSPC, errno.EDQUOT)


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: what follows ``robot-recorder``; None: what this program was started with.

    Returns:
        An exit code.

    Raises:
        SystemExit: the command line is invalid (2), or asked for help or the version (0).
    """
    log_visibly()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parsed(words)
        code: int = options.run(options)
        flush()
        return code
    except RecorderError as error:
        say_error(f"error: {error}")
    except ModuleNotFoundError as error:
        # A ROS 2 installation on a robot may lack what only the command line needs.
        install = "rosdep install --from-paths src -i, or pip install"
        say_error(f"error: this command needs {error.name}: {install} {error.name}")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        stop_printing()
        return ExitCode.OK
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _DISK_IS_FULL:
            stop_printing()  # or Python would try once more at its end
            say_error(
                f"error: {error.filename or 'the output'} cannot be written: {error.strerror}"
            )
        else:  # logged rather than printed: its text can be anything
            logging.getLogger(__name__).exception("a fault of robot-recorder ended this command")
    return ExitCode.FAILED


def _parsed(words: list[str]) -> argparse.Namespace:
    """Parse a command line; what asks for help ends with all of it printed.

    Raises:
        BrokenPipeError: the reader has seen enough of the help.
        SystemExit: see ``main``.
    """
    try:
        return parser_for(words).parse_args(words)
    except SystemExit:
        flush()
        raise
