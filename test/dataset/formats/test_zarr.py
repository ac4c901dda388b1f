"""The layouts of Diffusion Policy, UMI and UMI-FT; what stores hold is held by test_formats.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dataset_readers import read_zarr, read_zarr_native
from support.dataset_takes import RATE_HZ, TakeOptions, take
from support.exported import aligned, export

from robot_recorder.dataset.formats import zarr as formats_zarr
from robot_recorder.dataset.formats.zarr import ChunkedArray, tactile_name
from robot_recorder.dataset.trimming import Held
from robot_recorder.model.errors import ConfigError

zarr = pytest.importorskip("zarr")
SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [take(root, 0, SHORT), take(root, 1, TakeOptions(seconds=3, gap=(1.0, 1.6)))]


def store(folder: Path) -> Any:
    return zarr.open_group(folder / "dataset.zarr", mode="r", zarr_format=2)


def test_diffusion_policy_finds_what_it_looks_for(paths: list[Path], tmp_path: Path) -> None:
    report = export(tmp_path / "set", paths, format="zarr", shard_bytes=30_000)
    group = store(tmp_path / "set")
    ends = group["meta/episode_ends"]
    assert ends.dtype == np.int64 and ends[-1] == report.frames
    assert {array.shape[0] for _, array in group["data"].arrays()} == {report.frames}
    assert group["data/camera"].chunks == (1, 64, 96, 3)
    assert group["data/state"].attrs["names"][0] == "position/joint_0 (rad)"
    assert group["meta/outcome"][:].tolist() == ["success", "success"]
    assert json.loads(group["meta/annotations"][:].tolist()[0]) == [["grasp", 0.5, 1.0]]
    assert group.attrs["rate_hz"] == RATE_HZ and group.attrs["streams"][0] == "joints"


def test_each_part_of_a_shard_writes_files_of_its_own(paths: list[Path], tmp_path: Path) -> None:
    export(tmp_path / "set", paths, format="zarr", shard_bytes=30_000)
    found = [json.loads(p.read_text()) for p in (tmp_path / "set/.export/shards").glob("*.json")]
    files = [name for part in found for name in part["files"]]
    assert len(found) == 6 and len(files) == len(set(files))


def test_older_readers_understand_the_codecs(paths: list[Path], tmp_path: Path) -> None:
    """Those of UMI: zarr 2.16 with numcodecs 0.11."""
    export(tmp_path / "set", paths, format="zarr")
    for path in (tmp_path / "set/dataset.zarr").rglob(".zarray"):
        plain = json.loads(path.read_text())
        assert plain["zarr_format"] == 2 and plain["compressor"].keys() == {"id", "level"}
        assert {f["id"] for f in plain["filters"] or ()} <= {"shuffle"}


@pytest.fixture(scope="module")
def native(paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("native") / "set"
    export(folder, paths, format="zarr-native")
    return store(folder)


def test_every_sample_of_a_stream_is_there_with_its_time(
    native: Any, paths: list[Path], tmp_path: Path
) -> None:
    source = aligned(tmp_path / "aligned", paths[0], native=True)
    group, count = native["data/episode_0"], native["meta/episode_force0_len"][0]
    assert group["force_0"].shape == (count, 6) and count > 200
    stamps = group["force_time_stamps_0"][:, 0] * 1e9 + source.summary.facts.start_ns
    known = source.array("stamps/force")
    first = int(np.flatnonzero(np.abs(known - stamps[0]) < 1000)[0])
    np.testing.assert_allclose(stamps, known[first : first + count], rtol=0, atol=1000)
    values = source.array("samples/force")[first : first + count]
    np.testing.assert_array_equal(group["force_0"][:], values)


def test_maps_lead_from_frames_to_their_samples(native: Any) -> None:
    group = native["data/episode_0"]
    ticks = group["frames/sync_tick_s"][:, 0]
    for stream in ("joints", "commands", "force"):
        times, ends = group[f"{stream}_time_stamps_0"][:, 0], group[f"{stream}_ends_0"][:]
        assert len(ends) == len(ticks) and ends[-1] == len(times)
        assert (times[ends - 1] <= ticks).all()
        assert (times[ends[:-1]] > ticks[:-1]).all()


def test_pictures_are_there_once_with_their_times(native: Any) -> None:
    group = native["data/episode_0"]
    camera, depth = (group[f"{name}_time_stamps_0"][:, 0] for name in ("camera", "depth"))
    np.testing.assert_allclose(np.diff(camera), 1 / RATE_HZ, atol=1e-6)
    np.testing.assert_allclose(np.diff(depth), 2 / RATE_HZ, atol=1e-6)
    assert camera[0] % (1 / RATE_HZ) == pytest.approx(0.004, abs=1e-6)
    index, ticks = group["depth_index_0"][:], group["frames/sync_tick_s"][:, 0]
    assert (np.diff(index) >= 0).all() and index[-1] == group["depth_0"].shape[0] - 1
    assert (np.abs(depth[index] - ticks) <= 0.06).all()


def test_frames_that_are_left_out_keep_their_windows(paths: list[Path], tmp_path: Path) -> None:
    """The samples of a gap belong to no frame; maps do not count on frames beside each other."""
    one = export(tmp_path / "one", paths, format="zarr", held=Held.DROP)
    assert one.lock.counted["frames held or missing"] > 5
    how: dict[str, Any] = {"held": Held.DROP, "profile": one.lock.profile}
    export(tmp_path / "two", paths, format="zarr-native", **how)
    for mine, other in zip(read_zarr_native(tmp_path / "two"), read_zarr(tmp_path / "one")):
        assert mine.columns.keys() == other.columns.keys()
        for name, values in other.columns.items():
            np.testing.assert_array_equal(mine.columns[name], values, name)


def test_rows_come_back_from_chunks_of_any_size(tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(23, 3))
    for size in (1, 7, 23, 100):
        array = ChunkedArray(tmp_path, f"rows_{size}", (3,), "float64", size)
        for at, end in ((0, 5), (5, 5), (5, 20), (20, 23)):
            array.add(rows[at:end])
        files = array.close({"size": size})
        assert len(files) == -(-23 // size) + 2
        assert all((tmp_path / name).is_file() for name in files)
        found = zarr.open_array(tmp_path / f"dataset.zarr/rows_{size}", mode="r")
        np.testing.assert_array_equal(found[:], rows)


@pytest.mark.parametrize(
    "stream, value, named",
    [
        ("left_fingertips_tactile", "normal/0,0 (Pa)", ("left", "fingertips")),
        ("tactile_right", "normal/0,0 (1)", ("right", "hand")),
        ("palm_touch_left", "normal/palm (Pa)", ("left", "palm")),
        ("tactile", "normal/0,0 (Pa)", None),
        ("left_wrench", "force/x (N)", None),
    ],
)
def test_tactile_streams_are_named_after_side_and_group(
    stream: str, value: str, named: tuple[str, str] | None
) -> None:
    assert tactile_name(stream, (value,)) == named


def test_without_numcodecs_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    with pytest.raises(ConfigError, match=r"pip install 'robot_recorder\[datasets\]'"):
        formats_zarr.numcodecs()
