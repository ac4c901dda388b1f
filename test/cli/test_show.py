"""``robot-recorder show``, and which episode a person means.

Holds also: episode_argument.py.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.bags import small_robot
from support.repeats import repeat
from support.two_arms import two_arms

from robot_recorder.cli.episode_argument import chosen_episode
from robot_recorder.cli.main import main
from robot_recorder.model.errors import BagError


def test_a_picture_and_a_report_stand_beside_the_episode(tmp_path: Path, capsys) -> None:
    bag = small_robot(tmp_path / "bag", 2.0)
    assert main(["show", str(bag)]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "bag.png"),
        str(tmp_path / "bag.html"),
    ]
    assert (tmp_path / "bag.png").read_bytes()[:4] == b"\x89PNG"
    assert (tmp_path / "bag.html").read_text().startswith("<!doctype html>")


def test_one_file_or_a_folder_can_be_asked_for(tmp_path: Path, capsys) -> None:
    bag = small_robot(tmp_path / "bag", 2.0)
    assert main(["show", str(bag), "--out", str(tmp_path / "only.html")]) == 0
    assert main(["show", str(bag), "--out", str(tmp_path / "new" / "folder")]) == 0
    made = {p.name for p in tmp_path.rglob("*.*") if p.suffix in (".png", ".html")}
    assert made == {"only.html", "bag.png", "bag.html"}
    assert main(["show", str(bag), "--out", str(tmp_path / "a.pdf")]) == 2
    assert "a.pdf: can be written as .png or .html" in capsys.readouterr().err


def test_several_are_laid_over_each_other(tmp_path: Path, capsys, monkeypatch) -> None:
    bags = [repeat(tmp_path / f"good_{i}", 1 + i / 100) for i in range(3)]
    bags.append(repeat(tmp_path / "dropped", dropped_s=2.0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "150")
    assert main(["show", *map(str, bags)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "dropped" in lines[1] and "odd" in lines[1] and "-20 N" in lines[1], lines
    assert lines[-1].endswith("comparison.png") and (tmp_path / "comparison.png").exists()


def test_a_folder_means_its_newest_episode(tmp_path: Path) -> None:
    names = [
        "g1_20261122T101010_500_lift",
        "b2_20261123T101010_500_lift",
        "g1_20261123T091010_500_lift",
    ]
    for name in [*names, "z_20261124T000000_000_lift.partial", ".trash/x_20261125T000000_000_y"]:
        small_robot(tmp_path / name, 0.1)
    assert chosen_episode(tmp_path).name == names[1]
    assert chosen_episode(tmp_path / names[0]).name == names[0]
    (file,) = (tmp_path / names[0]).glob("*.mcap")
    assert chosen_episode(file).name == names[0]


def test_of_foreign_bags_the_newest_is_the_last_written(tmp_path: Path) -> None:
    for number, name in enumerate(("zebra", "ape")):
        bag = small_robot(tmp_path / name, 0.1)
        os.utime(bag / "metadata.yaml", (1000 + number, 1000 + number))
    assert chosen_episode(tmp_path).name == "ape"


def test_a_path_that_is_not_an_episode_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "alone.mcap").write_bytes(b"")
    for path, words in (
        (tmp_path, "alone.mcap is empty"),
        (tmp_path / "no", "does not exist"),
        (tmp_path / "alone.mcap", "a file of 0 bytes"),
    ):
        with pytest.raises(BagError, match=words):
            chosen_episode(path)


def test_text_in_brackets_is_text(tmp_path: Path, capsys, monkeypatch) -> None:
    labels = '[{"kind":"outcome","outcome":"failure","cause":"slip [/b] left","stamp_ns":1}]'
    bags = [small_robot(tmp_path / f"bag_{i}", 1.0, labels=labels) for i in range(2)]
    monkeypatch.setenv("COLUMNS", "150")
    assert main(["show", *map(str, bags), "--out", str(tmp_path / "c.png")]) == 0
    assert "slip [/b] left" in capsys.readouterr().out


def test_pictures_that_stand_beside_episodes_are_in_every_star(tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        assert main(["show", str(repeat(tmp_path / name, seconds=1.0))]) == 0
    assert (
        main(["show", *map(str, sorted(tmp_path.glob("*"))), "--out", str(tmp_path / "c.png")]) == 0
    )


def test_a_folder_that_cannot_be_written_to_is_named_at_once(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    bag = small_robot(tmp_path / "bag", 1.0)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    assert main(["show", str(bag)]) == 2
    assert "give another folder with --out" in capsys.readouterr().err


def test_a_stream_can_be_asked_for(tmp_path: Path, capsys) -> None:
    bag = two_arms(tmp_path / "bag")
    assert main(["show", str(bag), "--stream", "touch", "--out", str(tmp_path / "a.html")]) == 0
    text = (tmp_path / "a.html").read_text()
    assert '"title":"touch: normal"' in text and "left_arm: position" not in text
    assert main(["show", str(bag), "--stream", "tuch"]) == 2
    assert "no stream 'tuch'; did you mean 'touch'?" in capsys.readouterr().err
