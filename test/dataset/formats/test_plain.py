"""Plain files of episodes: what is in them beside the columns.

Holds also: about.py, dataset/npy.py.
"""

from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from support.dataset_takes import TakeOptions, take
from support.exported import export, tree

from robot_recorder.dataset.formats import plain
from robot_recorder.dataset.formats.about import subtasks_of
from robot_recorder.dataset.npy import NpzFile
from robot_recorder.dataset.schema import DatasetEpisode, SourceFacts
from robot_recorder.model.errors import RecorderError

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"
SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [take(root, n, SHORT, task=task) for n, task in enumerate(("lift", "fold"))]


def listed(root: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (root / "episodes.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["npz", "parquet"])
def test_pictures_are_left_out_unless_they_are_asked_for(
    takes: list[Path], tmp_path: Path, name: str
) -> None:
    if name == "parquet":
        pytest.importorskip("pyarrow")
    sizes = []
    for extra in ({}, {"pictures": "true"}):
        root = export(tmp_path / str(len(extra)), takes, format=name, extra=extra).target
        [path, _] = sorted(root.rglob(f"*.{name}"))
        sizes.append(path.stat().st_size)
        about = json.loads((root / "dataset.json").read_text())
        assert {"name", "shape", "names", "dtype"} <= about["features"][0].keys()
    assert sizes[1] > 2 * sizes[0]


def test_the_list_names_the_file_of_each_episode(takes: list[Path], tmp_path: Path) -> None:
    root = export(tmp_path / "set", takes, format="npz").target
    for number, line in enumerate(listed(root)):
        with np.load(root / str(line["file"])) as file:
            facts = json.loads(str(file["facts"]))
            assert len(file["action"]) == line["frames"] == facts["frames"]
        assert facts["source_id"] == line["source_id"] == takes[number].name
        assert facts["annotations"] == [["grasp", 0.5, 1.0]] and facts["rate_hz"] == 20
        assert line["episode"] == number
    assert listed(root)[1]["first_frame"] == listed(root)[0]["frames"]


def test_files_stay_what_they_are_when_an_episode_before_them_is_gone(
    takes: list[Path], tmp_path: Path
) -> None:
    first = export(tmp_path / "set", takes, format="npz", shard_bytes=30_000)
    before = tree(first.target)
    updated = export(tmp_path / "set", takes[1:], old=first.lock, format="npz", shard_bytes=30_000)
    [line] = listed(updated.target)
    assert updated.reused == 1 and line["episode"] == 0 and line["source_id"] == takes[1].name
    assert (updated.target / str(line["file"])).read_bytes() == before[str(line["file"])]


def test_a_table_has_its_facts_in_its_metadata(takes: list[Path], tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    root = export(tmp_path / "set", takes[:1], format="parquet").target
    metadata = pq.read_schema(root / str(listed(root)[0]["file"])).metadata
    facts = json.loads(metadata[b"robot_recorder"])
    assert facts["outcome"] == "success" and facts["streams"][0] == "joints"


def test_many_frames_with_pictures_are_written_some_at_a_time(
    takes: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    for name in ("npz", "parquet"):
        whole = export(tmp_path / name, takes[:1], format=name, extra={"pictures": "jpg"})
        with monkeypatch.context() as patch:
            patch.setattr(plain, "_PICTURES", 7)
            parts = export(tmp_path / f"{name}7", takes[:1], format=name, extra={"pictures": "jpg"})
        paths = [r.target / str(listed(r.target)[0]["file"]) for r in (whole, parts)]
        if name == "npz":
            assert paths[0].read_bytes() == paths[1].read_bytes()
        else:
            one, many = (str(pq.read_table(path).to_pydict()) for path in paths)
            assert one == many


def test_an_unknown_kind_of_pictures_is_refused(takes: list[Path], tmp_path: Path) -> None:
    with pytest.raises(
        RecorderError, match="npz: pictures is false or true or jpg or png, not 'maybe'"
    ):
        export(tmp_path / "set", takes[:1], format="npz", extra={"pictures": "maybe"})


# -- npz


def test_an_npz_file_has_no_time_of_day_and_numpy_reads_it(tmp_path: Path) -> None:
    arrays: dict[str, np.ndarray] = {
        "x": np.arange(12, dtype=np.float32).reshape(3, 4), "empty": np.zeros((0, 3), np.int8),
        "text": np.array("größer"), "truth": np.array([True, False]),
    }  # fmt: skip
    with NpzFile(tmp_path / "a.npz") as file:
        for name, array in arrays.items():
            data = array.tobytes()
            file.add(name, array.shape, array.dtype.str, [data[:5], data[5:]])
    with np.load(tmp_path / "a.npz") as found:
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)
    with zipfile.ZipFile(tmp_path / "a.npz") as file:
        assert {i.date_time for i in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_file_that_an_earlier_dataset_shares_is_replaced_and_not_changed(tmp_path: Path) -> None:
    (tmp_path / "old.npz").write_bytes(b"earlier")
    os.link(tmp_path / "old.npz", tmp_path / "new.npz")
    with NpzFile(tmp_path / "new.npz") as file:
        file.add("x", (1,), "int8", [b"\1"])
    assert (tmp_path / "old.npz").read_bytes() == b"earlier"


# -- what is known


def test_the_subtask_of_a_frame_is_the_annotation_that_began_last() -> None:
    facts = SourceFacts("a", "a", annotations=(("lift", 1.0, 2.0), ("move", 0.0, 3.0)))
    episode = DatasetEpisode(0, 0, facts, "train", "", 0, ((0, 5),))
    times = np.array([0.0, 1.0, 2.0, 2.5, 3.5])
    assert subtasks_of(episode, times) == ["move", "lift", "lift", "move", ""]
