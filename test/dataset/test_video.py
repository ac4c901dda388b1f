"""Pictures in video files: copied to the last bit, or encoded well, against the bag.

Holds also: codecs.py, pictures.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.dataset_takes import HEIGHT, RATE_HZ, WIDTH, TakeOptions, distances, shown, take
from support.exported import aligned, export
from support.made import bag
from support.samples import T0

av = pytest.importorskip("av")

from support.pictures import raw
from support.videos import VIDEO, encoded, message, moving

from robot_recorder.dataset.aligned import AlignedSource
from robot_recorder.dataset.codecs import chosen_codecs, fits
from robot_recorder.dataset.export_profile import ExportProfile, FeatureRule
from robot_recorder.dataset.features import resolved
from robot_recorder.dataset.frames import pictures_of
from robot_recorder.dataset.pictures import ChosenPictures
from robot_recorder.dataset.schema import DatasetEpisode
from robot_recorder.dataset.video import ACCURATE, VideoFile, VideoMode, depth_codes, depth_metres
from robot_recorder.model.errors import ConfigError

CAMERA, DEPTH = "observation.images.camera", "observation.images.depth"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> AlignedSource:
    folder = tmp_path_factory.mktemp("takes")
    return aligned(folder / "aligned", take(folder, 0, TakeOptions(seconds=2.0, broken=(7,))))


def pictures(
    source: AlignedSource, rule: FeatureRule, runs: tuple[tuple[int, int], ...] = ()
) -> ChosenPictures:
    profile = ExportProfile((rule,))
    schema = resolved(profile, source.summary, "arm")
    runs = runs or ((0, len(source)),)
    episode = DatasetEpisode(0, 0, source.summary.facts, "train", "", 0, runs)
    return pictures_of(episode, source, schema, profile)[rule.name]


def written(
    path: Path, mine: ChosenPictures, codec: str, size: tuple[int, int] = (WIDTH, HEIGHT)
) -> VideoFile:
    video = VideoFile(path, RATE_HZ, size, codec)
    for _ in video.add(mine):
        pass
    video.close()
    return video


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as file:
        return [bytes(p) for p in file.demux(video=0) if p.size]


def frames(path: Path, format: str = "rgb24") -> list[np.ndarray]:
    with av.open(str(path)) as file:
        exact = {} if format.startswith("gray") else {"interpolation": ACCURATE}
        return [f.reformat(format=format, **exact).to_ndarray() for f in file.decode(video=0)]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def test_copied_pictures_are_the_bags_to_the_last_bit(
    source: AlignedSource, tmp_path: Path
) -> None:
    mine = pictures(source, FeatureRule(CAMERA, camera="camera"))
    video = written(tmp_path / "v.mp4", mine, "mjpeg")
    wanted: list[bytes] = []
    for picked in mine.picked():
        wanted += [mine.jpeg(picked)] * picked.frames
    found = packets(tmp_path / "v.mp4")
    assert len(found) == len(source) == video.frames
    numbers = source.array("numbers/camera")
    assert video.placeholders == int((numbers < 0).sum()) > 0
    for number, packet, data in zip(numbers.tolist(), found, wanted, strict=True):
        if number >= 0:
            assert packet == data
        else:  # no picture could be read there: it is black
            black = cv2.imdecode(np.frombuffer(packet, np.uint8), cv2.IMREAD_COLOR)
            assert black is not None and not black.any()


def test_the_file_has_the_times_of_the_frames(source: AlignedSource, tmp_path: Path) -> None:
    for codec in ("mjpeg", "+h264"):
        written(tmp_path / "v.mp4", pictures(source, FeatureRule(CAMERA, camera="camera")), codec)
        with av.open(str(tmp_path / "v.mp4")) as file:
            times = [float(f.pts * f.time_base) for f in file.decode(video=0)]
        np.testing.assert_allclose(times, np.arange(len(source)) / RATE_HZ, atol=1e-4)


@pytest.mark.parametrize("codec", ["+h264", "+hevc", "+av1"])
def test_encoded_pictures_are_near_those_of_the_bag(
    source: AlignedSource, tmp_path: Path, codec: str
) -> None:
    mine = pictures(source, FeatureRule(CAMERA, camera="camera"), ((10, len(source)),))
    written(tmp_path / "v.mp4", mine, codec)
    found, at = frames(tmp_path / "v.mp4"), 0
    for picked in mine.picked():
        wanted = mine.bgr(picked)[..., ::-1]
        assert min(psnr(frame, wanted) for frame in found[at : at + picked.frames]) > 38
        at += picked.frames
    assert len(found) == at


def test_the_range_of_colours_is_kept(source: AlignedSource, tmp_path: Path) -> None:
    mine = pictures(source, FeatureRule(CAMERA, camera="camera"), ((10, 20),))
    written(tmp_path / "v.mp4", mine, "+h264")
    wanted = shown(int(mine.numbers[0]))[..., ::-1]
    found = frames(tmp_path / "v.mp4")[0]
    assert np.abs(found.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < 2
    assert (
        abs(int(found.max()) - int(wanted.max())) < 12
        and abs(int(found.min()) - int(wanted.min())) < 12
    )


def test_pictures_are_cut_out_and_resized(source: AlignedSource, tmp_path: Path) -> None:
    rule = FeatureRule(CAMERA, camera="camera", crop=(16, 8, 64, 48), size=(32, 24))
    mine = pictures(source, rule, ((10, 14),))
    picked = next(mine.picked())
    found = mine.bgr(picked)
    whole = pictures(source, replace(rule, crop=None, size=None), ((10, 14),)).bgr(picked)
    wanted = cv2.resize(whole[8:56, 16:80], (32, 24), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(found, wanted)


def test_depth_is_within_half_a_step_and_unknown_stays_unknown(
    source: AlignedSource, tmp_path: Path
) -> None:
    mine = pictures(source, FeatureRule(DEPTH, camera="depth"), ((10, 30),))
    written(tmp_path / "v.mp4", mine, "+depth")
    found = frames(tmp_path / "v.mp4", "gray12le")
    first = depth_metres(found[0])
    wanted = distances(2 * int(mine.numbers[0])) / 1000
    np.testing.assert_array_equal(np.isnan(first), wanted == 0)
    step = np.nan_to_num(first + 3.5) * np.log(13.5 / 3.51) / 4095
    assert (np.abs(np.nan_to_num(first) - wanted) <= 0.51 * step + 1e-6)[wanted > 0].all()
    np.testing.assert_array_equal(found[0], depth_codes(mine.metres(next(mine.picked()))))


def test_the_nearest_distance_is_not_taken_for_unknown() -> None:
    codes = depth_codes(np.array([[0.001, 0.01, np.nan, 10.0, 99.0]], np.float32))
    assert codes.tolist() == [[1, 1, 0, 4095, 4095]]


def test_the_same_pictures_give_the_same_bytes(source: AlignedSource, tmp_path: Path) -> None:
    for codec in ("mjpeg", "+h264", "+hevc"):
        mine = pictures(source, FeatureRule(CAMERA, camera="camera"))
        for name in ("a.mp4", "b.mp4"):
            written(tmp_path / name, mine, codec)
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def video_robot(path: Path, kind: str, messages: list[bytes]) -> Path:
    """Write a bag of a camera alone."""
    every = [(T0 + round(i / RATE_HZ * 1e9), data) for i, data in enumerate(messages)]
    profile = f"""
robot: eye
frame_clock: eye
streams:
  eye: {{topic: eye, type: {kind}, role: observation, rate_hz: {RATE_HZ}}}
"""
    return bag(path, {"/eye": (kind, every)}, profile_yaml=profile, namespace="", start_ns=str(T0))


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_packets_of_a_robots_video_are_passed_through_where_it_is_the_frame_clock(
    tmp_path: Path, codec: str
) -> None:
    made = encoded(moving(40, WIDTH, HEIGHT), codec)
    stamps = [T0 + round(i / RATE_HZ * 1e9) for i in range(len(made))]
    messages = [message(VIDEO, data, codec, at) for data, at in zip(made, stamps)]
    path = video_robot(tmp_path / "bag", VIDEO, messages)
    report = export(
        tmp_path / "set", [path], profile="features: {observation.images.eye: {camera: eye}}"
    )
    name = {"h264": "h264", "h265": "hevc"}[codec]
    assert report.lock.codecs == {"observation.images.eye": name}
    found = frames(next((tmp_path / "set" / "videos").rglob("*.mp4")))
    wanted = moving(40, WIDTH, HEIGHT)[: len(found)]
    assert len(found) == report.frames >= 38
    assert all(psnr(a, b) > 25 for a, b in zip(found, wanted))
    again = export(tmp_path / "set2", [path], profile="features: {observation.images.eye: {camera: eye}}",
                   video=VideoMode.H264)  # fmt: skip
    assert again.lock.codecs == {"observation.images.eye": "+h264"}


def test_raw_pictures_are_encoded(tmp_path: Path) -> None:
    pictures_ = [raw(shown(i), "bgr8", stamp_ns=T0 + round(i / RATE_HZ * 1e9)) for i in range(20)]
    path = video_robot(tmp_path / "bag", "sensor_msgs/msg/Image", pictures_)
    report = export(
        tmp_path / "set", [path], profile="features: {observation.images.eye: {camera: eye}}"
    )
    assert report.lock.codecs == {"observation.images.eye": "+h264"}
    found = frames(next((tmp_path / "set" / "videos").rglob("*.mp4")))
    assert min(psnr(a, shown(i)[..., ::-1]) for i, a in enumerate(found)) > 38


def test_copying_is_refused_where_pictures_change(source: AlignedSource) -> None:
    rule = FeatureRule(CAMERA, camera="camera", size=(32, 24))
    profile = ExportProfile((rule,))
    schema = resolved(profile, source.summary, "arm")

    def choose(mode: VideoMode, profile: ExportProfile, *encodings: str) -> dict[str, str]:
        every = [{"camera": encoding} for encoding in encodings]
        return chosen_codecs(mode, profile, schema, every, lambda feature: False)[0]

    with pytest.raises(ConfigError, match="are cut out or resized: they cannot be copied"):
        choose(VideoMode.COPY, profile, "jpeg 4:2:0")
    whole = ExportProfile((replace(rule, size=None),))
    assert choose(VideoMode.AUTO, whole, "jpeg 4:2:0", "jpeg 4:2:0") == {CAMERA: "mjpeg"}
    assert choose(VideoMode.AUTO, whole, "jpeg 4:2:0", "jpeg 4:4:4") == {CAMERA: "+h264"}
    assert choose(VideoMode.AUTO, whole, "jpeg 4:2:0, pixels") == {CAMERA: "+h264"}
    assert choose(VideoMode.AUTO, whole, "h264") == {CAMERA: "+h264"}  # its packets do not pass
    assert choose(VideoMode.AV1, whole, "jpeg 4:2:0") == {CAMERA: "+av1"}
    why = fits(schema, {CAMERA: "mjpeg"}, {CAMERA: "jpeg 4:2:0"}, {"camera": "jpeg grey"})
    assert "are jpeg grey, the dataset's jpeg 4:2:0" in why
    assert fits(schema, {CAMERA: "+h264"}, {CAMERA: "jpeg 4:2:0"}, {"camera": "jpeg grey"}) == ""
