"""Exit codes of ``robot-recorder``. docs/commands.md has the same table."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command returns to the shell."""

    OK = 0
    FINDING = 1
    FAILED = 2
    INTERRUPTED = 130  # as a shell reports a program that Ctrl-C ended


MEANINGS = {
    ExitCode.OK: "the command did what it was asked, and found nothing wrong",
    ExitCode.FINDING: "the command ran, and at least one episode has a problem or could not be processed",
    ExitCode.FAILED: "the command line is invalid, or the command cannot run; standard error says why",
    ExitCode.INTERRUPTED: "the command was interrupted with Ctrl-C",
}
