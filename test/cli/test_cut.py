"""``cut``: takes of a long episode become episodes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.bags import small_robot
from support.long_episode import ID, SHIFT, long_episode, mark

from robot_recorder.cli.main import main
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.store import EpisodeStore
from robot_recorder.episodes.trash import TRASH
from robot_recorder.model.labels import TAKE

FIRST, SECOND = "small_20231114T221322_000_lift_box", "small_20231114T221329_000_carry_tray"


def test_a_dry_run_writes_nothing_then_each_take_is_made_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(long_episode(tmp_path))
    assert main(["cut", source, "--list"]) == 0
    out = capsys.readouterr().out
    assert f"to be made: {FIRST} (2.000 to 5.000 s, task lift_box, success)" in out
    assert out.endswith(f"2 parts of {ID}: 2 to be made, 0 there already\n")
    assert [p.name for p in tmp_path.iterdir()] == [ID]
    assert main(["cut", source]) == 0
    out = capsys.readouterr().out
    assert f"made {SECOND} (9.000 to 12.000 s, task carry_tray, failure: slip; " in out
    assert "reject: camera has a sharpness" in out and "2 made, 0 there already" in out
    assert main(["cut", source, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert [(one["episode_id"], one["new"]) for one in plain] == [(FIRST, False), (SECOND, False)]
    assert plain[0]["path"] == str(tmp_path / FIRST) and plain[0]["made_bytes"] is None
    assert main(["check", str(tmp_path / FIRST), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["problems"] == []


def test_times_another_root_and_a_pre_roll(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = long_episode(tmp_path / "a")
    words = ["cut", str(source), "--from", "3", "--to", "6.5", "--pre-roll", "1", "--no-check"]
    assert main([*words, "--into", str(tmp_path / "b"), "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    episode = Episode.open(one["path"])
    assert episode.path.parent == tmp_path / "b" and episode.duration_s == 3.5
    assert episode.pre_roll_s == 1 and episode.quality.verdict.text == "unknown"


def test_labels_that_mark_no_take_are_told_and_do_not_hinder_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = long_episode(tmp_path, *SHIFT, mark(TAKE, 15))
    assert main(["cut", str(source), "--no-check"]) == 1
    told = capsys.readouterr()
    assert "take at 15.000 s is no take: no take_begin before it" in told.err
    assert "2 made" in told.out


def test_takes_marked_afterwards_by_label_are_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(long_episode(tmp_path))
    label = ["label", source, "--by", "eve", "--take", "14-16", "--task", "clean_table"]
    assert main([*label, "--failure", "spot_left"]) == 0
    assert (
        "annotated: take 14.000 to 16.000 s, task clean_table, failure: spot_left"
        in capsys.readouterr().out
    )
    assert main([*label, "--failure", "no_such_cause"]) == 1
    with pytest.raises(SystemExit):
        main(["label", source, "--by", "eve", "--take", "14"])
    assert Episode.open(source).labels.task == "lift_box", "the whole keeps its own"
    capsys.readouterr()
    assert main(["cut", source, "--no-check"]) == 0
    assert "14.000 to 16.000 s, task clean_table, failure: spot_left" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["--annotation", "lift"],
            "has no annotation 'lift'; it has take_begin, grasp, take, hold",
        ),
        (["--from", "30"], "the episode goes from 0.000 to 20.000 s"),
        (["--from", "5", "--to", "5"], "there is nothing from 5 to 5 s"),
        (["--from", "x"], "is not a number"),
        (["--from", "nan"], "is not a number"),
        (["--to", "1e300"], "to 1e+06"),
        (["--pre-roll", "-1"], "from 0 to 3600"),
        (["--tasks", "missing.yaml"], "missing.yaml"),
        (["more"], "more"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    source = str(long_episode(tmp_path))
    try:
        assert main(["cut", source, *words]) == 2
    except SystemExit as ended:  # for what the parser refuses
        assert ended.code == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == [ID]


def test_what_is_recorded_discarded_or_no_bag_of_ours_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = long_episode(tmp_path)
    (tmp_path / "b.partial").mkdir()
    assert main(["cut", str(tmp_path / "b")]) == 2 and "is not finished" in capsys.readouterr().err
    assert main(["cut", str(tmp_path / "missing")]) == 2
    assert "does not exist" in capsys.readouterr().err
    EpisodeStore(tmp_path).discard(source)
    assert main(["cut", str(tmp_path / TRASH / ID)]) == 2
    assert "is in the trash" in capsys.readouterr().err
    other = small_robot(tmp_path / "other", 2)
    assert main(["cut", str(other)]) == 2 and "it has no annotations" in capsys.readouterr().err
    assert main(["cut", str(other), "--from", "0.5", "--to", "1.5"]) == 0, (
        "a bag of another recorder"
    )
