"""The table of checks in docs/quality.md agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

from robot_recorder.model.check_result import Threshold
from robot_recorder.model.thresholds import THRESHOLDS

DOCS = Path(__file__).parents[2] / "docs" / "quality.md"


def number(cell: str) -> float | None:
    found = re.match(r"[<>] ([\d.]+)", cell)
    return float(found[1]) if found else None


def test_all_checks_are_documented_with_their_limits() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCS.read_text().splitlines()
        if re.match(r"\| `[a-z_]+`(, `[a-z_]+`)* \|", line) and line.count("|") == 6
    ]
    limits: dict[str, tuple[float | None, float | None]] = {}
    for names, _, _, warns, fails in rows:
        for name in re.findall(r"`([a-z_]+)`", names):
            limits[name] = number(warns), number(fails)
    assert set(limits) == set(THRESHOLDS)
    for name, (warn, fail) in limits.items():
        threshold: Threshold = THRESHOLDS[name]
        if name.startswith("too_"):
            continue  # depends on the task
        assert fail == threshold.fail, name
        same = threshold.warn == threshold.fail  # it fails without warning before
        assert warn == (None if same else threshold.warn), name


def test_every_default_threshold_warns_before_it_fails() -> None:
    for name, threshold in THRESHOLDS.items():
        if threshold.warn is not None and threshold.fail is not None:
            assert threshold.below == (threshold.warn > threshold.fail) or (
                threshold.warn == threshold.fail
            ), name
