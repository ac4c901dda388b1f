"""RLDS: what a step has, and the files that TensorFlow Datasets wants.

Holds also: dataset/crc32c.py, dataset/spools.py, dataset/tfrecord.py.
"""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dataset_readers import read_rlds
from support.dataset_takes import HEIGHT, WIDTH, TakeOptions, take
from support.exported import export
from support.readers import run_reader

from robot_recorder.dataset import spools
from robot_recorder.dataset.crc32c import crc32c
from robot_recorder.dataset.formats import rlds
from robot_recorder.dataset.formats.port import WriteOptions
from robot_recorder.dataset.formats.rlds import features, places
from robot_recorder.dataset.schema import Feature, FeatureKind, Schema
from robot_recorder.dataset.spools import Spools
from robot_recorder.dataset.tfrecord import ExampleFile, masked, varint, varints
from robot_recorder.dataset.trimming import Held
from robot_recorder.model.errors import RecorderError
from robot_recorder.model.labels import Outcome

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes: a success, a failure, and a success of two pieces."""
    folder = tmp_path_factory.mktemp("rlds")
    paths = [
        take(folder / "takes", 0, TakeOptions(seconds=1.3)),
        take(folder / "takes", 1, TakeOptions(seconds=1.3), outcome=Outcome.FAILURE),
        take(folder / "takes", 2, TakeOptions(seconds=3.3, gap=(1.4, 1.9))),
    ]
    how = {"held": Held.CUT, "shares": {"val": 0.34}, "shard_bytes": 30_000}
    return export(folder / "set", paths, format="rlds", **how).target  # type: ignore[arg-type]


def values(name: str) -> Feature:
    return Feature(name, FeatureKind.VALUES, (1,), (name,), ())


@pytest.fixture(scope="module")
def read(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Any]:
    """What TensorFlow Datasets reads; without it the tests that ask for it are skipped."""
    out = tmp_path_factory.mktemp("read") / "read.npz"
    return run_reader("read_rlds", root, out), np.load(out)


def test_tensorflow_datasets_reads_every_value_that_we_read(
    root: Path, read: tuple[dict[str, Any], Any]
) -> None:
    said, found = read
    assert said["name"] == "episodes/1.0.0"
    ours = {e.facts["source_id"] + str(len(e.columns["action"])): e for e in read_rlds(root)}
    assert sum(map(len, said["lengths"].values())) == len(ours) == 4
    for split, lengths in said["lengths"].items():
        for number, length in enumerate(lengths):
            of = f"{split}/{number}"
            mine = ours[found[f"{of}/episode_metadata/source_id"].item().decode() + str(length)]
            for name, wanted in mine.columns.items():
                got = found[f"{of}/steps/{name.replace('.', '/', 1)}"]
                assert got.dtype == wanted.dtype, name
                np.testing.assert_array_equal(got, wanted)
            depth = found[f"{of}/steps/observation/images.depth"][..., 0]
            metres = np.nan_to_num(mine.cameras[DEPTH].astype(np.float64))
            np.testing.assert_array_equal(depth, np.rint(metres * 1000).astype(np.uint16))
            off = found[f"{of}/steps/observation/images.camera"].astype(int) - mine.cameras[CAMERA]
            assert np.abs(off).max() <= 8, "decoders of JPEG differ by a little"


def test_an_episode_ends_with_a_reward_if_it_is_a_success(
    read: tuple[dict[str, Any], Any],
) -> None:
    """A piece that is followed by another one of the same source ends, but not for good."""
    said, found = read
    ends = {}
    for split, lengths in said["lengths"].items():
        for number, length in enumerate(lengths):
            of = f"{split}/{number}"
            first, last, ended, reward = (
                found[f"{of}/steps/{n}"] for n in ("is_first", "is_last", "is_terminal", "reward")
            )
            assert first.nonzero()[0].tolist() == [0] and last.nonzero()[0].tolist() == [length - 1]
            assert not ended[:-1].any() and not reward[:-1].any()
            fact = found[f"{of}/episode_metadata/source_id"].item(), found[f"{of}/episode_metadata/source_piece"].item()  # fmt: skip
            ends[fact] = bool(ended[-1]), float(reward[-1])
            assert (found[f"{of}/steps/discount"] == 1).all()
            assert set(found[f"{of}/steps/language_subtask"]) <= {b"", b"grasp"}
    assert ends == {
        (b"arm_000_lift", 0): (True, 1.0),
        (b"arm_001_lift", 0): (True, 0.0),
        (b"arm_002_lift", 0): (False, 0.0),
        (b"arm_002_lift", 1): (True, 1.0),
    }


def test_lengths_of_shards_name_the_files_that_exist(root: Path) -> None:
    """A shard without an episode of a split has length 0 there, and no file."""
    info = json.loads((root / "dataset_info.json").read_text())
    named = set()
    for split in info["splits"]:
        for number, length in enumerate(split["shardLengths"]):
            if int(length):
                named.add(f"episodes-{split['name']}.tfrecord-{number:05d}")
    assert named == {p.name for p in root.glob("*.tfrecord-*")} and len(named) == 3
    assert {s["name"] for s in info["splits"]} == {"train", "val"}
    for split in info["splits"]:
        sizes = (p.stat().st_size for p in root.glob(f"episodes-{split['name']}.*"))
        assert int(split["numBytes"]) == sum(sizes)


def test_a_feature_is_in_the_group_of_its_first_word_unless_that_is_one_itself() -> None:
    names = ("action", "action.gripper", "observation.state", "observation.images.top",
             "operator", "operator.x", "reward.sum", "plain")  # fmt: skip
    found = places(Schema("arm", 20, "", tuple(map(values, names)), ()))
    assert {name: found[name] for name in names} == {
        "action": "action", "action.gripper": "action.gripper",
        "observation.state": "observation/state",
        "observation.images.top": "observation/images.top",
        "operator": "operator", "operator.x": "operator.x",
        "reward.sum": "reward.sum", "plain": "plain",
    }  # fmt: skip
    assert len(set(found.values())) == len(found)


def test_types_say_what_each_value_is() -> None:
    picture = Feature(CAMERA, FeatureKind.PICTURE, (HEIGHT, WIDTH, 3), (), (), "uint8")
    depth = Feature(DEPTH, FeatureKind.DEPTH, (HEIGHT, WIDTH), (), ())
    schema = Schema("arm", 20, "", (picture, depth, values("action")), ("joints",))
    whole = features(schema, WriteOptions())["featuresDict"]["features"]
    steps = whole["steps"]["sequence"]["feature"]["featuresDict"]["features"]
    seen = steps["observation"]["featuresDict"]["features"]
    assert seen["images.camera"]["image"]["encodingFormat"] == "jpeg"
    assert seen["images.depth"]["image"] == {
        "shape": {"dimensions": [str(HEIGHT), str(WIDTH), "1"]}, "dtype": "uint16", "encodingFormat": "png",
    }  # fmt: skip
    tick = steps["sync"]["featuresDict"]["features"]["tick_s"]["tensor"]
    assert tick["encoding"] == "bytes", "an Example has no float64"
    assert steps["action"]["description"] == "action"


def test_an_episode_that_is_too_large_for_a_record_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rlds, "MOST_BYTES", 20_000)
    path = take(tmp_path / "takes", 0, TakeOptions(seconds=1.2))
    with pytest.raises(RecorderError, match=r"arm_000_lift has .* a record of RLDS at most"):
        export(tmp_path / "set", [path], format="rlds")


# -- records


def slow(data: bytes) -> int:
    """CRC-32C, bit by bit."""
    state = 0xFFFFFFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_checksums_are_those_of_the_standard() -> None:
    """RFC 3720, B.4, and the check value of the Catalogue of parametrised CRC algorithms."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43
    assert crc32c(bytes(range(32))) == 0x46DD794E
    assert crc32c(b"") == 0


@given(st.binary(max_size=600), st.integers(0, 600))
def test_checksums_of_parts_continue(data: bytes, cut: int) -> None:
    assert crc32c(data[cut:], crc32c(data[:cut])) == crc32c(data) == slow(data)


@pytest.mark.parametrize("size", [127, 128, 129, 4095, 70_001, 600_000])
def test_checksums_of_lanes_are_those_of_one(size: int) -> None:
    data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8).tobytes()
    parts = 0
    for at in range(0, size, 100):
        parts = crc32c(data[at : at + 100], parts)
    assert crc32c(data) == parts


def test_a_checksum_is_masked_as_tensorflow_does() -> None:
    """The head of every record of 5 bytes, as TensorFlow writes it."""
    length = struct.pack("<Q", 5)
    assert struct.pack("<I", masked(crc32c(length))) == bytes.fromhex("ea b2 04 3e")


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_numbers_have_seven_bits_a_byte(numbers: list[int]) -> None:
    wanted = b"".join(varint(n if n >= 0 else n + (1 << 64)) for n in numbers)
    assert varints(np.array(numbers, dtype=np.int64)) == wanted


def test_an_example_is_the_same_whether_its_values_fit_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written() -> bytes:
        held = io.BytesIO()
        with ExampleFile(tmp_path) as example:
            for first in (0, 500):
                example.add("steps/x", np.arange(first, first + 500, dtype=np.float32))
                example.add(
                    "steps/picture", [bytes([n % 256]) * 7000 for n in range(first, first + 500)]
                )
                example.add("steps/n", np.arange(first, first + 500) - 3)
            size = example.size()
            example.write(held)
        (length,) = struct.unpack_from("<Q", held.getvalue())
        assert length == len(held.getvalue()) - 16 and 0 < length - size < 8
        checksum = struct.pack("<I", masked(crc32c(held.getvalue()[12:-4])))
        assert held.getvalue().endswith(checksum)
        return held.getvalue()

    whole = written()
    monkeypatch.setattr(spools, "_IN_MEMORY", 100)
    assert written() == whole
    assert not any(tmp_path.iterdir()), "what waits has no name"


def test_columns_keep_their_order_and_their_bytes(tmp_path: Path) -> None:
    with Spools(tmp_path) as columns:
        for name in ("b", "a", "b"):
            columns.add(name, name.encode() * 1_500_000)
        assert columns.names == ("b", "a") and columns.size("b") == 3_000_000
        blocks = list(columns.blocks("b"))
        assert b"".join(blocks) == b"b" * 3_000_000 and max(map(len, blocks)) <= 1 << 20
