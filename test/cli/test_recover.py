"""``recover``, over what a crash left behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.bags import small_robot
from support.samples import T0, wrench, write_messages

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.cli.main import main


def test_recover_repairs_leftovers_and_names_those_it_cannot_repair(
    crashed_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = McapWriter()
    writer.open(crashed_root / "arm_killed.partial", {})
    write_messages(writer, [("/a", wrench(T0 + i), T0 + i) for i in range(10)])
    writer.sync()
    del writer  # as the end of its process would
    assert main(["recover", str(crashed_root)]) == 1
    out = capsys.readouterr().out
    assert "recovered arm_killed: 10 messages" in out and "1 of 2 leftovers recovered" in out
    assert "not recovered" in out and "no data file" in out and ".quarantine" in out
    assert main(["recover", str(crashed_root)]) == 0
    assert "0 of 0" in capsys.readouterr().out
    assert main(["episodes", str(crashed_root)]) == 0
    out = capsys.readouterr().out
    assert "arm_killed" in out and "not recoverable" in out
    assert main(["check", str(crashed_root / "arm_killed")]) == 1
    assert "recovered after a crash" in capsys.readouterr().out
    assert main(["recover", str(crashed_root / "nowhere")]) == 2


def test_a_damaged_file_of_a_described_bag_is_told_with_what_saves_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bag = small_robot(tmp_path / "bag", 1)
    assert main(["recover", str(bag)]) == 0 and "nothing to recover" in capsys.readouterr().out
    file = bag / "bag_0.mcap"
    file.write_bytes(file.read_bytes()[:-100])
    assert main(["recover", str(bag)]) == 1
    assert f"`robot-recorder recover {file}` makes a bag of" in capsys.readouterr().out
    assert main(["recover", str(file)]) == 0
    out = capsys.readouterr().out
    assert "recovered bag_0: 220 messages" in out and "`robot-recorder recover" not in out
