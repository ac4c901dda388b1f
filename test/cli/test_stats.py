"""``stats``: statistics printed, drawn, and as JSON.

Holds also: stats_tables.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

TASKS = """
programmes:
  home: {title: Home}
tasks:
  fold: {instruction: Fold it., programme: home, target: 3}
  lift: {instruction: Lift it., programme: home, target: 1}
  iron: {instruction: Iron it., programme: home, target: 5}
"""


def test_statistics_are_printed_drawn_and_given_as_json(
    six_episodes: Path, tmp_path: Path, run
) -> None:
    tasks = tmp_path / "tasks.yaml"
    tasks.write_text(TASKS)
    out = run("stats", six_episodes, "--tasks", tasks, "--picture", tmp_path / "a.png")
    assert "6 episodes on 3 days from 2023-11-14 to 2023-11-17 (UTC): 80.0% success, 3 good" in out
    for words in ("home", "iron", "why attempts failed", "slip", "rate", "gap", "good = success"):
        assert words in out
    assert (tmp_path / "a.png").stat().st_size > 10_000
    found = json.loads(run("stats", six_episodes, "--tasks", tasks, "--json"))
    assert found["targets"] == {
        "fold": {"good": 2, "wanted": 3, "reached": 2 / 3},
        "lift": {"good": 1, "wanted": 1, "reached": 1},
        "iron": {"good": 0, "wanted": 5, "reached": 0},
    }
    assert found["by"]["programme"]["home"]["episodes"] == 6
    assert found["causes"] == {"slip": 1}
    assert found["reasons"] == {"gap": {"review": 1}, "rate": {"reject": 1}}
    assert found["total"]["hours"] == pytest.approx((150 + 110 + 60) / 3600)
    days = run("stats", six_episodes, "--by", "day")
    assert "2023-11-14" in days and "2023-11-17" in days and "ann" not in days
    only = json.loads(
        run("stats", six_episodes, "--json", "--task", "fold", "--until", "2023-11-14")
    )
    assert only["total"]["episodes"] == 2 and list(only["by"]["operator"]) == ["ann"]
