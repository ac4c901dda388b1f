"""Parse ``encode`` of a stream: how its raw pictures are encoded before they are recorded."""

from __future__ import annotations

from robot_recorder.configuration.yaml_source import YamlMap, did_you_mean
from robot_recorder.messages.encoded import recorded_stream
from robot_recorder.messages.image_messages import RAW
from robot_recorder.model.encode_settings import (
    AUTOMATIC_ENCODER,
    CRF,
    JPEG_QUALITY,
    KEYFRAME_S,
    Codec,
    EncodeSettings,
)
from robot_recorder.model.mapping import StampSource
from robot_recorder.model.streams import StreamConfig

_KEYS = {
    Codec.JPEG: ("codec", "quality"),
    Codec.PNG16: ("codec",),
    Codec.RVL: ("codec",),
    Codec.H264: ("codec", "crf", "keyframe_s", "encoder"),
}
_LONGEST_KEYFRAME_S = 10.0


def parse_encode(entry: YamlMap, stream: StreamConfig) -> EncodeSettings | None:
    """Parse ``encode`` of a stream; None: its messages are recorded as they are.

    Args:
        entry: the stream's mapping.
        stream: what is known of it so far: type, mapping and stamp.

    Raises:
        ConfigError: it is invalid; the message names file, line and the fix.
    """
    if "encode" not in entry:
        return None
    settings = _settings(entry)
    if stream.type != RAW or stream.mapping is not None:
        what = "a mapped stream" if stream.mapping is not None else stream.type
        entry.fail_at("encode", f"is for {RAW} alone, not for {what}: remove it")
    if stream.stamp.source is StampSource.FIELD:
        entry.fail_at("stamp", "an encoded picture keeps only its header: use 'stamp: header'")
    if settings.codec is Codec.H264 and stream.rate_hz is None:
        entry.fail("needs 'rate_hz' for 'encode: h264': add it")
    return settings


def _settings(entry: YamlMap) -> EncodeSettings:
    if not isinstance(entry.value("encode"), dict):
        word = entry.text("encode")
        known = [codec.value for codec in Codec]
        if word not in known:
            text = f"'{word}' is not a codec; {did_you_mean(word, known)}"
            entry.fail_at("encode", text)
        return EncodeSettings(Codec(word))
    found = entry.map("encode")
    codec = Codec(found.choice("codec", [codec.value for codec in Codec]))
    for key in found:
        owners = [c.value for c, keys in _KEYS.items() if key in keys]
        if owners and key not in _KEYS[codec]:
            found.fail_at(key, f"is for {', '.join(owners)}, not for {codec.value}: remove it")
    found.allow(_KEYS[codec])
    keyframe_s = found.number("keyframe_s", KEYFRAME_S, above=0, most=_LONGEST_KEYFRAME_S)
    return EncodeSettings(
        codec,
        _whole(found, "quality", JPEG_QUALITY, 1, 100),
        _whole(found, "crf", CRF, 0, 51),
        KEYFRAME_S if keyframe_s is None else keyframe_s,
        found.text("encoder", AUTOMATIC_ENCODER),
    )


def _whole(entry: YamlMap, name: str, default: int, least: int, most: int) -> int:
    value = entry.number(name, float(default))
    if value is None or value != int(value) or not least <= value <= most:
        entry.fail_at(name, f"must be a whole number from {least} to {most}")
    return int(value)


def check_topics(entry: YamlMap, stream: StreamConfig, before: list[StreamConfig]) -> None:
    """Check that a stream and those before it are recorded on different topics, if one is encoded.

    Args:
        entry: the stream's mapping.
        stream: the stream.
        before: the streams above it.

    Raises:
        ConfigError: they are not; the message names file, line and the fix.
    """
    recorded = recorded_stream(stream).topic
    for other in before:
        if stream.encode is None and other.encode is None:
            continue
        if other.topic == stream.topic:
            text = f"'{stream.topic}' is encoded, and read by stream '{other.name}' too"
            entry.fail_at("topic", f"{text}; remove 'encode', or one of the two streams")
        if recorded_stream(other).topic == recorded:
            text = f"'{recorded}' is recorded by stream '{other.name}' already"
            entry.fail_at("topic", f"{text}; keep one of the two streams")
