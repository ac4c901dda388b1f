"""`robot-recorder tasks`: the list, and the check of a floor's own file."""

from __future__ import annotations

import json
from pathlib import Path

from robot_recorder.cli.main import main


def test_tasks_are_listed(capsys) -> None:
    assert main(["tasks"]) == 0
    out = capsys.readouterr().out
    for word in (
        "assembly_line",
        "carry_tray",
        "4-25",
        "300",
        "eldercare: Eldercare",
        "missed_grasp",
    ):
        assert word in out
    assert main(["tasks", "--programme", "smart_home"]) == 0
    out = capsys.readouterr().out
    assert "iron_clothes" in out and "carry_tray" not in out
    assert main(["tasks", "--json", "--programme", "eldercare"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert list(plain["programmes"]) == ["eldercare"]
    assert (
        plain["tasks"]["serve_drink"]["variants"]["de"]
        and "text" not in plain["tasks"]["serve_drink"]
    )


def test_a_floors_own_file_is_checked(tmp_path: Path, capsys) -> None:
    path = tmp_path / "floor.yaml"
    path.write_text("tasks:\n  wipe: {instruction: Wipe it., target: many}\n")
    assert main(["tasks", str(path)]) == 2
    assert f"error: {path}:2: tasks.wipe: 'target'" in capsys.readouterr().err
    path.write_text("tasks:\n  wipe: {instruction: Wipe it.}\n")
    assert main(["tasks", str(path)]) == 0
    assert "1 task in 0 programmes" in capsys.readouterr().out
    path.write_text("tasks: {}\n")
    assert main(["tasks", str(path)]) == 2
    assert main(["tasks", "--programme", "smart_hom"]) == 2
    assert "did you mean 'smart_home'" in capsys.readouterr().err
