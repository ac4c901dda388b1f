"""The quality mappings of profiles, streams and tasks.

Holds also: model/quality_settings.py.
"""

from __future__ import annotations

import pytest

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.model.check_result import Level
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.quality_settings import Budget, budget_of, threshold_of
from robot_recorder.model.thresholds import THRESHOLDS

PROFILE = """
robot: arm
quality:
  budget: {{fail: 0, warn: 3}}
  wrench_bias: {{warn: 2, fail: 5}}
  camera_blurred: warn
  {top}
streams:
  wrench:
    topic: wrench
    type: geometry_msgs/msg/WrenchStamped
    role: observation
    rate_hz: 100
    quality: {{range: 200, {stream}}}
"""


def parsed(top: str = "idle_head: off", stream: str = "wrench_bias: {warn: 1}"):
    return parse_profile(PROFILE.format(top=top, stream=stream), "p.yaml")


def test_the_most_specific_setting_takes_precedence() -> None:
    profile = parsed()
    stream = profile.streams[0]
    task = parse_tasks(
        "tasks: {lift: {instruction: Lift., quality: {wrench_bias: {fail: 9}, budget: {warn: 1}}}}"
    ).find("lift")
    chain = [profile.quality, stream.quality, task.quality]
    found = threshold_of("wrench_bias", chain)
    assert (found.warn, found.fail) == (1, 9)
    assert threshold_of("idle_head", chain).most is None
    assert threshold_of("camera_blurred", chain).most is Level.WARN
    assert threshold_of("gap", chain) == THRESHOLDS["gap"]
    assert budget_of(chain) == Budget(0, 1) and budget_of(chain[:2]) == Budget(0, 3)
    assert stream.quality.range == 200


def test_quality_settings_are_part_of_the_tasks_text() -> None:
    text = "tasks: {lift: {instruction: Lift., quality: {idle_head: off, gap: {warn: 0.2}}}}"
    task = parse_tasks(text).find("lift")
    assert parse_tasks(task.text).find("lift").quality == task.quality


@pytest.mark.parametrize(
    ("top", "stream", "words"),
    [
        ("camera_blak: warn", "", "p.yaml:7: quality: 'camera_blak': there is no such check; did you mean 'camera_black'"),
        ("gap: never", "", "'never' is not a known value"),
        ("gap: {warn: 5, fail: 1}", "", "'warn' 5 is above 'fail' 1"),
        ("too_short: {warn: 1, fail: 2}", "", "'warn' 1 is below 'fail' 2"),
        ("gap: {wran: 5}", "", "unknown key 'wran'; did you mean 'warn'"),
        ("gap: {warn: soon}", "", "expected a number"),
        ("idle_head: off", "range: -3", "appears twice"),
        ("idle_head: off", "losses: [1]", "expected a mapping"),
    ],
)  # fmt: skip
def test_errors_name_the_place_and_the_remedy(top: str, stream: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(top, stream)
    assert words in str(caught.value)


def test_a_budget_consists_of_whole_numbers() -> None:
    with pytest.raises(ConfigError, match="whole number, 0 or more"):
        parse_profile(
            PROFILE.format(top="gap: off", stream="gap: off").replace("warn: 3", "warn: -1"), "p"
        )
