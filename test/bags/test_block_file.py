"""Files that are written in blocks, past the page cache where the disk can."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.mark.parametrize("direct", [True, False])
def test_a_block_file_holds_exactly_the_appended_bytes(
    tmp_path: Path, direct: bool, monkeypatch
) -> None:
    """For any piece sizes and syncs, with and without direct writes."""
    import random

    from robot_recorder.bags import block_file

    if not direct:
        monkeypatch.setattr(os, "O_DIRECT", 0)
    random_ = random.Random(4)
    for number in range(30):
        path = tmp_path / str(number)
        file, expected = block_file.BlockFile(path, 8192), b""
        for _ in range(random_.randrange(20)):
            piece = random_.randbytes(random_.choice([1, 100, 4096, 5000, 50_000]))
            file.append(piece)
            expected += piece
            assert file.position == len(expected)
            action = random_.choice([file.commit, file.sync, lambda: None])
            action()
            if action == file.sync:
                assert path.read_bytes() == expected
        file.sync()
        file.close()
        assert path.read_bytes() == expected
