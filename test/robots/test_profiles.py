"""Shipped profiles of robots and devices: good takes are accepted and true, defects are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message
from support.robot_bags import send, write_take
from support.robot_defects import defects
from support.robot_messages import message_class, owners
from support.robot_truth import errors
from support.robot_zoo import CONFIG, DEVICES, ROBOTS, TAKES, make_take, profile_of
from support.samples import T0

from robot_recorder.episodes.episode import Episode
from robot_recorder.offline.align import frames_of
from robot_recorder.offline.check import check_episode
from robot_recorder.quality.verdict import Verdict

DOCS = Path(__file__).parents[2] / "docs"
NO_TAKE = {"g1_sim", "minimal_arm", "dex3"}  # simulated; to copy; part of the takes of a G1


def test_every_profile_has_a_take_and_is_listed_with_its_page() -> None:
    shipped = {path.stem for path in CONFIG.glob("*/*.yaml")}
    assert shipped - NO_TAKE == set(TAKES)
    index = (DOCS / "robots.md").read_text()
    for name in sorted(shipped):
        assert f"`{name}`" in index, f"docs/robots.md does not list {name}"
    for page in (DOCS / "robots").glob("*.md"):
        assert f"robots/{page.name}" in index, f"docs/robots.md does not link {page.name}"


@pytest.mark.parametrize("name", TAKES)
def test_a_profile_records_every_topic_of_its_take(name: str) -> None:
    profile = profile_of(name)
    take = make_take(name, seconds=4.0)
    types = {stream.topic: stream.type for stream in profile.streams}
    sent = {topic: made.type for topic, made in take.topics.items()}
    assert types.items() >= sent.items()
    required = {stream.topic for stream in profile.streams if stream.required}
    assert required <= set(sent), "a take without a required stream"


@pytest.mark.parametrize("name", TAKES)
def test_messages_made_in_bulk_say_what_was_put_into_them(name: str) -> None:
    for topic in make_take(name, seconds=4.0).topics.values():
        sent = send(topic, T0, np.random.default_rng(0))
        message = deserialize_message(sent.messages[7], message_class(topic.type))
        for path, values in topic.columns.items():
            put = np.ravel(values[7])
            said = np.ravel([getattr(owner, field) for owner, field in owners(message, path)])
            assert np.allclose(said[: len(put)], put, atol=1e-2 * np.abs(put).max() + 1e-3), path


@pytest.mark.parametrize("name", TAKES)
def test_a_good_take_is_accepted_and_its_frames_are_true(name: str, tmp_path: Path) -> None:
    profile, take = profile_of(name), make_take(name)
    path = write_take(take, tmp_path / name)
    result = check_episode(path, profile)
    assert not result.problems
    assert result.report.verdict is Verdict.ACCEPT, result.report.sentence
    found = errors(take, frames_of(Episode.open(path), profile=profile), T0)
    assert all(share < 1 for share in found.values()), f"error / tolerance: {found}"


@pytest.mark.parametrize("name", TAKES)
def test_defects_are_named_by_stream_and_check(name: str, tmp_path: Path) -> None:
    """All in one take that do not hide each other; ``make bench-robots`` plants every one alone."""
    take = make_take(name)
    planted = [defect for defect in defects(take) if not defect.alone]
    for defect in planted:
        defect.plant(take)
    report = check_episode(write_take(take, tmp_path / name), profile_of(name)).report
    missed = [defect.name for defect in planted if not defect.found(report)]
    assert not missed, f"{missed}; named: {report.reasons}; not checked: {report.broken}"
    assert report.verdict is not Verdict.ACCEPT


def test_the_takes_are_of_ten_robots_and_fourteen_devices() -> None:
    assert len(ROBOTS) == 12 and len(DEVICES) == 14
