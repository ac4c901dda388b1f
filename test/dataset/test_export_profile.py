"""Export profiles: what they accept, what they refuse, and what is made without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.dataset_takes import TakeOptions, take
from support.exported import aligned

from robot_recorder.dataset.export_profile import (
    ActionKind,
    chosen_names,
    default_profile,
    parse_export_profile,
)
from robot_recorder.model.errors import ConfigError

GOOD = """
rate_hz: 25
reference: none
features:
  observation.state: {values: {joints: [position/*]}}
  action: {action: end_effector, links: [hand], values: {commands: []}}
  observation.images.top: {camera: camera, size: [32, 24], crop: [0, 0, 64, 48]}
  observation.force.window: {window: force, rows: 12}
"""


def test_a_profile_is_read_and_written_without_loss() -> None:
    profile = parse_export_profile(GOOD, "good.yaml")
    assert parse_export_profile(profile.dump(), "again.yaml") == profile
    assert profile.features[1].values == (("commands", ("*",)),)
    assert profile.features[2].size == (32, 24)


@pytest.mark.parametrize(
    "rule, why",
    [
        ("{}", "exactly one of 'values', 'camera' and 'window'"),
        ("{values: {a: []}, camera: b}", "exactly one of"),
        ("{camera: a, size: [0, 4]}", r"expected \[width, height\]"),
        ("{camera: a, crop: [1, 2, 3]}", r"expected \[left, top, width, height\]"),
        ("{values: {a: []}, size: [3, 4]}", "only a camera"),
        ("{values: {a: []}, rows: 3}", "only a window"),
        ("{values: {a: []}, action: jump}", "'jump' is not a known value"),
        ("{values: {a: []}, action: end_effector}", "'links'"),
        ("{values: {a: []}, links: [hand]}", "'links'"),
        ("{camera: a, colour: red}", "unknown key 'colour'"),
    ],
)
def test_an_invalid_rule_is_refused_with_its_line(rule: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        parse_export_profile(f"features:\n  x: {rule}\n", "bad.yaml")
    assert "bad.yaml:2" in str(caught.value)


def test_a_name_with_a_slash_is_refused() -> None:
    with pytest.raises(ConfigError, match="write it with dots"):
        parse_export_profile("features: {a/b: {camera: c}}", "bad.yaml")


def test_names_match_with_and_without_their_unit() -> None:
    names = ("position/a (rad)", "position/b (rad)", "effort/a (N m)")
    assert chosen_names(("position/*",), names) == names[:2]
    assert chosen_names(("effort/a", "position/b (rad)"), names) == names[1:]


def test_every_stream_becomes_a_feature_without_a_profile(tmp_path: Path) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, 0, TakeOptions(seconds=0.6)))
    profile = default_profile(source.summary.streams, ActionKind.COMMAND)
    assert [rule.name for rule in profile.features] == [
        "observation.state", "action", "observation.force", "observation.force.window",
        "observation.images.camera", "observation.images.depth",
    ]  # fmt: skip
    assert profile.features[1].values == (("commands", ("position/*",)),)
    following = default_profile(source.summary.streams, ActionKind.NEXT_OBSERVATION)
    assert following.features[1].values == (("joints", ("position/*",)),)
    with pytest.raises(ConfigError, match="links"):
        default_profile(source.summary.streams, ActionKind.END_EFFECTOR)
