"""What a take is told beside its reference: figures, one score, sentences in the order of what they cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from robot_recorder.model.labels import Outcome
from robot_recorder.quality.verdict import Verdict
from robot_recorder.skill.coaching import MOST_SENTENCES, advice, best, figures, is_good, percent
from robot_recorder.skill.motion_score import MotionScore
from robot_recorder.skill.take_score import Phase, TakeScore

MOTION = MotionScore(-2.0, ((0.0, 1.0), (6.0, 6.8)), (3.0, 5.0), 8.0, 0.1, (0.0, 1.0))
TAKE = TakeScore(
    10.0, Outcome.SUCCESS, "", Verdict.ACCEPT, "", 0, (Phase("grasp", 5.0, 5.0), Phase("place", 8.0, 9.0)), MOTION
)  # fmt: skip


def take(**changes: Any) -> TakeScore:
    """Return the reference with changes of itself and of its motion."""
    motion = {key: changes.pop(key) for key in list(changes) if key in MotionScore.__annotations__}
    return replace(TAKE, motion=replace(MOTION, **motion), **changes)


def keys(own: TakeScore, reference: TakeScore | None = TAKE) -> list[str]:
    return [one.key for one in advice(own, reference)]


def test_a_take_as_good_as_the_reference_is_a_hundred_and_there_is_nothing_to_do_better() -> None:
    assert percent(TAKE, TAKE) == pytest.approx(100)
    assert keys(TAKE) == ["good"]
    assert {figure.mark for figure in figures(TAKE, TAKE)} == {"like"}


def test_what_is_better_than_the_reference_makes_up_for_nothing() -> None:
    assert percent(take(duration_s=5.0, smoothness=-1.5, travel_rad=2.0), TAKE) == pytest.approx(
        100
    )
    slow = percent(take(duration_s=20.0), TAKE)
    assert slow == pytest.approx(100 * 0.5**0.25)
    assert percent(take(duration_s=20.0, travel_rad=2.0), TAKE) == pytest.approx(slow)


def test_each_figure_says_whether_it_is_better_or_worse() -> None:
    own = take(duration_s=13.0, smoothness=-1.5, turns=(1.0,) * 9, travel_rad=8.5, recoveries=1)
    marks = {figure.name: figure.mark for figure in figures(own, TAKE)}
    assert marks == {
        "duration_s": "worse", "smoothness": "better", "still_s": "like", "turns": "worse",
        "travel_rad": "like", "recoveries": "worse",
    }  # fmt: skip


def test_standing_still_is_said_with_its_phase_and_both_times() -> None:
    own = take(duration_s=13.4, pauses=((0.0, 1.0), (2.0, 6.2), (9.4, 10.2)),
               phases=(Phase("grasp", 8.4, 8.4), Phase("place", 11.4, 12.4)))  # fmt: skip
    [one] = advice(own, TAKE)
    assert (one.key, one.text) == ("still_before", "grasp")
    assert one.own == pytest.approx(4.2) and one.reference == 0


def test_a_late_begin_is_said_once_and_not_as_standing_still() -> None:
    own = take(duration_s=13.0, pauses=((0.0, 4.0), (9.0, 9.8)),
               phases=(Phase("grasp", 8.0, 8.0), Phase("place", 11.0, 12.0)))  # fmt: skip
    [one] = advice(own, TAKE)
    assert (one.key, one.own, one.reference) == ("late", 4.0, 1.0)


def test_without_common_phases_the_whole_take_is_compared() -> None:
    own = take(duration_s=18.0, phases=(), pauses=((0.0, 1.0), (4.0, 9.0)))
    assert keys(own) == ["still_take", "slow_take"]
    odd = replace(own, phases=(Phase("wave", 2.0, 2.0),))
    assert keys(odd) == ["still_take", "slow_take"]


def test_phases_in_another_order_are_compared_up_to_the_first() -> None:
    own = take(phases=(Phase("place", 2.0, 2.0), Phase("grasp", 4.0, 4.0)))
    assert {one.text for one in advice(own, TAKE) if one.text} <= {"place"}


def test_what_failed_comes_first_then_the_recording_then_recoveries_then_what_cost_most() -> None:
    own = take(
        outcome=Outcome.FAILURE, cause="slip", verdict=Verdict.REJECT, reason="gap", recoveries=2,
        duration_s=30.0, turns=(1.0,) * 9, smoothness=-3.0,
    )  # fmt: skip
    found = advice(own, TAKE)
    assert [one.key for one in found[:3]] == ["failed", "reject", "recoveries"]
    assert [one.text for one in found[:2]] == ["slip", "gap"]
    assert len(found) == MOST_SENTENCES and found[3].key == "slow_after"


def test_rough_and_roundabout_ways_are_said_worst_first() -> None:
    assert keys(take(smoothness=-2.4, travel_rad=20.0, turns=(1.0,) * 3)) == ["travel", "rough"]
    assert keys(take(turns=(1.0,) * 8)) == ["turns"]


def test_what_is_not_measured_is_unknown_and_says_nothing() -> None:
    unmeasured = replace(TAKE, motion=None)
    assert percent(unmeasured, TAKE) is None and percent(TAKE, None) is None
    assert percent(take(smoothness=None), TAKE) is None
    assert keys(unmeasured) == [] and keys(TAKE, None) == []
    by_name = {figure.name: figure for figure in figures(unmeasured, TAKE)}
    assert by_name["smoothness"].own is None and by_name["smoothness"].mark == ""
    assert by_name["duration_s"].mark == "like"


def test_the_best_take_is_accepted_successful_and_nearest_to_the_best_of_each_figure() -> None:
    failed = take(outcome=Outcome.FAILURE, duration_s=2.0)
    looked_at = take(verdict=Verdict.REVIEW, duration_s=2.0)
    hasty = take(duration_s=8.0, turns=(1.0,) * 20)
    assert best([failed, looked_at, hasty, TAKE, take(duration_s=14.0)]) == 3
    assert best([failed, looked_at, replace(TAKE, motion=None)]) is None
    assert best([]) is None
    assert is_good(TAKE) and not is_good(failed) and not is_good(looked_at)
