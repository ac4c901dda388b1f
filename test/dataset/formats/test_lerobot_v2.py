"""LeRobot v2.1 and GR00T's modality.json: what the suite of all formats does not look at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.dataset_takes import HEIGHT, WIDTH, TakeOptions, distances, take
from support.exported import export

pq = pytest.importorskip("pyarrow.parquet")
pytest.importorskip("av")
import cv2

from robot_recorder.dataset.formats.lerobot_v2 import modality, value_groups
from robot_recorder.dataset.schema import Feature, FeatureKind, Schema, ShardSpec
from robot_recorder.dataset.verify.lerobot import verify_lerobot
from robot_recorder.model.errors import RecorderError

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"
SHORT = TakeOptions(seconds=1.3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("v2")
    paths = [take(folder / "takes", n, SHORT, task=t) for n, t in enumerate(("lift", "fold"))]
    return export(folder / "set", paths, format="lerobot-v2", shard_bytes=30_000).target


def meta(root: Path, name: str) -> Any:
    return json.loads((root / "meta" / name).read_text())


def lines(root: Path, name: str) -> list[Any]:
    return [json.loads(line) for line in (root / "meta" / name).read_text().splitlines()]


def values(name: str, names: tuple[str, ...], *streams: str) -> Feature:
    return Feature(name, FeatureKind.VALUES, (len(names),), names, streams)


def test_each_episode_has_files_of_its_own(root: Path) -> None:
    found = {
        str(p.relative_to(root))
        for p in root.rglob("*.*")
        if p.suffix in (".parquet", ".mp4") and p.parent.name != "samples"
    }
    assert found == {
        "data/chunk-000/episode_000000.parquet",
        "data/chunk-000/episode_000001.parquet",
        f"videos/chunk-000/{CAMERA}/episode_000000.mp4",
        f"videos/chunk-000/{CAMERA}/episode_000001.mp4",
    }
    info = meta(root, "info.json")
    assert info["codebase_version"] == "v2.1" and info["fps"] == 20
    assert (info["total_episodes"], info["total_videos"], info["total_chunks"]) == (2, 2, 1)
    assert info["total_frames"] == sum(line["length"] for line in lines(root, "episodes.jsonl"))


def test_what_anybody_wrote_is_asked_of_it(root: Path) -> None:
    assert verify_lerobot(root, thorough=True) == []


def test_tasks_subtasks_and_facts_are_lines(root: Path) -> None:
    assert lines(root, "tasks.jsonl") == [
        {"task_index": 0, "task": "Please lift it."}, {"task_index": 1, "task": "Please fold it."},
    ]  # fmt: skip
    assert lines(root, "subtasks.jsonl")[1] == {"subtask_index": 1, "subtask": "grasp"}
    first, second = lines(root, "episodes.jsonl")
    assert first["outcome"] == "success" and first["source_id"] == "arm_000_lift"
    assert second["tasks"] == ["Please fold it."] and second["annotations"] == [["grasp", 0.5, 1.0]]


def test_statistics_have_the_shapes_that_lerobot_and_gr00t_ask_for(root: Path) -> None:
    for line in lines(root, "episodes_stats.jsonl"):
        for name, stats in line["stats"].items():
            for key, value in stats.items():
                wanted = (1,) if key == "count" else (3, 1, 1)
                assert "image" not in name or np.shape(value) == wanted, (name, key)
    stats, features = meta(root, "stats.json"), meta(root, "info.json")["features"]
    for name in (n for n, f in features.items() if "float" in f["dtype"]):
        assert {"mean", "std", "min", "max", "q01", "q99"} <= stats[name].keys(), name


def test_depth_is_a_picture_of_sixteen_bits_that_datasets_knows_as_one(root: Path) -> None:
    table = pq.read_table(root / "data/chunk-000/episode_000000.parquet")
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert list(features) == table.column_names and features[DEPTH] == {"_type": "Image"}
    assert features["observation.force.window"]["feature"]["feature"]["dtype"] == "float32"
    data = np.frombuffer(table[DEPTH][0]["bytes"].as_py(), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(data, cv2.IMREAD_UNCHANGED), distances(0))
    about = meta(root, "info.json")["features"][DEPTH]
    assert about["dtype"] == "image" and about["shape"] == [HEIGHT, WIDTH, 1]
    mean = lines(root, "episodes_stats.jsonl")[0]["stats"][DEPTH]["mean"][0][0][0]
    assert 500 < mean < 500 + 20 * HEIGHT + 3 * WIDTH + 200, "of known distances, mm"


def test_modality_names_the_values_of_each_stream(root: Path) -> None:
    found = meta(root, "modality.json")
    key = {"start": 0, "end": 2, "original_key": "observation.state"}
    assert found["state"]["joints_position"] == key
    assert found["state"]["force_torque"]["original_key"] == "observation.force"
    assert found["action"] == {
        "commands_position": {"start": 0, "end": 2, "original_key": "action"}
    }
    assert found["video"] == {"camera": {"original_key": CAMERA}}
    assert found["annotation"]["human.task_description"] == {"original_key": "task_index"}
    table = pq.read_table(root / "data/chunk-000/episode_000000.parquet")
    for kind in ("state", "action"):
        for entry in found[kind].values():
            assert entry["end"] <= len(table[entry["original_key"]][0])


@pytest.mark.parametrize(
    "feature, groups",
    [
        (
            values("observation.state", ("left/position/a (rad)", "left/position/b (rad)",
                   "right/position/a (rad)"), "left", "right"),
            [("left_position", 0, 2), ("right_position", 2, 3)],
        ),
        (values("x", ("force/x (N)", "force/y (N)", "torque/x (N m)"), "wrist.ft"),
         [("wrist_ft_force", 0, 2), ("wrist_ft_torque", 2, 3)]),
        (values("action", ("hand/position/x (m)", "hand/orientation/x (1)"), "a", "b"),
         [("a_hand", 0, 2)]),
        (values("x", ("p/a", "q/a", "p/b"), "s"), [("s_p", 0, 1), ("s_q", 1, 2), ("s_p", 2, 3)]),
    ],
)  # fmt: skip
def test_values_of_one_stream_and_field_are_a_group(feature: Feature, groups: list[Any]) -> None:
    assert value_groups(feature) == groups


def test_two_groups_of_one_name_are_told_apart() -> None:
    features = (values("observation.a", ("p/a", "q/a", "p/b"), "s"), values("action", ("p/a",), "c"),
                values("operator.x", ("p/a",), "o"))  # fmt: skip
    found = modality(ShardSpec(0, (), Schema("arm", 20, "", features, ())))
    assert list(found["state"]) == ["s_p", "s_q", "s_p_2"] and list(found["action"]) == ["c_p"]


def test_a_rate_with_a_fraction_is_refused(tmp_path: Path) -> None:
    path = take(tmp_path / "takes", 0, SHORT)
    profile = "rate_hz: 7.5\nfeatures:\n  action: {values: {commands: ['*']}}\n"
    from robot_recorder.dataset.align_source import AlignOptions

    with pytest.raises(RecorderError, match=r"whole frames a second, not 7\.5; give --rate"):
        export(tmp_path / "set", [path], format="lerobot-v2", profile=profile,
               align=AlignOptions(rate_hz=7.5))  # fmt: skip
