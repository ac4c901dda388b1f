"""What prevents a start, and what force does to it.

Holds also: model/answers.py.
"""

from __future__ import annotations

from support.monitors import fed, monitor

from robot_recorder.recorder.start_gate import in_brief, judge_start

T0 = 1_700_000_000_000_000_000


def test_the_start_gate_names_missing_streams_and_force_overrides_it() -> None:
    absent = monitor()
    reports = [(absent.config, absent.report(T0))]
    answer = judge_start(reports, "", force=False)
    assert not answer.ok and "s is missing" in answer.reason and "force" in answer.reason
    forced = judge_start(reports, "", force=True)
    assert forced.ok and "s is missing" in forced.reason


def test_what_is_wrong_with_many_streams_alike_is_said_once() -> None:
    every = [monitor(name=name, topic=f"arm_{name}") for name in ("a", "b", "c")]
    slow, now = fed(60, 5)
    reports = [(one.config, one.report(now)) for one in every]
    answer = judge_start([*reports[:1], (slow.config, slow.report(now)), *reports[1:]], "", False)
    first, second = answer.reason.removesuffix("; or start with force: true").split("; s is ")
    assert first.startswith("not started: a is missing (") and first.endswith(
        "), and so are b and c"
    )
    assert second.startswith("too slow (") and second.endswith(")")
    assert judge_start(reports[:2], "", force=True).reason.endswith("), and so is b")


def test_only_required_streams_prevent_a_start() -> None:
    optional = monitor(required=False)
    slow, now = fed(60, 5)
    reports = [(optional.config, optional.report(T0))]
    assert judge_start(reports, "", force=False).ok
    reports.append((slow.config, slow.report(now)))
    answer = judge_start(reports, "", force=False)
    assert not answer.ok and "s is too slow" in answer.reason and "60.0 Hz" in answer.reason


def test_a_short_disk_prevents_a_start_and_force_is_noted() -> None:
    answer = judge_start([], "the disk is short", force=False)
    assert not answer.ok and "the disk is short" in answer.reason
    assert not judge_start([], "", force=True).forced
    assert judge_start([], "the disk is short", force=True).forced


def test_what_is_wrong_is_said_in_brief() -> None:
    arms = [monitor(name=name, topic=f"arm_{name}") for name in ("a", "b")]
    reason = judge_start(
        [(a.config, a.report(T0)) for a in arms], "the disk is short", False
    ).reason
    assert in_brief(reason) == "a is missing, and so is b; the disk is short"
    assert in_brief("s is still (the robot (or its driver) sleeps); x") == "s is still; x"
    assert in_brief("cam is not encoded (avcodec_open2() failed)") == "cam is not encoded"
    for same in ("nothing arrives on /clock", "a (b", ""):
        assert in_brief(same) == same
