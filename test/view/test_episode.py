"""The recording that ``view --save`` writes contains what is in the bag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

rr = pytest.importorskip("rerun")

from rerun.chunk import RrdReader
from support.bags import NS, angle, small_robot
from support.described import (
    COLS,
    ROWS,
    SECONDS,
    URDF,
    cells,
    described_robot,
    force,
    picture,
    pressures,
)
from support.samples import T0

from robot_recorder.content.contents import Contents
from robot_recorder.messages.urdf import parse_urdf, quaternions
from robot_recorder.offline.align import align_episode
from robot_recorder.view import episode, viewer
from robot_recorder.view.log import CLOCK, TIME


@dataclass
class Recorded:
    """A recording, read back from its file."""

    path: Path
    viewed: episode.ViewResult
    start_ns: int = T0

    def rows(self, entity: str, component: str) -> tuple[np.ndarray, list[Any]]:
        """Return the sorted times (s) and values of a component; static values have no time."""
        times: list[float] = []
        values: list[Any] = []
        for chunk in RrdReader(self.path).stream():
            batch = chunk.to_record_batch()
            if chunk.entity_path == entity and component in batch.schema.names:
                values += batch.column(component).to_pylist()
                if not chunk.is_static:
                    since = batch.column(TIME).to_numpy()
                    clock = batch.column(CLOCK).to_numpy().astype(np.int64)
                    assert (clock - since.astype(np.int64) == self.start_ns).all()
                    times += (since / np.timedelta64(1, "s")).tolist()
        if not times:
            return np.empty(0), values
        order = np.argsort(times, kind="stable")
        return np.array(times)[order], [values[i] for i in order]

    def entities(self) -> set[str]:
        return {chunk.entity_path for chunk in RrdReader(self.path).stream()}


def view(bag: Path, target: Path, everything: bool = False) -> Recorded:
    recording = viewer.new_recording()
    with viewer.saved(recording, target):
        contents = Contents.open(bag)
        viewed = episode.log_episode(contents, recording, everything)
    return Recorded(target, viewed, contents.start_ns)


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return described_robot(tmp_path_factory.mktemp("view") / "one")


@pytest.fixture(scope="module")
def recorded(bag: Path, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    return view(bag, tmp_path_factory.mktemp("rrd") / "one.rrd")


def test_every_picture_is_logged_unchanged(recorded: Recorded) -> None:
    times, blobs = recorded.rows("/streams/camera", "EncodedImage:blob")
    numbers = [n for n in range(80) if n != 7]  # 7 is damaged
    assert times == pytest.approx(np.array(numbers) / 20)
    assert [bytes(blob[0]) for blob in blobs] == [picture(number) for number in numbers]
    assert recorded.viewed.pictures == {"/camera/image/compressed": 79}
    assert any("1 pictures cannot be decoded" in note for note in recorded.viewed.notes)


def test_joints_have_the_values_in_the_bag(recorded: Recorded) -> None:
    for stream, more, label in (
        ("joints", 0.0, "joint_0"),
        ("commands", 0.01, "joint_0, commanded"),
    ):
        entity = f"/streams/{stream}/position/moving"
        times, values = recorded.rows(entity, "Scalars:scalars")
        names = recorded.rows(entity, "SeriesLines:names")[1][0]
        assert len(times) == (SECONDS + 0.5) * 100 and times[0] == -0.5
        column = names.index(label)
        assert [v[column] for v in values] == pytest.approx(angle(times) + more, abs=1e-12)
        assert [v[1 - column] for v in values] == pytest.approx(
            angle(times + 0.4) + more, abs=1e-12
        )


def test_links_have_the_poses_that_the_joints_give(recorded: Recorded) -> None:
    times, places = recorded.rows("/robot/hand", "Transform3D:translation")
    _, turns = recorded.rows("/robot/hand", "Transform3D:quaternion")
    assert len(times) == pytest.approx((SECONDS + 0.5) * 50, abs=2), "50 Hz of 100"
    positions = {"joint_0": angle(times), "joint_1": angle(times + 0.4)}
    poses = parse_urdf(URDF).link_poses(positions)["hand"]
    assert np.array(places)[:, 0] == pytest.approx(poses[:, :3, 3], abs=1e-6)
    alike = np.abs((np.array(turns)[:, 0] * quaternions(poses)).sum(axis=1))
    assert alike == pytest.approx(1, abs=1e-6)
    assert recorded.rows("/robot/base", "Transform3D:translation")[1] == [[[0, 0, 0]]]
    assert recorded.rows("/robot/base/visual\\ 0", "Boxes3D:half_sizes")[1] == [
        [pytest.approx([0.1, 0.1, 0.05])]
    ]
    assert any("meshes not found (package://nowhere" in n for n in recorded.viewed.notes)


def test_forces_are_arrows_on_the_link_that_messages_name(recorded: Recorded) -> None:
    times, arrows = recorded.rows("/robot/hand/wrench", "Arrows3D:vectors")
    lengths = np.array(arrows)[:, 0]
    forces = np.array([force(t) for t in times])
    assert (lengths[:, :2] == 0).all()
    assert lengths[:, 2] / forces == pytest.approx(lengths[0, 2] / forces[0], rel=1e-5)
    times, rows = recorded.rows("/streams/wrench/force", "Scalars:scalars")
    assert [r[2] for r in rows] == pytest.approx([force(t) for t in times])
    assert recorded.rows("/streams/wrench/force", "SeriesLines:names")[1] == [
        ["wrench x", "wrench y", "wrench z"]
    ]


def test_touch_is_a_map_of_rows_and_columns(recorded: Recorded) -> None:
    times, maps = recorded.rows("/streams/palm/normal/map", "DepthImage:buffer")
    assert len(times) == (SECONDS + 0.5) * 50
    for time, cells_ in list(zip(times, maps))[::40]:
        found = np.frombuffer(bytes(cells_[0]), "<f4")
        assert found == pytest.approx(pressures(time))
    (((shape,),),) = [recorded.rows("/streams/palm/normal/map", "DepthImage:format")[1]]
    assert (shape["height"], shape["width"]) == (ROWS, COLS)
    times, totals = recorded.rows("/streams/palm/normal/total", "Scalars:scalars")
    assert [t[0] for t in totals] == pytest.approx([pressures(t).sum() for t in times], rel=1e-6)
    _, colours = recorded.rows("/robot/hand/palm", "Points3D:colors")
    assert {len(c) for c in colours} == {ROWS * COLS}


def test_numbers_of_a_type_defined_in_the_bag_are_curves_and_a_map(recorded: Recorded) -> None:
    times, values = recorded.rows("/streams/cells/cells", "Scalars:scalars")
    assert np.array(values) == pytest.approx(np.array([cells(t) for t in times]))
    _, maps = recorded.rows("/streams/cells/cells/map", "DepthImage:buffer")
    assert len(maps) == len(times)
    assert any("/undefined" in note for note in recorded.viewed.notes)


def test_labels_are_lanes_and_a_history(recorded: Recorded) -> None:
    def lane(name: str) -> list[tuple[float, str]]:
        times, states = recorded.rows(f"/labels/{name}", "StateChange:state")
        return [(round(t, 3), s[0]) for t, s in zip(times, states)]

    assert lane("outcome") == [
        (-0.5, "pre-roll"),
        (0, "failure: slip"),
        (3.8, "after the stop"),
        (3.99, ""),
    ]
    assert lane("annotations")[:2] == [(0.5, "reach"), (2.0, "")]
    assert lane("annotations")[2] == (3.0, "touch"), "an instant, on the first free lane"
    assert lane("annotations_2") == [(1.5, "slip"), (2.5, "")]
    times, texts = recorded.rows("/labels/history", "TextLog:text")
    assert len(times) == 6 and times.max() < 4, "a label given days later does not stretch the axis"
    assert texts[-1][0].startswith("outcome failure: slip instead of success, by bob, 2023-11-17")


def test_skews_match_the_frames(recorded: Recorded, bag: Path) -> None:
    contents = Contents.open(bag)
    assert contents.plan is not None
    found = align_episode(contents.episode, contents.plan, contents.plan.frame_clock(None, ""))
    for number, stream in enumerate(found.streams):
        column = found.frames.columns[number]
        times, skews = recorded.rows(f"/alignment/{stream.name}/skew", "Scalars:scalars")
        assert times == pytest.approx((found.frames.ticks - T0) / NS)
        expected = np.where(column.status == 3, np.nan, column.skews / 1e6)
        assert np.array(skews)[:, 0] == pytest.approx(expected, nan_ok=True)
    times, states = recorded.rows("/alignment/camera/status", "StateChange:state")
    assert states[0] == ["missing"] and ["fine"] in states, "it begins later than the others"


def test_the_page_summarises_the_episode(recorded: Recorded) -> None:
    _, texts = recorded.rows("/episode", "TextDocument:text")
    page = texts[-1][0]
    assert page.startswith("# Lift \\*it\\*.\n") and "**FAILURE: SLIP**" in page
    assert "| palm | tactile | 225 |" in page and "by bob, 2023-11-17" in page
    assert "/undefined" in page.partition("Not shown")[2]


def test_the_layout_has_a_view_for_each_content(recorded: Recorded) -> None:
    reader = RrdReader(recorded.path)
    (store,) = reader.blueprints()
    origins: list[str] = []
    contents: list[str] = []
    names: list[str] = []
    for chunk in reader.stream(store=store):
        batch = chunk.to_record_batch()
        for component, found in (
            ("ViewBlueprint:space_origin", origins),
            ("ViewContents:query", contents),
            ("ViewBlueprint:display_name", names),
        ):
            if component in batch.schema.names:
                found += [v for row in batch.column(component).to_pylist() for v in row]
    there = recorded.entities()
    shown = [q.removeprefix("+ ") for q in contents if not q.startswith("$origin")]
    shown += [f"/{origin.strip('/')}" for origin in origins if origin != "/"]
    for path in shown:
        assert any(e == path or e.startswith(f"{path}/") for e in there), path
    assert {"Camera", "Robot", "Palm", "Episode", "Label history"} <= set(names)
    assert "Joints that move most: position, rad" in names


def test_a_long_episode_is_thinned_out_with_a_note(bag: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(episode, "MOST_PICTURE_BYTES", 30 * len(picture(0)))
    monkeypatch.setattr(episode, "MOST_VALUES", 1000)
    few = view(bag, tmp_path / "few.rrd")
    times, blobs = few.rows("/streams/camera", "EncodedImage:blob")
    assert 20 < len(times) <= 30
    assert [bytes(b[0]) for b in blobs] == [picture(round(t * 20)) for t in times]
    values = few.rows("/streams/joints/position/moving", "Scalars:scalars")[1]
    assert len(values) < 450 / 4
    assert "a long episode: one picture of 3" in few.viewed.notes[0]
    every = view(bag, tmp_path / "all.rrd", everything=True)
    assert len(every.rows("/streams/camera", "EncodedImage:blob")[0]) == 79
    assert not any("long episode" in note for note in every.viewed.notes)


def test_a_foreign_bag_is_shown_as_far_as_possible(tmp_path: Path) -> None:
    found = view(described_robot(tmp_path / "foreign", own=False), tmp_path / "foreign.rrd")
    assert {"/robot/hand", "/streams/camera", "/streams/cells/cells/map"} <= found.entities()
    assert not any(e.startswith("/labels/annotations") for e in found.entities())
    page = found.rows("/episode", "TextDocument:text")[1][-1][0]
    assert page.startswith("# foreign") and "Recording: not checked" in page


def test_a_bag_without_a_description_has_a_note_instead_of_a_robot(tmp_path: Path) -> None:
    found = view(small_robot(tmp_path / "small", 2), tmp_path / "small.rrd")
    assert any("holds no robot_description" in note for note in found.viewed.notes)
    assert not any(e.startswith("/robot") for e in found.entities())
    assert len(found.rows("/streams/camera", "EncodedImage:blob")[0]) == 40
