"""The film of an episode: bounded, readable picture by picture, and true to the bag."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.full_robot import SECONDS, SILENT, full_robot, recorded_facts
from support.reviewing import finding

from robot_recorder.content.contents import Contents
from robot_recorder.content.series import load
from robot_recorder.model.errors import RecorderError
from robot_recorder.report.film import (
    MOST_PICTURES,
    MOST_POINTS,
    film_curves,
    film_index,
    film_picture,
    finding_times,
    make_film,
)

PRE_ROLL_S = 0.5  # of recorded_facts: time 0 of the episode is half a second into the bag


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return full_robot(tmp_path_factory.mktemp("film") / "bag", **recorded_facts())


@pytest.fixture(scope="module")
def film(bag: Path) -> Path:
    target = bag.parent / "one.film"
    make_film(bag, target)
    return target


def test_a_camera_has_at_most_120_pictures_in_order_over_the_whole_time(film: Path) -> None:
    [camera] = film_index(film)["cameras"]
    times = camera["times_s"]
    assert 60 < len(times) <= MOST_PICTURES
    assert times == sorted(times)
    assert times[0] < 0.1 - PRE_ROLL_S + 0.1
    assert times[-1] > SECONDS - PRE_ROLL_S - 0.2
    assert camera["width"] <= 320


def test_every_picture_can_be_read_alone_and_is_small(film: Path) -> None:
    index = film_index(film)
    [camera] = index["cameras"]
    for number in range(len(camera["times_s"])):
        found = film_picture(film, camera["name"], number)
        assert found is not None
        data, media = found
        assert media in ("image/jpeg", "image/png")
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        height, width = pixels.shape[:2]
        assert (width, height) == (camera["width"], camera["height"])
    assert film_picture(film, camera["name"], len(camera["times_s"])) is None
    assert film_picture(film, camera["name"], -1) is None
    assert film_picture(film, "other", 0) is None


def test_pictures_are_those_of_their_times(bag: Path, film: Path) -> None:
    [camera] = film_index(film)["cameras"]
    [there] = load(Contents.open(bag), pictures=MOST_PICTURES).pictures
    assert [camera["times_s"][n] for n in (0, -1)] == pytest.approx(
        [there.chosen[n][0] for n in (0, -1)]
    )
    assert film_picture(film, camera["name"], 3) == (
        there.chosen[3][1].data,
        there.chosen[3][1].media_type,
    )


def test_curves_are_bounded_named_and_keep_their_extremes(bag: Path, film: Path) -> None:
    groups = json.loads(film_curves(film))["groups"]
    by_name = {(g["stream"], g["name"]): g for g in groups}
    for group in groups:
        assert len(group["items"]) == len(group["values"]) <= 24
        for values in group["values"]:
            assert len(values) == len(group["times_s"]) <= MOST_POINTS
        assert group["times_s"] == sorted(group["times_s"])
    data = load(Contents.open(bag))
    wrench = next(s for s in data.series if s.topic.name == "/wrist/wrench")
    force = next(
        g
        for (stream, name), g in by_name.items()
        if stream == wrench.topic.stream and name == "force"
    )
    assert force["unit"] == "N"
    column = force["values"][force["items"].index("z")]
    raw = wrench.values[:, [n.startswith("force/z") for n in wrench.names].index(True)]
    assert max(v for v in column if v is not None) == pytest.approx(float(np.nanmax(raw)), rel=1e-4)
    assert min(v for v in column if v is not None) == pytest.approx(float(np.nanmin(raw)), abs=1e-4)
    assert any(g["items"] == ["max", "mean"] for g in groups)  # the pad's taxels


def test_silence_is_found_where_it_was_and_idle_times_at_the_ends(bag: Path) -> None:
    data = load(Contents.open(bag))
    stream = next(s.topic.stream for s in data.series if s.topic.name == "/wrist/wrench")
    times = finding_times(
        [finding("gap", stream, 1), finding("idle_tail", "", 2.0), finding("idle_head", "", 1.0),
         finding("blur", stream, 1), finding("gap", "other", 1)],
        data,
    )  # fmt: skip
    assert times[f"gap {stream}"] == pytest.approx(SILENT[0] - PRE_ROLL_S, abs=0.02)
    assert times["idle_head "] == 0.0
    assert times["idle_tail "] == pytest.approx(data.episode.duration_s - 2, abs=1e-3)
    assert len(times) == 3


def test_peaks_and_jumps_are_found(bag: Path) -> None:
    data = load(Contents.open(bag))
    wrench = next(s for s in data.series if s.topic.name == "/wrist/wrench")
    wrench.values[400, 2] = 1e4
    joints = next(s for s in data.series if s.names[0].startswith("position/"))
    joints.values[300:, 0] += 50
    times = finding_times(
        [finding("wrench_spikes", wrench.topic.stream, 1), finding("joint_jump", joints.topic.stream, 1)], data
    )  # fmt: skip
    assert times[f"wrench_spikes {wrench.topic.stream}"] == pytest.approx(
        wrench.times_s[400], abs=1e-3
    )
    assert times[f"joint_jump {joints.topic.stream}"] == pytest.approx(
        joints.times_s[300], abs=1e-3
    )


@pytest.mark.parametrize("content", [b"", b"\0" * 8, b"\0\0\0\5\0\0\0\0{]", b"x" * 100])
def test_a_file_that_is_no_film_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "film").write_bytes(content)
    with pytest.raises(RecorderError, match="ask for it again"):
        film_index(tmp_path / "film")


def test_a_film_that_was_cleared_away_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecorderError, match="ask for it again"):
        film_curves(tmp_path / "gone")


def test_a_bag_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecorderError):
        make_film(tmp_path, tmp_path / "film")
