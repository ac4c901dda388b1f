"""What of an episode is sent, by size and hash; lists from outside are checked."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from robot_recorder.floor.manifest import Manifest, bag_prefix, read_manifest
from robot_recorder.model.errors import BagError

SHA = "0" * 64


def test_a_manifest_holds_the_data_and_changes_with_every_byte(tmp_path: Path) -> None:
    (tmp_path / "b_0.mcap").write_bytes(b"two")
    (tmp_path / "a_0.mcap").write_bytes(b"one")
    (tmp_path / "metadata.yaml").write_text("labels change this")
    (tmp_path / ".hidden").write_text("x")
    for name in ("metadata.yaml.tmp", "discarded.json", "discarded.json.tmp"):
        (tmp_path / name).write_text("left by a crash")
    os.symlink("/etc/passwd", tmp_path / "link.mcap")
    manifest = read_manifest(tmp_path)
    assert [file.name for file in manifest.files] == ["a_0.mcap", "b_0.mcap"]
    assert manifest.files[0].sha256 == hashlib.sha256(b"one").hexdigest()
    assert manifest.size_bytes == 6
    (tmp_path / "metadata.yaml").write_text("other labels")
    assert read_manifest(tmp_path).sha256 == manifest.sha256
    (tmp_path / "a_0.mcap").write_bytes(b"onf")
    assert read_manifest(tmp_path).sha256 != manifest.sha256


def test_a_directory_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="no data files"):
        read_manifest(tmp_path)
    with pytest.raises(BagError, match="cannot be read"):
        read_manifest(tmp_path / "missing")


names = st.text(st.sampled_from("abc_0.mp é"), min_size=1).filter(lambda n: n[0] != ".")
files = st.tuples(names, st.integers(0, 2**40), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))


@given(st.lists(files, min_size=1, max_size=5, unique_by=lambda f: f[0]), st.randoms())
def test_a_manifest_is_the_same_in_any_order(plain: list[Any], random: Any) -> None:
    one = Manifest.from_plain(plain)
    random.shuffle(plain)
    two = Manifest.from_plain([list(f) for f in plain])
    assert one == two and one.sha256 == two.sha256
    assert Manifest.from_plain(one.to_plain()) == one


@pytest.mark.parametrize("plain", [
    [], None, {}, "x", [["a", 1]], [["a", -1, SHA]], [["a", True, SHA]], [["a", 1.0, SHA]], [["a", 1 << 50, SHA]],
    [["../a", 1, SHA]], [["a/b", 1, SHA]], [[".a", 1, SHA]], [["", 1, SHA]], [["metadata.yaml", 1, SHA]], [["metadata.yaml.tmp", 1, SHA]],
    [["a", 1, SHA.upper() + "A"]], [["a", 1, "g" * 64]], [["a", 1, SHA + "\n"]], [["a\n", 1, SHA]], [[5, 1, SHA]],
    [["a", 1, SHA], ["a", 2, SHA]], [["a", 1, None]], [["a" * 300, 1, SHA]],
], ids=str)  # fmt: skip
def test_an_invalid_manifest_is_refused_by_name(plain: Any) -> None:
    with pytest.raises(BagError):
        Manifest.from_plain(plain)


@pytest.mark.parametrize(
    "site, id", [("../x", "a"), ("a", ".."), ("", "a"), ("a", "b/c"), ("a\0", "b")]
)
def test_objects_stay_below_their_site(site: str, id: str) -> None:
    assert bag_prefix("berlin", "g1_x") == "bags/berlin/g1_x/"
    with pytest.raises(BagError):
        bag_prefix(site, id)
