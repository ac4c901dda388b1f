"""LeRobot v3.0 on the disk, value by value against the aligned frames.

Holds also: port.py, table.py, dataset/tables.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dataset_takes import RATE_HZ, TakeOptions, take
from support.exported import aligned, export, reader

from robot_recorder.dataset.formats import port
from robot_recorder.dataset.formats.table import format_of, formats
from robot_recorder.dataset.schema import SKEW, STATUS
from robot_recorder.dataset.settings import ExportReport
from robot_recorder.model.errors import ConfigError, RecorderError
from robot_recorder.model.labels import Outcome

pytest.importorskip("av")
pytest.importorskip("pyarrow")
import pyarrow.parquet as pq

PROFILE = """
features:
  observation.state: {values: {joints: [position/*]}}
  observation.force.window: {window: force}
  observation.images.camera: {camera: camera}
"""


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [
        take(root, 0, TakeOptions(seconds=1.5, gap=(0.0, 0.6))),
        take(root, 1, TakeOptions(seconds=2), task="fold", outcome=Outcome.UNLABELLED, verdict="review"),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def made(paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> ExportReport:
    return export(tmp_path_factory.mktemp("sets") / "set", paths, profile=PROFILE)


def table(made: ExportReport, name: str = "data/chunk-000/file-000.parquet") -> Any:
    return pq.read_table(made.target / name)


def values(found: Any) -> np.ndarray:
    return np.array(found.to_pylist(), dtype=np.float64)


def test_every_value_is_that_of_the_frames(
    made: ExportReport, paths: list[Path], tmp_path: Path
) -> None:
    rows, at = table(made), 0
    for number, path in enumerate(paths):
        source = aligned(tmp_path / f"{number}", path)
        wanted = reader(source, PROFILE).read(0, len(source), 0)
        for name, array in wanted.items():
            found = values(rows[name][at : at + len(source)]).reshape(array.shape)
            np.testing.assert_array_equal(found, array.astype(np.float64), err_msg=name)
        at += len(source)
    assert len(rows) == at == made.frames
    assert (values(rows[STATUS]) == 3).any() and np.isnan(values(rows[SKEW])).any()


def test_frames_are_numbered_and_timed_as_lerobot_does(made: ExportReport) -> None:
    rows, lengths = table(made), [e.length for e in episodes(made)]
    np.testing.assert_array_equal(values(rows["index"]), np.arange(len(rows)))
    frame = np.concatenate([np.arange(n) for n in lengths])
    np.testing.assert_array_equal(values(rows["frame_index"]), frame)
    np.testing.assert_array_equal(
        rows["timestamp"].to_numpy(), (frame / RATE_HZ).astype(np.float32)
    )
    np.testing.assert_array_equal(
        values(rows["episode_index"]), np.repeat(range(len(lengths)), lengths)
    )


def episodes(made: ExportReport) -> list[Any]:
    class Row:
        def __init__(self, plain: dict[str, Any]) -> None:
            self.plain, self.length = plain, plain["length"]

    return [Row(row) for row in table(made, "meta/episodes/chunk-000/file-000.parquet").to_pylist()]


def test_an_episode_carries_its_provenance(made: ExportReport, paths: list[Path]) -> None:
    first, second = (e.plain for e in episodes(made))
    assert (first["outcome"], first["verdict"], first["operator"]) == ("success", "accept", "ann")
    assert (second["outcome"], second["verdict"], second["cause"]) == ("unlabelled", "review", None)
    assert first["source_id"] == paths[0].name and len(first["source_sha256"]) == 64
    assert first["tasks"] == ["Please lift it."] and first["recorder_version"] == "0.1"
    assert first["dataset_to_index"] == second["dataset_from_index"]


def test_tasks_are_read_as_pandas_index(made: ExportReport) -> None:
    pandas = pytest.importorskip("pandas")
    tasks = pandas.read_parquet(made.target / "meta/tasks.parquet")
    assert tasks.index.name == "task"
    assert tasks["task_index"].to_dict() == {"Please lift it.": 0, "Please fold it.": 1}


def test_annotations_become_subtasks(made: ExportReport) -> None:
    names = table(made, "meta/subtasks.parquet")["subtask"].to_pylist()
    assert names == ["", "grasp"]
    rows = table(made)
    times, subtask = values(rows["sync.tick_s"]), values(rows["subtask_index"])
    np.testing.assert_array_equal(subtask == 1, (times >= 0.5) & (times <= 1.0))


def test_annotations_become_language_columns_on_request(paths: list[Path], tmp_path: Path) -> None:
    report = export(tmp_path / "set", paths, profile=PROFILE, extra={"language": "true"})
    rows = table(report)
    for said, events in zip(
        rows["language_persistent"].to_pylist(), rows["language_events"].to_pylist()
    ):
        assert [r["content"] for r in said] == ["grasp", None] and events == []
        assert {r["style"] for r in said} == {"subtask"} and said[0]["timestamp"] == pytest.approx(
            0.45, abs=0.06
        )
    features = json.loads((report.target / "meta/info.json").read_text())["features"]
    assert features["language_persistent"] == {"dtype": "language", "shape": [1], "names": None}


def test_statistics_leave_out_what_is_missing(made: ExportReport) -> None:
    stats = json.loads((made.target / "meta/stats.json").read_text())
    rows = table(made)
    states = values(rows["observation.state"])
    np.testing.assert_allclose(
        stats["observation.state"]["mean"], np.nanmean(states, axis=0), atol=1e-6
    )
    np.testing.assert_allclose(
        stats["observation.state"]["std"], np.nanstd(states, axis=0), atol=1e-6
    )
    assert stats["observation.state"]["count"] == [len(rows)]
    window = values(rows["observation.force.window"])
    assert np.isnan(window).any()
    np.testing.assert_allclose(
        stats["observation.force.window"]["mean"],
        np.nanmean(window.reshape(-1, 6), axis=0),
        atol=1e-4,
    )
    image = stats["observation.images.camera"]
    assert (
        np.shape(image["mean"]) == (3, 1, 1)
        and 0 < np.min(image["mean"]) < np.max(image["max"]) <= 1
    )


def test_a_rate_that_is_not_whole_is_refused(paths: list[Path], tmp_path: Path) -> None:
    from robot_recorder.dataset.align_source import AlignOptions

    with pytest.raises(RecorderError, match=r"whole frames a second, not 12\.5; give --rate"):
        export(tmp_path / "set", paths, profile=PROFILE, align=AlignOptions(rate_hz=12.5))


def test_an_episode_may_be_longer_than_a_batch(
    paths: list[Path], tmp_path: Path, monkeypatch
) -> None:
    from robot_recorder.dataset import frames
    from robot_recorder.dataset.formats import lerobot

    whole = export(tmp_path / "whole", paths, profile=PROFILE)
    monkeypatch.setattr(frames.DatasetFrames.batches, "__defaults__", (7,))
    monkeypatch.setattr(lerobot, "BATCH", 7)
    parts = export(tmp_path / "parts", paths, profile=PROFILE)
    for name in table(whole).column_names:
        np.testing.assert_array_equal(values(table(whole)[name]), values(table(parts)[name]))


def test_formats_are_found_by_name() -> None:
    assert "lerobot" in formats()
    with pytest.raises(ConfigError, match="no format 'lerobt'; did you mean 'lerobot'"):
        format_of("lerobt")
    for one in formats().values():
        for name in ("parts", "writer", "renumber", "complete"):
            assert callable(getattr(one, name)), f"{one.name} is no {port.Format.__name__}"
