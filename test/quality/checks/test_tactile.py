"""Tactile pads and the contact a task requires."""

from __future__ import annotations

import pytest
from support.checked import RNG, TIMES, facts, finish, pressures

from robot_recorder.configuration.tasks import Contact, Task
from robot_recorder.model.check_result import Level
from robot_recorder.model.thresholds import THRESHOLDS
from robot_recorder.quality.checks.tactile import NeverTouched, taxel_label
from robot_recorder.quality.checks.values import Trace

PASS, WARN, FAIL = Level.PASS, Level.WARN, Level.FAIL


@pytest.mark.parametrize(
    ("contact", "left", "right", "level"),
    [
        (Contact.ALL, True, True, PASS),
        (Contact.ALL, True, False, FAIL),
        (Contact.ANY, True, False, PASS),
        (Contact.ANY, False, False, FAIL),
    ],
)
def test_a_contact_task_requires_touch(
    contact: Contact, left: bool, right: bool, level: Level
) -> None:
    touches = {}
    for name, touched in (("left", left), ("right", right)):
        touches[name] = Trace(("normal (Pa)",))
        rows = pressures() if touched else RNG.normal(0, 30, (len(TIMES), 16))
        touches[name].add(TIMES, rows.sum(axis=1, keepdims=True))
    task = Task("lift", "Lift.", contact=contact)
    assert finish(NeverTouched, facts(task=task, touches=touches)).level is level
    assert not list(NeverTouched("", THRESHOLDS["never_touched"]).finish(facts(touches=touches)))


@pytest.mark.parametrize("touched", [True, False])
def test_touch_in_raw_counts_is_told_from_noise(touched: bool) -> None:
    rows = RNG.normal(1000, 2, (len(TIMES), 1)).round()
    rows[len(rows) // 2 :] += 400 if touched else 0
    trace = Trace(("normal (raw)",))
    trace.add(TIMES, rows)
    task = Task("lift", "Lift.", contact=Contact.ALL)
    result = finish(NeverTouched, facts(task=task, touches={"pad": trace}))
    assert result.level is (PASS if touched else FAIL)


def test_taxels_of_several_pads_are_named() -> None:
    assert taxel_label("normal/palm/3,4 (raw)", 17) == "palm/3,4"
    assert taxel_label("normal/3,4 (Pa)", 17) == "17"
