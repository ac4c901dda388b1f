"""``encode`` of a stream: what is accepted, and what is refused with line and fix.

Holds also: model/encode_settings.py.
"""

from __future__ import annotations

import pytest

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.encode_settings import Codec, EncodeSettings
from robot_recorder.model.errors import ConfigError
from robot_recorder.model.streams import RobotProfile

PROFILE = """
robot: arm
streams:
  head:
    topic: head/image
    type: sensor_msgs/msg/Image
    role: observation
    rate_hz: 30
    {line}
"""


def parsed(line: str, **changes: str) -> RobotProfile:
    text = PROFILE.format(line=line)
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_profile(text, "arm.yaml")


@pytest.mark.parametrize(
    ("line", "settings", "parameters"),
    [
        ("encode: jpeg", EncodeSettings(Codec.JPEG), {"quality": 90}),
        ("encode: {codec: jpeg, quality: 75}", EncodeSettings(Codec.JPEG, 75), {"quality": 75}),
        ("encode: png16", EncodeSettings(Codec.PNG16), {}),
        ("encode: {codec: rvl}", EncodeSettings(Codec.RVL), {}),
        (
            "encode: {codec: h264, crf: 0, keyframe_s: 1, encoder: libx264}",
            EncodeSettings(Codec.H264, crf=0, keyframe_s=1.0, encoder="libx264"),
            {"crf": 0, "keyframe_s": 1.0, "encoder": "libx264"},
        ),
        ("", None, None),
    ],
)
def test_what_a_profile_says_is_taken(
    line: str, settings: EncodeSettings | None, parameters: dict[str, object] | None
) -> None:
    (stream,) = parsed(line).streams
    assert stream.encode == settings
    assert stream.topic == "head/image" and stream.type == "sensor_msgs/msg/Image"
    assert settings is None or settings.parameters == parameters


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("encode: jepg", "did you mean 'jpeg'"),
        ("encode: 3", "expected text"),
        ("encode: {quality: 3}", "'codec' is missing"),
        ("encode: {codec: mp3}", "not a known value"),
        ("encode: {codec: jpeg, quality: 0}", "a whole number from 1 to 100"),
        ("encode: {codec: jpeg, quality: 90.5}", "a whole number from 1 to 100"),
        ("encode: {codec: jpeg, quality: yes}", "expected a number"),
        ("encode: {codec: rvl, quality: 9}", "'quality': is for jpeg, not for rvl: remove it"),
        ("encode: {codec: h264, crf: 52}", "a whole number from 0 to 51"),
        ("encode: {codec: h264, keyframe_s: 0}", "must be greater than 0"),
        ("encode: {codec: h264, kyframe_s: 1}", "did you mean 'keyframe_s'"),
    ],
)
def test_what_cannot_be_is_refused_with_its_line(line: str, words: str) -> None:
    with pytest.raises(ConfigError, match=r"arm\.yaml:9: streams\.head") as error:
        parsed(line)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("line", "changes", "words"),
    [
        ("encode: jpeg", {"Image": "CompressedImage"}, "is for sensor_msgs/msg/Image alone"),
        ("encode: jpeg\n    stamp: {field: header.stamp}", {}, "use 'stamp: header'"),
        ("encode: h264", {"    rate_hz: 30\n": "    tolerance_ms: 5\n"}, "needs 'rate_hz'"),
        (
            "encode: jpeg\n  lens: {topic: head/image/compressed, type: "
            "sensor_msgs/msg/CompressedImage, role: context}",
            {},
            "'head/image/compressed' is recorded by stream 'head' already",
        ),
        (
            "encode: jpeg\n  size: {topic: head/image, role: context, as: numbers, "
            "map: {values: height}}",
            {},
            "'head/image' is encoded, and read by stream 'head' too",
        ),
    ],
)
def test_it_must_fit_to_the_other_keys(line: str, changes: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as error:
        parsed(line, **changes)
    assert "arm.yaml:" in str(error.value) and words in str(error.value)
