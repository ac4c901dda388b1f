"""``episodes``, ``stats`` and ``catalogue``, as they are typed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.episodes import make_episode
from support.samples import T0

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.keeper import open_store
from robot_recorder.catalogue.schema import FILE
from robot_recorder.cli.main import main
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

DAY_S = 86_400
TASKS = """
programmes:
  home: {title: Home}
tasks:
  fold: {instruction: Fold it., programme: home, target: 3}
  lift: {instruction: Lift it., programme: home, target: 1}
  iron: {instruction: Iron it., programme: home, target: 5}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six episodes of two robots on 2023-11-14 and the day after, and one two days later."""
    store = open_store(tmp_path / "root")
    make_episode(store, 0, 10, "r1", "fold", "ann", Outcome.SUCCESS, verdict="accept")
    make_episode(store, 60, 20, "r1", "fold", "ann", Outcome.FAILURE, "slip", "accept")
    make_episode(
        store, 120, 30, "r1", "lift", "bob", Outcome.SUCCESS, verdict="review", reasons=["gap"]
    )
    make_episode(
        store, DAY_S, 40, "r2", "lift", "bob", Outcome.SUCCESS, verdict="reject", reasons=["rate"]
    )
    make_episode(store, DAY_S + 60, 50, "r2", "lift", "bob")
    make_episode(store, 3 * DAY_S, 60, "r2", "fold", "ann", Outcome.SUCCESS)
    return tmp_path / "root"


@pytest.fixture
def run(capsys):
    def run(*arguments: object) -> str:
        assert main([str(a) for a in arguments]) == 0
        return capsys.readouterr().out

    return run


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
def test_filters(root: Path, run, arguments: list[str], seconds: list[float]) -> None:
    lines = [json.loads(line) for line in run("episodes", root, "--json", *arguments).splitlines()]
    assert [line["duration_s"] for line in lines] == seconds
    paths = run("episodes", root, "--paths", *arguments).split()
    assert paths == [line["path"] for line in lines] and all(Path(p).is_dir() for p in paths)
    table = run("episodes", root, *arguments)
    assert [f" {s:.1f} s " in table for s in (10, 20, 30, 40, 50, 60)] == [
        s in seconds for s in (10, 20, 30, 40, 50, 60)
    ]
    assert seconds or "no episode matches" in table


def test_the_table_says_the_verdict_and_how_many_there_are(root: Path, run) -> None:
    out = run("episodes", root, "--limit", 3)
    assert "reject: rate" in out and "the newest 3 of 6" in out
    assert out.index("40.0 s") < out.index("60.0 s"), "the newest stands at the prompt"
    assert "of 6" not in run("episodes", root)


def test_several_roots_are_one(root: Path, tmp_path: Path, run) -> None:
    other = open_store(tmp_path / "other")
    make_episode(other, 90, 15, "r9", "iron", "eve", Outcome.SUCCESS)
    both = [root, other.root]
    lines = [
        json.loads(line) for line in run("episodes", *both, "--json", "--limit", 5).splitlines()
    ]
    assert [line["duration_s"] for line in lines] == [15, 30, 40, 50, 60]
    assert lines[0]["path"].startswith(str(other.root))
    assert len(run("episodes", *both, "--paths", "--robot", "r9").split()) == 1
    stats = json.loads(run("stats", *both, "--json"))
    assert stats["total"]["episodes"] == 7 and stats["by"]["robot"]["r9"]["success"] == 1
    assert json.loads(run("stats", root, root, "--json"))["total"]["episodes"] == 6, "twice is once"


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
def test_what_does_not_exist_is_refused(
    root: Path, capsys, arguments: list[str], words: str
) -> None:
    assert main([*arguments, str(root)]) == 2
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
def test_what_makes_no_sense_is_refused(
    root: Path, capsys, arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit):
        main(["episodes", str(root), *arguments])
    assert words in capsys.readouterr().err


def test_what_others_did_shows_at_once(root: Path, tmp_path: Path, run) -> None:
    first = open_store(root).paths()[0]
    event = LabelEvent(T0, first.name, LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="drop")
    open_store(root).append_label(event)
    assert "failure: drop" in run("episodes", root)
    # A metadata.yaml that was changed on another machine and copied here: the row is looked at again.
    elsewhere = open_store(tmp_path / "elsewhere")
    shutil.copytree(first, elsewhere.root / first.name)
    elsewhere.append_label(LabelEvent(T0, first.name, LabelKind.OUTCOME, outcome=Outcome.SUCCESS))
    shutil.copy(elsewhere.root / first.name / "metadata.yaml", first / "metadata.yaml")
    assert "failure: drop" not in run("episodes", root)
    shutil.rmtree(first)
    shutil.copytree(elsewhere.root / first.name, root / "copied")
    paths = run("episodes", root, "--paths").split()
    assert str(first) not in paths and str(root / "copied") in paths


def test_the_catalogue_is_made_anew_on_demand(root: Path, run, capsys) -> None:
    out = run("catalogue", root)
    assert "6 episodes, 0 read anew, 0 gone, 0 unreadable" in out
    assert "6 episodes, 6 read anew" in run("catalogue", root, "--rebuild")
    with Catalogue(root) as catalogue, catalogue.writing():
        catalogue.connection.execute("UPDATE tally SET n00 = 1000")
    assert json.loads(run("stats", root, "--json"))["total"]["episodes"] > 1000
    run("catalogue", root, "--rebuild")
    assert json.loads(run("stats", root, "--json"))["total"]["episodes"] == 6
    (root / "broken").mkdir()
    (root / "broken" / "metadata.yaml").write_text("rubbish")
    assert main(["catalogue", str(root)]) == 1
    out = capsys.readouterr().out
    assert "1 unreadable" in out and "unreadable: " in out and "broken" in out
    shutil.rmtree(root / FILE.parent)
    (root / FILE.parent).write_text("in the way")
    assert main(["catalogue", str(root)]) == 2
    assert "can not be written" in capsys.readouterr().err
    assert main(["episodes", str(root)]) == 0
    printed = capsys.readouterr()
    assert "kept in memory" in printed.err and "reject: rate" in printed.out


def test_a_mistyped_folder_stays_as_it_was(tmp_path: Path, capsys) -> None:
    (tmp_path / "pictures").mkdir()
    assert main(["episodes", str(tmp_path)]) == 2
    assert "is not a bag, and a folder of pictures" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["pictures"]


def test_many_problems_do_not_bury_the_table(root: Path, run) -> None:
    for number in range(25):
        (root / f"died{number}.partial").mkdir()
    out = run("episodes", root)
    assert out.count("unfinished: ") == 20 and "... and 5 more like it" in out


def test_statistics_are_printed_drawn_and_given_as_json(root: Path, tmp_path: Path, run) -> None:
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(TASKS)
    out = run("stats", root, "--tasks", tasks, "--picture", tmp_path / "a.png")
    assert "6 episodes on 3 days from 2023-11-14 to 2023-11-17 (UTC): 80.0% success, 3 good" in out
    for words in ("home", "iron", "why attempts failed", "slip", "rate", "gap", "good = success"):
        assert words in out
    assert (tmp_path / "a.png").stat().st_size > 10_000
    found = json.loads(run("stats", root, "--tasks", tasks, "--json"))
    assert found["targets"] == {
        "fold": {"good": 2, "wanted": 3, "reached": 2 / 3},
        "lift": {"good": 1, "wanted": 1, "reached": 1},
        "iron": {"good": 0, "wanted": 5, "reached": 0},
    }
    assert found["by"]["programme"]["home"]["episodes"] == 6
    assert found["causes"] == {"slip": 1}
    assert found["reasons"] == {"gap": {"review": 1}, "rate": {"reject": 1}}
    assert found["total"]["hours"] == pytest.approx((150 + 110 + 60) / 3600)
    days = run("stats", root, "--by", "day")
    assert "2023-11-14" in days and "2023-11-17" in days and "ann" not in days
    only = json.loads(run("stats", root, "--json", "--task", "fold", "--until", "2023-11-14"))
    assert only["total"]["episodes"] == 2 and list(only["by"]["operator"]) == ["ann"]
