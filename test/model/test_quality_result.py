"""Levels follow from figures, verdicts from budgets, and results are unchanged after JSON."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.quality_result import Level, Result, Threshold
from robot_recorder.model.quality_settings import Budget
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.report import QualityReport, Verdict, weigh


@pytest.mark.parametrize(
    ("threshold", "figure", "level"),
    [
        (Threshold(warn=1, fail=2), 1.0, Level.PASS),
        (Threshold(warn=1, fail=2), 1.5, Level.WARN),
        (Threshold(warn=1, fail=2), 2.1, Level.FAIL),
        (Threshold(warn=1), 100.0, Level.WARN),
        (Threshold(warn=2, fail=1, below=True), 2.0, Level.PASS),
        (Threshold(warn=2, fail=1, below=True), 1.5, Level.WARN),
        (Threshold(warn=2, fail=1, below=True), 0.5, Level.FAIL),
        (Threshold(warn=1, fail=2, most=Level.WARN), 100.0, Level.WARN),
        (Threshold(), 100.0, Level.PASS),
        (Threshold(warn=1, fail=2), math.nan, Level.FAIL),
        (Threshold(warn=2, fail=1, below=True), math.nan, Level.FAIL),
    ],
)
def test_a_figure_gets_the_level_of_its_threshold(
    threshold: Threshold, figure: float, level: Level
) -> None:
    assert threshold.judge(figure) is level


def test_every_default_threshold_warns_before_it_fails() -> None:
    for name, threshold in THRESHOLDS.items():
        if threshold.warn is not None and threshold.fail is not None:
            assert threshold.below == (threshold.warn > threshold.fail) or (
                threshold.warn == threshold.fail
            ), name


results = st.builds(
    Result,
    st.sampled_from(list(THRESHOLDS)),
    st.sampled_from(["", "head_camera", "joints"]),
    st.sampled_from(list(Level)),
    st.floats(-1e6, 1e6).map(lambda x: round(x, 3)),
    st.none() | st.floats(-1e6, 1e6),
    st.sampled_from(["s", "N"]),
    st.text(max_size=20),
)


@given(st.lists(results, max_size=20), st.integers(0, 3), st.integers(0, 3))
def test_the_verdict_follows_from_the_budget(found: list[Result], fail: int, warn: int) -> None:
    report = weigh(found, ["x: broke"], Budget(fail, warn))
    fails = sum(r.level is Level.FAIL for r in found)
    warns = sum(r.level is Level.WARN for r in found)
    expected = (
        Verdict.REJECT
        if fails > fail
        else Verdict.REVIEW
        if fails or warns > warn
        else Verdict.ACCEPT
    )
    assert report.verdict is expected and report.sentence.startswith(expected.text)
    assert [r.level for r in report.results] == sorted((r.level for r in found), reverse=True)
    assert bool(report.reasons) == (expected is not Verdict.ACCEPT)
    again = QualityReport.from_dict(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    assert (again.verdict, again.sentence, again.findings) == (
        report.verdict, report.sentence, report.findings,
    )  # fmt: skip
    passed = {(r.check, r.stream): r.figure for r in report.results if r.level is Level.PASS}
    assert {(r.check, r.stream): r.figure for r in again.results if r.level is Level.PASS} == passed


def test_the_sentence_names_the_worst_stream_and_counts_the_rest() -> None:
    found = [
        Result("idle_head", "", Level.WARN, 5, 3, "s", "the robot stood still"),
        Result("camera_black", "head_camera", Level.FAIL, 2, 0.5, "s", "was black for 2.0 s"),
    ]
    report = weigh(found, [], Budget())
    assert report.sentence == "reject: head_camera was black for 2.0 s (and 1 more)"
    assert report.reasons == ["camera_black", "idle_head"]
    assert weigh([], [], Budget()).sentence == "accept: no problems found"
    unchecked = weigh([], ["a", "b", "c"], Budget()).sentence
    assert unchecked == "accept: no problems found; not checked: a (and 2 more)"
