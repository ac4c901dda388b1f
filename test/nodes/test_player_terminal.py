"""Keys as terminals send them; test/cli/test_play.py tests the rest with a real terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from robot_recorder.nodes.player_terminal import KEYS, pressed


@given(st.lists(st.sampled_from(sorted(KEYS))), st.lists(st.integers(1, 5), min_size=1))
def test_keys_are_found_in_parts_of_any_size(keys: list[bytes], sizes: list[int]) -> None:
    sent, found, rest, at = b"".join(keys), [], b"", 0
    for number in range(len(sent)):
        size = sizes[number % len(sizes)]
        some, rest = pressed(rest + sent[at : at + size])
        found += some
        at += size
    assert found == [KEYS[key] for key in keys] and rest == b""


@given(st.binary(max_size=20))
def test_other_bytes_are_ignored(data: bytes) -> None:
    found, rest = pressed(data)
    assert set(found) <= set(KEYS.values()) and len(rest) < 3
    assert pressed(data + b"xxxq")[0][-1] == "end"
