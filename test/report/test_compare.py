"""A comparison of repeats finds, names and draws the odd one.

Holds also: compare_picture.py.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.pictures import pixels
from support.repeats import repeat
from support.samples import T0, wrench, write_bag
from support.two_arms import two_arms

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.errors import BagError
from robot_recorder.report import compare as report_compare
from robot_recorder.report import compare_picture
from robot_recorder.report.compare import compare
from robot_recorder.report.compare_picture import distance, draw_comparison, where


@pytest.fixture(scope="module")
def bags(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("repeats")
    good = [
        repeat(root / f"good_{i}", speed) for i, speed in enumerate((1.0, 1.01, 0.99, 1.02, 0.98))
    ]
    return [*good, repeat(root / "dropped", dropped_s=2.0)]


def test_the_repeat_that_dropped_the_object_comes_first_with_where_and_when(
    bags: list[Path],
) -> None:
    comparison = compare(bags)
    assert comparison.repeats[0].episode.id == "dropped"
    assert [o.odd for o in comparison.oddness] == [True] + [False] * 5
    assert comparison.channels[comparison.oddness[0].channel].kind == "force"
    assert 2.0 <= comparison.oddness[0].at_s <= 5.1 and comparison.oddness[0].by == pytest.approx(
        -20
    )
    assert "wrist -20 N" in where(comparison, 0)


def test_curves_begin_at_the_start_and_end_with_the_episode(bags: list[Path]) -> None:
    comparison = compare([bags[0], repeat(bags[0].parent / "short", seconds=3.0)])
    short = next(i for i, r in enumerate(comparison.repeats) if r.episode.id == "short")
    known = np.isfinite(comparison.values[short, :, 0])
    assert comparison.times_s[known][-1] == pytest.approx(2.96, abs=0.05)
    assert np.isfinite(comparison.values[1 - short, :, 0]).mean() > 0.98


@pytest.mark.parametrize("count", [2, 6, 12])
def test_the_picture_shows_all_repeats(bags: list[Path], count: int, tmp_path: Path) -> None:
    comparison = compare((bags * 2)[6 - count :] if count < 6 else (bags * 2)[:count])
    draw_comparison(comparison, tmp_path / "a.png")
    image = pixels(tmp_path / "a.png")
    assert image.shape[1] == 1500 and image.shape[0] > 800
    red = (np.abs(image.astype(int) - (40, 39, 214)) < 15).all(axis=2)
    assert red.sum() > 3000, "the first one's colour"


def test_episodes_with_nothing_in_common_are_reported(bags: list[Path], tmp_path: Path) -> None:
    write_bag(
        McapWriter(),
        tmp_path / "other",
        [("/other", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(100)],
    )
    comparison = compare([bags[0], tmp_path / "other"])
    assert comparison.channels == [] and where(comparison, 0) == "nothing to compare"
    draw_comparison(comparison, tmp_path / "a.png")


def test_a_long_episode_is_compared_to_its_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(report_compare, "_MOST_STEPS", 30)
    bags = [repeat(tmp_path / f"good_{i}", 1 + i / 200) for i in range(4)]
    comparison = compare([*bags, repeat(tmp_path / "astray", astray=2.0)])
    assert len(comparison.times_s) <= 31 and comparison.times_s[-1] > 5.7
    assert comparison.repeats[0].episode.id == "astray" and comparison.oddness[0].at_s >= 3.0


def test_an_unreadable_episode_is_named_and_the_others_are_compared(
    bags: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metadata.yaml").write_text("[")
    comparison = compare([*bags[:3], tmp_path / "bad"])
    assert len(comparison.repeats) == 3 and any("bad" in p for p in comparison.problems)
    with pytest.raises(BagError, match="bad"):
        compare([bags[0], tmp_path / "bad"])


def test_an_incomparable_episode_is_never_the_most_usual(bags: list[Path], tmp_path: Path) -> None:
    write_bag(
        McapWriter(),
        tmp_path / "other",
        [("/other", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(100)],
    )
    comparison = compare([*bags, tmp_path / "other"])
    assert comparison.repeats[-1].episode.id == "other" and distance(comparison.oddness[-1]) == "–"
    assert compare_picture._most_usual(comparison) == len(bags) - 1


def test_streams_are_compared_by_their_names(tmp_path: Path) -> None:
    bags = [two_arms(tmp_path / f"bag_{n}") for n in range(2)]
    labels = {c.label for c in compare(bags).channels}
    assert {
        "left_arm waist",
        "right_arm waist",
        "touch tip",
        "touch palm",
        "bodies hand x",
    } <= labels
    only = compare(bags, streams=["left_arm", "touch"]).channels
    assert {c.stream for c in only} == {"left_arm", "touch"}
