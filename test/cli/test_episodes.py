"""``episodes``: filters, several roots, and what others did to a root meanwhile.

Holds also: episodes_table.py, filters.py, roots.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.cli.main import main
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome


@pytest.mark.parametrize(
    ("arguments", "seconds"),
    [
        ([], [10, 20, 30, 40, 50, 60]),
        (["--task", "fold"], [10, 20, 60]),
        (["--robot", "r2", "--task", "lift"], [40, 50]),
        (["--operator", "bob"], [30, 40, 50]),
        (["--outcome", "failure"], [20]),
        (["--outcome", "unlabelled"], [50]),
        (["--verdict", "review"], [30]),
        (["--verdict", "unknown"], [50, 60]),
        (["--since", "2023-11-15"], [40, 50, 60]),
        (["--until", "2023-11-14"], [10, 20, 30]),
        (["--since", "2023-11-15T22:14", "--until", "2023-11-15T23:00"], [50]),
        (["--since", "2023-11-16T00:14+02:00", "--until", "2023-11-15"], [50]),
        (["--longer", "30", "--shorter", "50.5"], [30, 40, 50]),
        (["--limit", "2"], [50, 60]),
        (["--verdict", "reject", "--outcome", "failure"], []),
    ],
)
def test_filters(six_episodes: Path, run, arguments: list[str], seconds: list[float]) -> None:
    lines = [
        json.loads(line)
        for line in run("episodes", six_episodes, "--json", *arguments).splitlines()
    ]
    assert [line["duration_s"] for line in lines] == seconds
    paths = run("episodes", six_episodes, "--paths", *arguments).split()
    assert paths == [line["path"] for line in lines] and all(Path(p).is_dir() for p in paths)
    table = run("episodes", six_episodes, *arguments)
    assert [f" {s:.1f} s " in table for s in (10, 20, 30, 40, 50, 60)] == [
        s in seconds for s in (10, 20, 30, 40, 50, 60)
    ]
    assert seconds or "no episode matches" in table


def test_the_table_says_the_verdict_and_how_many_there_are(six_episodes: Path, run) -> None:
    out = run("episodes", six_episodes, "--limit", 3)
    assert "reject: rate" in out and "the newest 3 of 6" in out
    assert out.index("40.0 s") < out.index("60.0 s"), "the newest stands at the prompt"
    assert "of 6" not in run("episodes", six_episodes)


def test_several_roots_are_one(six_episodes: Path, tmp_path: Path, run) -> None:
    other = open_store(tmp_path / "other")
    make_episode(other, 90, 15, "r9", "iron", "eve", Outcome.SUCCESS)
    both = [six_episodes, other.root]
    lines = [
        json.loads(line) for line in run("episodes", *both, "--json", "--limit", 5).splitlines()
    ]
    assert [line["duration_s"] for line in lines] == [15, 30, 40, 50, 60]
    assert lines[0]["path"].startswith(str(other.root))
    assert len(run("episodes", *both, "--paths", "--robot", "r9").split()) == 1
    stats = json.loads(run("stats", *both, "--json"))
    assert stats["total"]["episodes"] == 7 and stats["by"]["robot"]["r9"]["success"] == 1
    assert (
        json.loads(run("stats", six_episodes, six_episodes, "--json"))["total"]["episodes"] == 6
    ), "twice is once"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["episodes", "--robot", "r3"], "no episode of robot 'r3'; known: r1, r2"),
        (["episodes", "--task", "ann"], "known: fold, lift"),
        (["stats", "--operator", "anne"], "did you mean 'ann'?"),
        (["stats", "--until", "2020-01-01"], "no episode matches"),
        (["stats", "--since", "2023-11-14T10:00"], "whole days"),
        (["stats", "--tasks", "/nowhere.yaml"], "No such file"),
    ],
)
def test_unknown_names_are_refused_in_one_line(
    six_episodes: Path, capsys, arguments: list[str], words: str
) -> None:
    assert main([*arguments, str(six_episodes)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and words in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--verdict", "good"], "unknown 'good'; known: accept, reject, review, unknown"),
        (["--since", "yesterday"], "write it as 2026-01-31"),
        (["--longer", "-1"], "not a number of seconds"),
        (["--limit", "0"], "whole number of at least 1"),
        (["--paths", "--json"], "not allowed"),
    ],
)
def test_invalid_filters_are_refused(
    six_episodes: Path, capsys, arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit):
        main(["episodes", str(six_episodes), *arguments])
    assert words in capsys.readouterr().err


def test_changes_by_other_programs_show_at_once(six_episodes: Path, tmp_path: Path, run) -> None:
    first = open_store(six_episodes).paths()[0]
    event = LabelEvent(T0, first.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="drop")
    open_store(six_episodes).append_label(event)
    assert "failure: drop" in run("episodes", six_episodes)
    # A metadata.yaml that was changed on another machine and copied here: the row is looked at again.
    elsewhere = open_store(tmp_path / "elsewhere")
    shutil.copytree(first, elsewhere.root / first.name)
    elsewhere.append_label(LabelEvent(T0, first.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
    shutil.copy(elsewhere.root / first.name / "metadata.yaml", first / "metadata.yaml")
    assert "failure: drop" not in run("episodes", six_episodes)
    shutil.rmtree(first)
    shutil.copytree(elsewhere.root / first.name, six_episodes / "copied")
    paths = run("episodes", six_episodes, "--paths").split()
    assert str(first) not in paths and str(six_episodes / "copied") in paths


def test_a_mistyped_folder_stays_as_it_was(tmp_path: Path, capsys) -> None:
    (tmp_path / "pictures").mkdir()
    assert main(["episodes", str(tmp_path)]) == 2
    assert "is not a bag but a folder of pictures" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


def test_many_problems_do_not_bury_the_table(six_episodes: Path, run) -> None:
    for number in range(25):
        (six_episodes / f"died{number}.partial").mkdir()
    out = run("episodes", six_episodes)
    assert out.count("unfinished: ") == 20 and "... and 5 more like it" in out
