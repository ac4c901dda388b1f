"""``view``, run as its users run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.described import described_robot

from robot_recorder.cli.main import main


def test_view_saves_a_file_and_lists_what_is_missing_in_it(tmp_path: Path, capsys) -> None:
    pytest.importorskip("rerun")
    bag, target = described_robot(tmp_path / "one"), tmp_path / "shared" / "one.rrd"
    assert main(["view", str(bag), "--save", str(target)]) == 0
    out = capsys.readouterr().out
    assert f"{target}: " in out and " MB" in out
    assert "/undefined" in out and "other_msgs/msg/Undefined" in out
    assert target.read_bytes().startswith(b"RRF2")
    assert [p.name for p in target.parent.iterdir()] == ["one.rrd"]


def test_a_full_disk_ends_it_with_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("rerun")
    bag = described_robot(tmp_path / "one")
    target = tmp_path / "saved" / "one.rrd"
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); "
        "import robot_recorder.view.log as log; log.PATIENCE_S = 1.0; "
        "from robot_recorder.cli.main import main; "
        f"raise SystemExit(main(['view', {str(bag)!r}, '--save', {str(target)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd="/", timeout=60
    )
    assert (
        done.returncode == 2
        and "error: the recording cannot be written: is the disk full" in done.stderr
    )
    assert not list(target.parent.iterdir())


def test_a_bag_that_was_cut_off_says_so(tmp_path: Path, capsys) -> None:
    pytest.importorskip("rerun")
    bag = described_robot(tmp_path / "one")
    (file,) = bag.glob("*.mcap")
    os.truncate(file, file.stat().st_size * 2 // 3)
    assert main(["view", str(bag), "--save", str(tmp_path / "one.rrd")]) == 0
    assert f"{file} is cut off or damaged" in capsys.readouterr().out


def test_view_refuses_a_path_that_is_not_a_bag(tmp_path: Path, capsys) -> None:
    pytest.importorskip("rerun")
    assert main(["view", str(tmp_path), "--save", str(tmp_path / "x.rrd")]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_without_rerun_it_says_how_to_get_it(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['rerun'] = None; "
        "from robot_recorder.cli.main import main; "
        f"raise SystemExit(main(['view', {str(tmp_path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: this command needs Rerun: pip install rerun-sdk==")
    pinned = Path(__file__).parents[2] / "requirements" / "view.txt"
    assert line.rpartition(" ")[2] in pinned.read_text(), "the version that is tested"


def test_other_commands_do_not_load_rerun() -> None:
    code = (
        "import sys; from robot_recorder.cli.main import main\n"
        "try: main(['view', '--help'])\n"
        "except SystemExit: pass\n"
        "assert 'rerun' not in sys.modules and 'pyarrow' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    assert "--save" in done.stdout and "--web" in done.stdout
