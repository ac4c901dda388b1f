"""What an operator can say with a button, a pedal, a key or a console."""

from __future__ import annotations

COMMANDS = ("next", "step", "retry", "success", "failure", "discard", "pause", "undo", "end")
"""Commands of a shift, as in ShiftCommand.srv; docs/operator.md says what each of them does."""
