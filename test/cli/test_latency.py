"""``latency``: estimated from common events, and proposed."""

from __future__ import annotations

import json
from pathlib import Path

from support.bags import PROFILE, small_robot

from robot_recorder.cli.main import main


def test_latency_is_estimated_and_proposed(tmp_path: Path, capsys) -> None:
    late = small_robot(tmp_path / "late", 20, camera_late_s=0.04, profile_yaml=PROFILE)
    assert main(["latency", str(late), "--reference", "joints"]) == 0
    out = capsys.readouterr().out
    assert "camera: latency_ms: " in out
    assert main(["latency", str(late), "--reference", "joints", "--json"]) == 0
    found = {e["stream"]: e for e in json.loads(capsys.readouterr().out)}
    assert abs(found["camera"]["remaining_ms"] - 40) < 3 and found["camera"]["known"]
