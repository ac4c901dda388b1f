"""Which pictures of a camera are looked at, and what is said of the others.

Holds also: look_times.py, looker.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from support.inspected import Eyes, feed, picture, profile, report
from support.samples import T0

from robot_recorder.configuration.profile import parse_profile
from robot_recorder.model.check_result import Level
from robot_recorder.quality.checks.look_times import LookTimes
from robot_recorder.quality.checks.picture_figures import PictureFigures, VideoFigures, VideoPackets
from robot_recorder.quality.inspector import Inspector

NS = 1_000_000_000


def test_a_picture_of_unusual_size_is_looked_at_at_once() -> None:
    eyes = Eyes(
        lambda at: PictureFigures(at, 640, 480, 1.0 if 2.0 <= (at - T0) / NS < 3.0 else 0.1, 0, 1)
    )
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    stamps = T0 + np.arange(60, dtype=np.int64) * NS // 10
    sizes = [900 if 20 <= n < 30 else 5000 for n in range(60)]
    pictures = [picture(int(s), n, size) for n, (s, size) in enumerate(zip(stamps, sizes))]
    inspector.add(camera, stamps, stamps, pictures)
    black = next(r for r in report(inspector).results if r.check == "camera_black")
    assert black.figure == pytest.approx(1.0, abs=0.3) and black.level is Level.FAIL
    assert inspector.troubles == {}


def test_an_hour_of_ever_changing_pictures_does_not_fill_the_memory() -> None:
    eyes = Eyes()
    inspector = Inspector(profile(), None, eyes)
    camera = inspector._profile.streams[2]
    looked = {}
    for minute in range(60):
        stamps = T0 + (minute * 600 + np.arange(600, dtype=np.int64)) * NS // 10
        pictures = [bytes(900 if n % 2 else 5000) for n in range(600)]
        inspector.add(camera, stamps, stamps, pictures)
        looked[minute + 1] = len(eyes.looked)
    assert looked[1] > 150, "in a short take every change, up to four times a second"
    assert looked[60] < 2.5 * looked[15] and looked[60] < 3000, "fewer looks the longer it takes"


def test_a_black_camera_is_reported_while_recording() -> None:
    inspector = Inspector(profile(), None, Eyes(lambda at: PictureFigures(at, 640, 480, 1.0, 0, 1)))
    feed(inspector, 1)
    assert inspector.troubles == {"camera": "it shows nothing but black"}


def test_pictures_that_were_not_looked_at_are_counted() -> None:
    class Blind(Eyes):
        def look(self, type_name: str, time_ns: int, message: bytes, tell: Callable) -> None:
            pass

    inspector = Inspector(profile(), None, Blind())
    feed(inspector)
    assert "camera: 2 pictures were not looked at" in report(inspector).broken


VIDEO_PROFILE = """
robot: arm
streams:
  camera: {topic: eye/video, type: foxglove_msgs/msg/CompressedVideo, role: observation, rate_hz: 10}
"""


class Player(Eyes):
    """A looker that finds in a video what a test wants, at once or when asked."""

    def __init__(self, find: Callable[[int, list[int]], VideoFigures]) -> None:
        super().__init__()
        self.find = find
        self.firsts: list[int] = []
        self.late: list[Callable[[], None]] = []
        self.left: list[int] = []

    def follow(self, packets: VideoPackets, tell: Callable) -> None:
        self.firsts.append(packets.first)
        found = self.find(packets.first, packets.times)
        self.late.append(lambda: tell(found))
        if self.settled:
            self.late.pop()()

    def leave(self, video: int) -> None:
        self.left.append(video)


def played(player: Player, count: int = 100) -> Inspector:
    inspector = Inspector(parse_profile(VIDEO_PROFILE, "p"), None, player)
    stamps = T0 + np.arange(count, dtype=np.int64) * NS // 10
    messages = [picture(int(s), n) for n, s in enumerate(stamps)]
    inspector.add(inspector._profile.streams[0], stamps, stamps, messages)
    return inspector


def good(first: int, times: list[int]) -> VideoFigures:
    stills = np.zeros(len(times), dtype=bool)
    return VideoFigures([PictureFigures(times[0], 640, 480, 0.1, 0, 1)], np.array(times), stills)


def test_all_packets_of_a_video_are_passed_on_in_order() -> None:
    player = Player(good)
    inspector = played(player, 150)
    assert player.firsts == [0, 64, 128]
    assert not [b for b in report(inspector, 15).broken if b.startswith("camera")]
    assert len(player.left) == 1


def test_pictures_before_the_first_key_frame_are_told_and_no_defect() -> None:
    def begin(first: int, times: list[int]) -> VideoFigures:
        late = good(first, times[7:])
        return VideoFigures(late.pictures, late.times, late.same, early=0 if first else 7)

    found = report(played(Player(begin)), 10)
    said = "7 pictures before the first key frame of its video not decoded, only their timing is checked"
    assert f"camera: {said}" in found.broken
    bad = next(r for r in found.results if r.check == "camera_undecodable")
    assert bad.level is Level.PASS


def test_a_video_without_any_key_frame_is_a_defect() -> None:
    """Nobody will ever see these pictures."""
    found = report(played(Player(lambda first, times: VideoFigures(early=len(times)))), 10)
    bad = next(r for r in found.results if r.check == "camera_undecodable")
    assert bad.level is Level.FAIL and bad.figure == pytest.approx(9.9)


def test_a_video_that_cannot_be_decoded_here_is_told_with_the_fix() -> None:
    player = Player(lambda first, times: VideoFigures(problem="get PyAV"))
    said = "camera: 100 pictures not decoded (get PyAV), only their timing is checked"
    assert said in report(played(player), 10).broken


def test_packets_there_was_no_time_for_are_counted() -> None:
    skipping = Player(lambda first, times: VideoFigures(skipped=len(times) if first else 0))
    assert "camera: 36 pictures were not looked at" in report(played(skipping), 10).broken


def test_what_is_found_after_the_end_is_dropped() -> None:
    player = Player(good)
    player.settled = False
    inspector = played(player)
    found = report(inspector, 10)
    assert any("still being looked at" in b for b in found.broken)
    assert "camera: 100 pictures were not looked at" in found.broken
    for tell in player.late:
        tell()
    assert not inspector._cameras["camera"]._seen


def test_looks_are_seldom_unless_something_happens() -> None:
    looks = LookTimes()
    times = [T0 + n * NS // 10 for n in range(600)]
    due = [(at - T0) / NS for at in times if looks.is_due(at, False)]
    assert due[:3] == pytest.approx([0, 2, 6.7])
    assert len(due) == 8 and max(np.diff(due)) == pytest.approx(10)
    odd = LookTimes()
    assert sum(odd.is_due(at, True) for at in times) == 200
    assert odd.count == 200
