"""In the picture of statistics nothing is cut off and nothing overlaps."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from robot_recorder.catalogue.schema import PAIRS
from robot_recorder.catalogue.stats import EpisodeCounts, Side, Stats, TaskTarget
from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict
from robot_recorder.report import stats_picture

LONG = "the_left_hand_takes_the_item_with_a_very_long_name_from_the_top_shelf"


def tally(
    episodes: int, success: float = 0.9, verdicts: bool = True, labelled: bool = True
) -> EpisodeCounts:
    rng = random.Random(episodes)
    counts = [0] * len(PAIRS)
    for _ in range(min(episodes, 200)):
        outcome = Outcome.SUCCESS if rng.random() < success else Outcome.FAILURE
        verdict = rng.choice(list(Verdict)) if verdicts else Verdict.UNKNOWN
        counts[PAIRS.index((outcome if labelled else Outcome.UNLABELLED, verdict))] += max(
            episodes // 200, 1
        )
    return EpisodeCounts(tuple(counts), 20.0 * episodes, 10**7 * episodes, episodes / 50)


def stats(
    days: int = 1, tasks: int = 1, robots: int = 1, each: int = 50, name: str = "n", verdicts: bool = True, **more
) -> Stats:  # fmt: skip
    def some(count: int) -> dict[str, EpisodeCounts]:
        return {f"{name}{i}": tally(each + i, verdicts=verdicts, **more) for i in range(count)}

    by_day = {f"2026-{1 + i // 28:02d}-{1 + i % 28:02d}": tally(each, **more) for i in range(days)}
    reasons = {f"check_{name}{i}": {Verdict.REJECT: each, Verdict.REVIEW: 3 * each}
               for i in range(20)}  # fmt: skip
    return Stats(
        {
            Side.DAY: by_day, Side.TASK: some(tasks), Side.ROBOT: some(robots), Side.OPERATOR: some(robots),
            Side.PROGRAMME: some(min(tasks, 4)),
        },
        {f"{name}_cause{i}": each for i in range(20 if verdicts else 0)},
        reasons if verdicts else {},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("content", "targets"),
    [
        (stats(), 0),
        (stats(verdicts=False), 1),
        (stats(labelled=False), 0),
        (stats(days=40, tasks=15, robots=100, each=60_000), 15),
        (stats(days=300, tasks=40, robots=100, name=LONG), 40),
        (stats(days=10, tasks=3, robots=3, each=1), 3),
    ],
    ids=["one", "no verdicts", "no labels", "a floor", "long names", "few"],
)
def test_nothing_is_cut_off_or_covered(
    tmp_path: Path, monkeypatch, content: Stats, targets: int
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(plt, "close", figures.append)
    wanted = {
        name: TaskTarget(37 * i, 300)
        for i, name in enumerate(list(content.by[Side.TASK])[:targets])
    }
    stats_picture.draw_stats(content, wanted, tmp_path / "a.png")
    monkeypatch.undo()
    (figure,) = figures
    width, height = figure.canvas.get_width_height()
    boxes = []
    for axes in figure.axes:
        texts = [
            *axes.texts,
            *axes.get_xticklabels(),
            *axes.get_yticklabels(),
            axes.title,
            axes._left_title,
        ]
        inside = [t for t in texts if t.get_text() and axes.get_ylim()[0] != axes.get_ylim()[1]]
        boxes += [(t.get_text(), t.get_window_extent()) for t in inside]
    boxes += [(t.get_text(), t.get_window_extent()) for t in figure.texts]
    plt.close(figure)
    assert len(boxes) > 5
    for text, box in boxes:
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text
    for (text, box), (other, its) in itertools.combinations(boxes, 2):
        shrunk = its.shrunk(0.9, 0.9)
        assert not box.shrunk(0.9, 0.9).overlaps(shrunk), f"{text!r} lies on {other!r}"
