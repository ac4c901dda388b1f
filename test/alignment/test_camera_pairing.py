"""Which CameraInfo belongs to which camera."""

from __future__ import annotations

from robot_recorder.alignment.camera_pairing import info_topics


def test_the_info_beside_the_pictures_or_one_level_above_is_found() -> None:
    infos = ["/head/camera_info", "/wrist/color/camera_info", "/wrist/depth/camera_info"]
    assert info_topics("/head/image_raw/compressed", infos) == ["/head/camera_info"]
    assert info_topics("/wrist/depth/image_raw", infos) == ["/wrist/depth/camera_info"]
    assert info_topics("/chest/image_raw", infos) == []
    assert info_topics("/image_raw", ["/camera_info"]) == []
