"""Verdicts follow from results and budgets, and reports are unchanged after JSON."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.model.check_result import Level, Result
from robot_recorder.model.quality_settings import Budget
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.verdict import QualityReport, Verdict, weigh

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
