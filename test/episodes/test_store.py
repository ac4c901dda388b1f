"""Episodes of a root: found, named and moved by their store only."""

from __future__ import annotations

from pathlib import Path

from robot_recorder.episodes.store import EpisodeStore


def test_newest_returns_only_episodes_of_that_robot(tmp_path: Path) -> None:
    store = EpisodeStore(tmp_path)
    assert store.newest("arm") is None
    for name in ("arm_20260101T000000_000_lift", "arm_20260101T000000_500", "arm_2_20260101T000009_000_x",
                 "arm_20260101T000000_500-2.partial", "zoo"):  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.yaml").touch()
    assert store.newest("arm") == tmp_path / "arm_20260101T000000_500-2.partial"
    assert store.newest("arm_2") == tmp_path / "arm_2_20260101T000009_000_x"
    assert store.newest("ar") is None
