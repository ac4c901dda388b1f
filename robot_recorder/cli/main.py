"""The ``robot-recorder`` command line. Everything here works without ROS."""

from __future__ import annotations

import logging
import sys

from robot_recorder.cli.commands import parser_for
from robot_recorder.cli.console import flush, log_visibly, say_error, stop_printing
from robot_recorder.cli.exit_codes import ExitCode
from robot_recorder.model.errors import RecorderError


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
        options = parser_for(words).parse_args(words)
        code: int = options.run(options)
        flush()
        return code
    except RecorderError as error:
        say_error(f"error: {error}")
    except ModuleNotFoundError as error:
        # A robot's ROS 2 install may lack what only the command line needs.
        install = "rosdep install --from-paths src -i, or pip install"
        say_error(f"error: this command needs {error.name}: {install} {error.name}")
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        stop_printing()
        return ExitCode.OK
    except Exception:  # its text is from anywhere: it is not to be printed as it is
        logging.getLogger(__name__).exception("a fault of robot-recorder ended this command")
    return ExitCode.FAILED
