"""Tar shards of samples: names, pictures, counts, and new numbers.

Holds also: dataset/stills.py.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.dataset_readers import read_webdataset
from support.dataset_takes import HEIGHT, WIDTH, TakeOptions, distances, shown, take
from support.exported import export
from support.readers import run_reader

from robot_recorder.dataset.formats.port import WriteOptions
from robot_recorder.dataset.formats.webdataset import WebDataset
from robot_recorder.dataset.schema import Feature, FeatureKind, Schema, ShardSpec
from robot_recorder.dataset.stills import Stills, encoded, millimetres
from robot_recorder.model.errors import ConfigError

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"
SHORT = TakeOptions(seconds=1.2)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    root = tmp_path_factory.mktemp("takes")
    return [take(root, n, SHORT, task=task) for n, task in enumerate(("lift", "fold", "lift"))]


@pytest.fixture(scope="module")
def root(takes: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("web") / "set"
    return export(
        target, takes, format="webdataset", shares={"val": 0.34}, shard_bytes=30_000
    ).target


def members(path: Path) -> dict[str, bytes]:
    """Return all files of a tar file by name, in order."""
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]


def jpeg(number: int) -> bytes:
    """Return a picture of the first take as it is in the bag."""
    quality = [cv2.IMWRITE_JPEG_QUALITY, SHORT.quality]
    return cv2.imencode(".jpg", shown(number), quality)[1].tobytes()


def pixels_of(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


def samples(root: Path) -> dict[str, dict[str, bytes]]:
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted(root.glob("*/*.tar")):
        for name, data in members(path).items():
            key, _, suffix = name.partition(".")
            found.setdefault(key, {})[suffix] = data
    return found


def test_a_sample_holds_a_frame_and_the_next_one_follows(root: Path) -> None:
    [path, *_] = sorted(root.glob("train/*.tar"))
    names = list(members(path))
    keys = [name.partition(".")[0] for name in names]
    number = keys[0].partition("_")[0]
    assert list(dict.fromkeys(keys)) == [f"{number}_{n:06d}" for n in range(len(set(keys)))]
    assert keys == sorted(keys), "members of a sample are next to each other"
    assert names[0] == f"{number}_000000.json"
    assert f"{number}_000000.{CAMERA}.jpg" in names and f"{number}_000000.action.npy" in names


def test_json_says_which_frame_it_is_and_what_is_done_in_it(root: Path) -> None:
    known = [json.loads(sample["json"]) for _, sample in sorted(samples(root).items())]
    assert [k["index"] for k in known] == list(range(len(known)))
    first = known[0]
    assert first["outcome"] == "success" and first["source_id"] == "arm_000_lift"
    assert (first["episode"], first["frame"], first["frames"]) == (0, 0, len(known) // 3)
    assert {k["subtask"] for k in known} == {"", "grasp"}


def test_pictures_are_the_bag_s_own_bytes(root: Path) -> None:
    bag = [jpeg(number) for number in range(24)]
    found = [s[f"{CAMERA}.jpg"] for key, s in sorted(samples(root).items()) if key < "000001"]
    first = bag.index(found[0])
    assert found == bag[first : first + len(found)]


def test_no_decoder_of_webdataset_takes_depth_for_a_picture_of_eight_bits(root: Path) -> None:
    data = samples(root)["000000_000000"][f"{DEPTH}.png16"]
    found = pixels_of(data)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, distances(0))


def test_headers_tell_neither_time_nor_user(root: Path) -> None:
    with tarfile.open(next(root.glob("train/*.tar"))) as tar:
        told = {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar.getmembers()}
    assert told == {(0, 0, 0, "", "", 0o644)}


def test_the_index_of_a_split_counts_the_samples_of_its_shards(root: Path) -> None:
    counted = {}
    for split in ("train", "val"):
        index = json.loads((root / split / "index.json").read_text())
        assert index["wids_version"] == 1
        counted[split] = 0
        for shard in index["shardlist"]:
            path = root / split / shard["url"]
            assert path.stat().st_size == shard["filesize"]
            assert len({n.partition(".")[0] for n in members(path)}) == shard["nsamples"]
            counted[split] += shard["nsamples"]
    assert counted["train"] == 2 * counted["val"] > 0
    for line in (root / "episodes.jsonl").read_text().splitlines():
        assert json.loads(line)["file"].startswith(json.loads(line)["split"])


def test_samples_get_new_numbers_when_an_episode_before_them_is_gone(
    takes: list[Path], tmp_path: Path
) -> None:
    how = {"format": "webdataset", "shard_bytes": 30_000}
    first = export(tmp_path / "set", takes, **how)  # type: ignore[arg-type]
    updated = export(tmp_path / "set", takes[1:], old=first.lock, **how)  # type: ignore[arg-type]
    fresh = export(tmp_path / "fresh", takes[1:], **how)  # type: ignore[arg-type]
    assert updated.reused == 2
    for old, new in zip(
        sorted(updated.target.glob("*/*.tar")), sorted(fresh.target.glob("*/*.tar"))
    ):
        assert old.read_bytes() == new.read_bytes(), "though the shard has another number"


def test_resized_pictures_are_encoded_anew(takes: list[Path], tmp_path: Path) -> None:
    profile = f"features:\n  {CAMERA}: {{camera: camera, size: [32, 16]}}\n"
    for wanted in ("jpg", "png"):
        root = export(tmp_path / wanted, takes[:1], format="webdataset", profile=profile,
                      extra={"pictures": wanted}).target  # fmt: skip
        found = pixels_of(next(iter(samples(root).values()))[f"{CAMERA}.{wanted}"]).astype(int)
        small = [
            cv2.resize(pixels_of(jpeg(n)), (32, 16), interpolation=cv2.INTER_AREA) for n in range(3)
        ]
        off = min(float(np.abs(found - one).mean()) for one in small)
        assert off == 0 if wanted == "png" else 0 < off < 3


def test_webdataset_reads_what_our_own_reader_reads(root: Path, tmp_path: Path) -> None:
    said = run_reader("read_webdataset", root, tmp_path / "read.npz")
    found = np.load(tmp_path / "read.npz")
    episodes = read_webdataset(root)
    order = [*dict.fromkeys(int(key.split("_")[0]) for key in found["__key__"])]
    assert said["samples"] == sum(len(e.columns["action"]) for e in episodes)
    for name in episodes[0].columns:
        wanted = np.concatenate([episodes[n].columns[name] for n in order])
        np.testing.assert_array_equal(found[f"{name}.npy"], wanted)
    assert found[f"{CAMERA}.jpg"].shape[1:] == (HEIGHT, WIDTH, 3)
    assert found[f"{DEPTH}.png16"].dtype.kind == "S", "left as it is"


# -- image files


def camera(kind: FeatureKind = FeatureKind.PICTURE) -> Feature:
    return Feature("observation.images.x", kind, (4, 6, 3), (), ("x",))


@pytest.mark.parametrize(
    "extra, codec, kind, suffix",
    [
        ({}, "mjpeg", FeatureKind.PICTURE, "jpg"),
        ({}, "+h264", FeatureKind.PICTURE, "jpg"),
        ({"pictures": "true"}, "+h264", FeatureKind.PICTURE, "jpg"),
        ({"pictures": "png"}, "+h264", FeatureKind.PICTURE, "png"),
        ({"pictures": "png"}, "mjpeg", FeatureKind.PICTURE, "jpg"),
        ({}, "+depth", FeatureKind.DEPTH, "png"),
    ],
)
def test_what_is_copied_stays_jpeg(
    extra: dict[str, str], codec: str, kind: FeatureKind, suffix: str
) -> None:
    options = WriteOptions({"observation.images.x": codec}, extra)
    assert Stills(camera(kind), options).suffix == suffix


@pytest.mark.parametrize(
    "extra, problem",
    [
        ({"pictures": "gif"}, "webdataset: pictures is jpg or png, not 'gif'"),
        ({"picture": "png"}, "webdataset has no option 'picture'; did you mean 'pictures'"),
    ],
)
def test_other_options_are_refused(extra: dict[str, str], problem: str) -> None:
    shard = ShardSpec(0, (), Schema("arm", 20, "", (), ()))
    with pytest.raises(ConfigError, match=problem):
        WebDataset().writer("samples", shard, Path(), WriteOptions(extra=extra))


def test_distances_that_sixteen_bits_cannot_hold_are_unknown() -> None:
    metres = np.array([[0.0, 0.001, 1.2344, 65.535, 65.536, np.nan, np.inf, -1.0]], np.float32)
    assert millimetres(metres).tolist() == [[0, 1, 1234, 65535, 0, 0, 0, 0]]
    whole = np.arange(1, 65536, dtype=np.uint16)[None]
    np.testing.assert_array_equal(millimetres((whole / 1000).astype(np.float32)), whole)


def test_depth_survives_its_file() -> None:
    pixels: Any = np.random.default_rng(0).integers(0, 65536, (5, 7), dtype=np.uint16)
    np.testing.assert_array_equal(pixels_of(encoded(pixels, "png")), pixels)
