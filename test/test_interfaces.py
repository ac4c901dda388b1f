"""Enums agree with the message constants, and every field has a comment."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

messages = pytest.importorskip("robot_recorder.msg")
services = pytest.importorskip("robot_recorder.srv")

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.messages.decoders import TactileUnit
from robot_recorder.model.labels import LabelKind, Outcome
from robot_recorder.model.streams import StreamHealth
from robot_recorder.recorder.recorder import RecorderState

ROOT = Path(__file__).parents[1]
INTERFACES = sorted([*(ROOT / "msg").glob("*.msg"), *(ROOT / "srv").glob("*.srv")])


@pytest.mark.parametrize(
    ("message", "prefix", "enum"),
    [
        (messages.StreamSample, "STATUS_", SampleStatus),
        (messages.StreamStatus, "HEALTH_", StreamHealth),
        (messages.EpisodeStatus, "STATE_", RecorderState),
        (messages.TactileArray, "UNIT_", TactileUnit),
        (messages.Label, "OUTCOME_", Outcome),
        (messages.Label, "KIND_", LabelKind),
        (services.MarkOutcome.Request, "OUTCOME_", Outcome),
    ],
)
def test_enums_agree_with_the_message_constants(message, prefix: str, enum) -> None:
    constants = {
        name.removeprefix(prefix): getattr(message, name)
        for name in dir(message) if name.startswith(prefix)
    }  # fmt: skip
    assert constants == {member.name: member.value for member in enum}


@pytest.mark.parametrize("path", INTERFACES, ids=lambda p: p.name)
def test_every_field_has_a_comment(path: Path) -> None:
    for line in path.read_text().splitlines():
        if re.match(r"^[a-z]", line) and "=" not in line.split("#")[0]:
            assert "# " in line, f"{path.name}: {line}"
