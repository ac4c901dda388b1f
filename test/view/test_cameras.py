"""Pictures of cameras."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rerun")
from support.described import picture
from support.recordings import Recorded


def test_every_picture_is_logged_unchanged(recorded: Recorded) -> None:
    times, blobs = recorded.rows("/streams/camera", "EncodedImage:blob")
    numbers = [n for n in range(80) if n != 7]  # 7 is damaged
    assert times == pytest.approx(np.array(numbers) / 20)
    assert [bytes(blob[0]) for blob in blobs] == [picture(number) for number in numbers]
    assert recorded.viewed.pictures == {"/camera/image/compressed": 79}
    assert any("1 pictures cannot be decoded" in note for note in recorded.viewed.notes)
