"""Where the overlay is placed."""

from __future__ import annotations

import pytest
from support.described import URDF

from robot_recorder.model.errors import DecodeError
from robot_recorder.rviz.placement import placement


def test_the_overlay_is_above_the_highest_link() -> None:
    place = placement(URDF)
    assert place.frame == "base" and place.z_m == pytest.approx(0.1 + 0.25)
    for nothing in ("<robot", "<robot name='bench'/>"):
        with pytest.raises(DecodeError):
            placement(nothing)
