"""``align``: tables, references, and what is refused.

Holds also: bag_alignment.py, targets.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.bags import PROFILE, small_robot

from robot_recorder.cli.main import main


def test_align_writes_a_table_and_says_how_good_it_is(
    small_bag: Path, tmp_path: Path, capsys
) -> None:
    assert main(["align", str(small_bag), "--rate", "25", "--out", str(tmp_path / "x.npz")]) == 0
    out = capsys.readouterr().out
    assert "frames at 25 Hz, 100.0% complete" in out and "x real time" in out
    assert "joints" in out and "camera" in out
    table = np.load(tmp_path / "x.npz")
    assert len(table["tick_ns"]) > 95 and table["joints.values"].shape[1] == 2


def test_align_takes_several_bags_and_a_reference(small_bag: Path, tmp_path: Path, capsys) -> None:
    arguments = ["--reference", "/camera/image/compressed", "--out", str(tmp_path / "tables")]
    other = small_robot(tmp_path / "small_2", 2, profile_yaml=PROFILE)
    assert main(["align", str(small_bag), str(other), *arguments, "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 2 and lines[0]["reference"] == "camera"
    assert lines[0]["streams"]["camera"]["skew_max_ms"] == 0
    assert Path(lines[0]["table"]) == tmp_path / "tables" / "small_1.npz"
    assert main(["align", str(small_bag), str(small_bag), "--out", str(tmp_path / "one.npz")]) == 2
    assert "give a folder" in capsys.readouterr().err
    nothing = str(tmp_path / "nothing")
    assert (
        main(["align", nothing, str(small_bag), str(small_bag), "--out", str(tmp_path / "again")])
        == 2
    )
    printed = capsys.readouterr()
    assert "does not exist" in printed.err and "another bag of the same name" in printed.err
    assert (tmp_path / "again" / "small_1.npz").exists()


def test_requests_that_cannot_be_met_are_refused_by_name(
    small_bag: Path, tmp_path: Path, capsys
) -> None:
    for arguments, words in (
        ([str(small_bag), "--reference", "nose"], "'nose' is not an aligned stream"),
        ([str(tmp_path / "nothing")], "does not exist"),
        ([str(small_bag), "--profile", "nobody"], "no profile 'nobody'"),
    ):
        assert main(["align", *arguments, "--out", str(tmp_path)]) == 2
        assert words in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["align", str(small_bag), "--rate", "-3"])


def test_a_format_that_nothing_writes_is_not_the_name_of_a_folder(tmp_path: Path, capsys) -> None:
    bag = small_robot(tmp_path / "bag", 1, profile_yaml=PROFILE)
    assert main(["align", str(bag), "--out", str(tmp_path / "a.csv")]) == 2
    assert "no exporter writes '.csv'" in capsys.readouterr().err
    assert not (tmp_path / "a.csv").exists()
    (tmp_path / "run.1").mkdir()
    assert main(["align", str(bag), "--out", str(tmp_path / "run.1")]) == 0
    assert (tmp_path / "run.1" / "bag.npz").is_file()
