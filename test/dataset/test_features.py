"""Features computed from aligned frames, against what the bag holds.

Holds also: align_source.py, aligned.py, frames.py, schema.py, trimming.py.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dataset_takes import RATE_HZ, URDF, TakeOptions, take
from support.exported import aligned, reader

from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.content.read import read_values
from robot_recorder.dataset.align_source import AlignOptions, align_source, content_hashes
from robot_recorder.dataset.aligned import AlignedSource, ArrayWriter, SourceSummary
from robot_recorder.dataset.features import FeatureReader
from robot_recorder.dataset.schema import MISSING, SKEW, STATUS, TICK, Schema
from robot_recorder.dataset.trimming import Held, Trim, pieces
from robot_recorder.episodes.episode import Episode
from robot_recorder.messages.urdf import parse_urdf
from robot_recorder.model.errors import BagError, ConfigError
from robot_recorder.offline.align import frames_of

STATE = "features:\n  observation.state: {values: {joints: [position/*]}}\n"
WINDOW = "  observation.force.window: {window: force}\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take(tmp_path_factory.mktemp("takes"), 0)


@pytest.fixture(scope="module")
def source(path: Path, tmp_path_factory: pytest.TempPathFactory) -> AlignedSource:
    return aligned(tmp_path_factory.mktemp("aligned") / "a", path)


def whole(found: FeatureReader, source: AlignedSource, ahead: int = 0) -> dict[str, np.ndarray]:
    return found.read(0, len(source) - ahead, 0)


def test_frames_on_the_disk_are_those_of_align(path: Path, source: AlignedSource) -> None:
    frames = frames_of(Episode.open(path))
    np.testing.assert_array_equal(source.array("ticks"), frames.frames.ticks)
    for i, stream in enumerate(frames.streams):
        column = frames.column(stream.name)
        np.testing.assert_array_equal(source.array("status")[:, i], column.status)
        np.testing.assert_array_equal(source.array("skews")[:, i], column.skews)
        if source.has(f"values/{stream.name}"):
            assert source.array(f"values/{stream.name}").tobytes() == column.values.tobytes()
        else:
            np.testing.assert_array_equal(source.array(f"numbers/{stream.name}"), column.numbers)
        if column.window is not None:
            np.testing.assert_array_equal(source.array("splits/force"), column.window.splits)
            np.testing.assert_array_equal(source.array("samples/force"), column.window.values)


def test_a_summary_keeps_what_is_known(path: Path, source: AlignedSource) -> None:
    summary = source.summary
    assert SourceSummary.from_dict(json.loads(json.dumps(asdict(summary)))) == summary
    assert summary.facts.instruction == "Please lift it." and summary.facts.verdict == "accept"
    assert summary.facts.annotations == (("grasp", 0.5, 1.0),)
    assert summary.content == next(iter(content_hashes(path).values()))[1]
    assert summary.description == URDF and not summary.problem
    camera = summary.stream("camera")
    assert camera is not None and (camera.size, camera.encoding) == ((96, 64), "jpeg 4:2:0")


def test_values_and_skews_are_those_of_the_frames(source: AlignedSource) -> None:
    found = whole(reader(source, STATE), source)
    np.testing.assert_array_equal(
        found["observation.state"], source.array("values/joints").astype(np.float32)
    )
    np.testing.assert_array_equal(found[STATUS], source.array("status"))
    missing = found[STATUS] == SampleStatus.MISSING
    np.testing.assert_array_equal(np.isnan(found[SKEW]), missing)
    ticks = (source.array("ticks") - source.summary.facts.start_ns) / 1e9
    np.testing.assert_array_equal(found[TICK][:, 0], ticks)
    assert not found[MISSING].any()


def test_what_is_missing_is_nan_and_marked(tmp_path: Path) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, 1, TakeOptions(gap=(0.0, 1.0))))
    found = whole(reader(source, STATE), source)
    there = ~np.isnan(found["observation.state"]).any(axis=1)
    assert 10 < int((~there).sum()) < 25
    np.testing.assert_array_equal(found[MISSING][:, 0], ~there)


@pytest.mark.parametrize("number", range(4))
def test_with_causal_no_sample_is_after_its_tick(tmp_path: Path, number: int) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, number), causal=True)
    found = whole(reader(source, STATE + WINDOW), source)
    assert (source.array("skews") <= 0).all()
    assert not found[MISSING].any()
    assert (np.nan_to_num(found["sync.force.window_time_s"], nan=-1) <= 0).all()
    numbers = source.array("numbers/camera")
    assert (np.diff(numbers) >= 0).all() and (numbers >= 0).all()


def test_the_next_observation_is_that_of_the_frame_after(source: AlignedSource) -> None:
    found = reader(
        source, STATE + "  action: {action: next_observation, values: {joints: [position/*]}}\n"
    )
    assert found.looks_ahead
    columns = whole(found, source, 1)
    states = source.array("values/joints").astype(np.float32)
    np.testing.assert_array_equal(columns["action"], states[1:])
    np.testing.assert_array_equal(columns["observation.state"], states[:-1])


def test_a_delta_is_the_command_less_the_observation_of_the_same_joint(
    source: AlignedSource,
) -> None:
    found = reader(
        source, "features:\n  action: {action: delta, values: {commands: [position/*]}}\n"
    )
    assert not found.looks_ahead
    wanted = source.array("values/commands") - source.array("values/joints")
    np.testing.assert_array_equal(whole(found, source)["action"], wanted.astype(np.float32))
    found = reader(source, "features:\n  action: {action: delta, values: {joints: [position/*]}}\n")
    assert found.looks_ahead
    wanted = np.diff(source.array("values/joints"), axis=0).astype(np.float32)
    np.testing.assert_array_equal(whole(found, source, 1)["action"], wanted)


def test_a_delta_without_a_partner_is_refused(source: AlignedSource) -> None:
    bad = "features:\n  action: {action: delta, values: {commands: [position/joint_0]}}\n"
    summary = source.summary
    streams = tuple(s for s in summary.streams if s.name != "joints")
    source_ = AlignedSource.__new__(AlignedSource)
    source_.__dict__.update(
        {**source.__dict__, "summary": type(summary)(**{**vars(summary), "streams": streams})}
    )
    with pytest.raises(ConfigError, match="no observed stream has commands's position/joint_0"):
        reader(source_, bad)


def test_poses_of_links_are_those_of_forward_kinematics(source: AlignedSource) -> None:
    text = "features:\n  action: {action: end_effector, links: [hand, upper], values: {commands: [position/*]}}\n"
    found = reader(source, text)
    poses = whole(found, source)["action"]
    assert found.schema.features[0].names[0] == "hand/position/x (m)" and poses.shape[1] == 14
    values = source.array("values/commands")
    links = parse_urdf(URDF).link_poses({"joint_0": values[:, 0], "joint_1": values[:, 1]})
    np.testing.assert_allclose(poses[:, :3], links["hand"][:, :3, 3], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(poses[:, 3:7], axis=1), 1, atol=1e-6)
    assert (poses[:, 6] >= 0).all()
    with pytest.raises(ConfigError, match="no link 'hend'; did you mean 'hand'"):
        reader(source, text.replace("hand", "hend"))


def test_a_window_holds_every_sample_since_the_frame_before(
    path: Path, source: AlignedSource
) -> None:
    found = reader(source, "features:\n" + WINDOW)
    columns = whole(found, source)
    values, mask = columns["observation.force.window"], columns["sync.force.window_mask"]
    count = columns["sync.force.window_count"][:, 0]
    assert values.shape[1:] == (16, 6)  # 1.5 times 200 Hz / 20 Hz, and one
    np.testing.assert_array_equal(mask.sum(axis=1), count)
    assert np.isnan(values[~mask]).all() and not np.isnan(values[mask]).any()
    times = columns["sync.force.window_time_s"].astype(np.float64) + columns[TICK]
    every = read_values(Episode.open(path), "force")
    inside = (every.times_s > columns[TICK][0, 0] - 1 / RATE_HZ) & (
        every.times_s <= columns[TICK][-1, 0]
    )
    np.testing.assert_allclose(times[mask], every.times_s[inside], atol=1e-5)
    np.testing.assert_array_equal(values[mask], every.values[inside].astype(np.float32))


def test_a_window_that_overflows_is_refused_and_says_how_many_rows_it_needs(
    source: AlignedSource,
) -> None:
    found = reader(source, "features:\n  observation.force.window: {window: force, rows: 9}\n")
    problem = found.overflow(0, len(source))
    assert "'rows: 1" in problem and "observation.force.window has 9 rows" in problem
    assert reader(source, "features:\n" + WINDOW).overflow(0, len(source)) == ""


@settings(max_examples=30)
@given(st.data())
def test_parts_read_alone_are_those_of_the_whole(source: AlignedSource, data) -> None:
    found = reader(source, STATE + WINDOW)
    first = data.draw(st.integers(0, len(source) - 1))
    end = data.draw(st.integers(first, len(source)))
    every, part = whole(found, source), found.read(first, end, 0)
    for name, values in part.items():
        np.testing.assert_array_equal(values, every[name][first:end])


def test_idle_ends_are_cut_off_with_a_margin(tmp_path: Path) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, 2, TakeOptions(seconds=4, idle_s=1.0)))
    runs, counted = pieces(reader(source, STATE), source, Held.KEEP, Trim(idle=True))
    (((first, end),),) = runs
    ticks = (source.array("ticks") - source.summary.facts.start_ns) / 1e9
    assert ticks[first] == pytest.approx(0.8, abs=0.15) and ticks[end - 1] == pytest.approx(
        3.2, abs=0.15
    )
    assert counted == {"trimmed": len(source) - (end - first)}


def test_an_episode_is_trimmed_to_its_annotations(source: AlignedSource) -> None:
    runs, _ = pieces(reader(source, STATE), source, Held.KEEP, Trim(("grasp",)))
    ticks = (source.array("ticks") - source.summary.facts.start_ns) / 1e9
    assert (ticks[runs[0][0][0]], ticks[runs[0][0][1] - 1]) == (
        pytest.approx(0.5),
        pytest.approx(1.0),
    )
    with pytest.raises(ConfigError, match="no annotation place to trim to"):
        pieces(reader(source, STATE), source, Held.KEEP, Trim(("place",)))


def test_held_frames_are_kept_dropped_or_cut_around(tmp_path: Path) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, 3, TakeOptions(seconds=5, gap=(2.0, 2.5))))
    found = reader(source, STATE)
    assert pieces(found, source, Held.KEEP, Trim()) == ([((0, len(source)),)], {})
    for held, episodes in ((Held.CUT, 2), (Held.DROP, 1)):
        cut, counted = pieces(found, source, held, Trim())
        runs = [run for episode in cut for run in episode]
        assert len(cut) == episodes and len(runs) == 2
        assert sum(b - a for a, b in runs) + sum(counted.values()) == len(source)
        assert not any(found.incomplete(*run).any() for run in runs)


def test_a_calibration_follows_crop_and_size(source: AlignedSource) -> None:
    text = "features:\n  a: {camera: camera}\n  b: {camera: camera, crop: [16, 8, 64, 48], size: [32, 24]}\n"
    whole, cut = (
        f.calibration for f in reader(source, text + "  c: {camera: depth}\n").schema.cameras[:2]
    )
    assert whole is not None and cut is not None
    assert (whole.fx, whole.cx, whole.cy, whole.model) == (80.0, 47.5, 31.5, "plumb_bob")
    # A point that is seen at x, y is seen at the same place of the smaller picture.
    assert (cut.fx, cut.fy) == (40.0, 40.0)
    assert (cut.cx, cut.cy) == ((47.5 - 16 + 0.5) / 2 - 0.5, (31.5 - 8 + 0.5) / 2 - 0.5)
    assert cut.distortion == (0.1, 0.0, 0.0, 0.0, 0.0)
    assert reader(source, "features: {c: {camera: depth}}").schema.cameras[0].calibration is None


def test_a_source_with_other_features_is_refused_by_name(source: AlignedSource) -> None:
    found = reader(source, STATE)
    other = Schema(**{**vars(found.schema), "rate_hz": 10.0})
    profile = found._rules["observation.state"]
    from robot_recorder.dataset.export_profile import ExportProfile

    with pytest.raises(ConfigError, match="it has 20 frames a second, the dataset 10"):
        FeatureReader(other, ExportProfile((profile,)), source)


def test_a_rule_that_does_not_fit_names_what_there_is(source: AlignedSource) -> None:
    for text, why in (
        ("values: {joint: []}", "no aligned stream 'joint'; there are joints, commands"),
        ("values: {joints: [torque/*]}", "no value of joints matches torque"),
        ("window: joints", "joints has no window"),
        ("camera: joints", "joints has no readable pictures"),
        ("camera: camera, crop: [0, 0, 97, 4]", "96 x 64 are too small for crop"),
    ):
        with pytest.raises(ConfigError, match=why):
            reader(source, f"features:\n  x: {{{text}}}\n")


def test_an_array_that_gains_columns_has_nan_before(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path)
    writer.add("a", np.ones((2, 1)))
    writer.add("a", np.full((1, 3), 2.0))
    writer.add("a", np.full((1, 2), 3.0))
    assert writer.close() == {"a": ("<f8", (4, 3))}
    found = np.fromfile(next(tmp_path.iterdir())).reshape(4, 3)
    wanted = [[1, np.nan, np.nan]] * 2 + [[2, 2, 2], [3, 3, np.nan]]
    np.testing.assert_array_equal(found, wanted)


def test_of_two_alignments_of_a_source_the_first_stays(path: Path, tmp_path: Path) -> None:
    align_source(path, tmp_path / "a", AlignOptions())
    (tmp_path / "a" / "mark").write_text("first")
    align_source(path, tmp_path / "a", AlignOptions())
    assert (tmp_path / "a" / "mark").exists() and len(AlignedSource(tmp_path / "a"))
    with pytest.raises(BagError):
        align_source(tmp_path / "nothing", tmp_path / "b", AlignOptions())
    assert not (tmp_path / "b").exists()


def test_broken_pictures_are_missing_and_counted(tmp_path: Path) -> None:
    source = aligned(tmp_path / "a", take(tmp_path, 4, TakeOptions(broken=(10, 11))))
    camera = source.summary.stream("camera")
    assert camera is not None and camera.unreadable == 2
    numbers = source.array("numbers/camera")
    assert not set(numbers.tolist()) & {10, 11}
    place = [s.name for s in source.summary.streams].index("camera")
    np.testing.assert_array_equal(
        source.array("status")[:, place] == SampleStatus.MISSING, numbers < 0
    )
