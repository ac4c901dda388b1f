"""``catalogue``: the index brought up to date and rebuilt."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from robot_recorder.catalogue.catalogue import Catalogue
from robot_recorder.catalogue.schema import FILE
from robot_recorder.cli.main import main


def test_the_catalogue_is_made_anew_on_demand(six_episodes: Path, run, capsys) -> None:
    out = run("catalogue", six_episodes)
    assert "6 episodes, 0 read anew, 0 gone, 0 unreadable" in out
    assert "6 episodes, 6 read anew" in run("catalogue", six_episodes, "--rebuild")
    with Catalogue(six_episodes) as catalogue, catalogue.writing():
        catalogue.connection.execute("UPDATE tally SET n00 = 1000")
    assert json.loads(run("stats", six_episodes, "--json"))["total"]["episodes"] > 1000
    run("catalogue", six_episodes, "--rebuild")
    assert json.loads(run("stats", six_episodes, "--json"))["total"]["episodes"] == 6
    (six_episodes / "broken").mkdir()
    (six_episodes / "broken" / "metadata.yaml").write_text("rubbish")
    assert main(["catalogue", str(six_episodes)]) == 1
    out = capsys.readouterr().out
    assert "1 unreadable" in out and "unreadable: " in out and "broken" in out
    shutil.rmtree(six_episodes / FILE.parent)
    (six_episodes / FILE.parent).write_text("in the way")
    assert main(["catalogue", str(six_episodes)]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["episodes", str(six_episodes)]) == 0
    printed = capsys.readouterr()
    assert "kept in memory" in printed.err and "reject: rate" in printed.out
