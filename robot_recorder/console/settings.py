"""How a console is set up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robot_recorder.web.settings import WebSettings


@dataclass(frozen=True, kw_only=True)
class ConsoleSettings(WebSettings):
    """Settings of a console.

    Attributes:
        root: directory of the episodes.
        language: that pages begin with.
        buttons: name or file of key bindings.
        profile: name or file of the robot profile.
        namespace: of the robot.
    """

    root: Path
    language: str = "en"
    buttons: str = "pedal"
    profile: str = "g1_sim"
    namespace: str = ""
