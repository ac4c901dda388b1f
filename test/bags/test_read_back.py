"""A bag is confirmed by what another library counts in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.cases import plain

from robot_recorder.bags import read_back
from robot_recorder.bags.read_back import confirm
from robot_recorder.model.errors import BagError


def test_equal_counts_are_confirmed_by_name(tmp_path: Path) -> None:
    assert confirm(plain(tmp_path), {"/joint_states": 300, "/silent": 0}) == "rosbags"


@pytest.mark.parametrize("counts", [{"/joint_states": 301}, {}, {"/joint_states": 300, "/a": 1}])
def test_other_counts_are_an_error(counts: dict[str, int], tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"rosbags reads \d+ of \d+ messages of /"):
        confirm(plain(tmp_path), counts)


def test_a_bag_that_the_library_cannot_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="cannot be read by rosbags"):
        confirm(tmp_path, {})


def test_without_a_library_nothing_is_confirmed(tmp_path: Path, monkeypatch) -> None:
    readers: dict[str, Callable[[Path], dict[str, int]]] = {"no_such_library": lambda path: {}}
    monkeypatch.setattr(read_back, "_READERS", readers)
    assert confirm(plain(tmp_path), {"/joint_states": 300}) == ""
