"""The verdict of real episodes: on its topic, in the answer to stop and in the metadata."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from support.children import children_of
from support.robot import LATCHED, PROFILE, Bench, process

pytest.importorskip("rclpy")

from sensor_msgs.msg import CompressedImage, JointState

from robot_recorder.episodes.episode import Episode
from robot_recorder.msg import QualityReport
from robot_recorder.offline.check import inspect_episode

NOISE = np.random.default_rng(0)


def jpeg(number: int) -> bytes:
    """Return a picture that differs for each number."""
    picture = NOISE.integers(0, 255, (120, 160, 3), dtype=np.uint8)
    picture[:10] = number % 250
    return bytes(cv2.imencode(".jpg", picture)[1])


class Floor(Bench):
    """A moving robot with a camera, and a subscriber to quality reports."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[QualityReport] = []
        self.node.create_subscription(
            QualityReport, "recorder/quality", self.reports.append, LATCHED
        )
        self._count = 0
        self.muted: set[str] = set()
        for topic, make in (
            ("/joint_states", self._swing), ("/command", self._swing),
            ("/camera/image/compressed", self._see),
        ):  # fmt: skip
            self.publishers[topic] = (self.publishers[topic][0], make)
        self._all = dict(self.publishers)

    def _swing(self) -> JointState:
        self._count += 1
        return JointState(
            name=["a", "b"], position=[float(np.sin(time.time())), self._count * 1e-6]
        )

    def _see(self) -> CompressedImage:
        data = self.picture(self._count) if self.picture else jpeg(self._count)
        return CompressedImage(format="jpeg", data=data)

    picture: Callable[[int], bytes] | None = None

    def mute(self, *topics: str) -> None:
        """Stop publishing on these topics."""
        self.publishers = {t: p for t, p in self._all.items() if t not in topics}


@pytest.fixture
def floor() -> Iterator[Floor]:
    floor = Floor()
    with floor:
        yield floor


@pytest.fixture
def profile(tmp_path: Path) -> Path:
    path = tmp_path / "bench.yaml"
    # The wrench of this robot is constant. Gaps of half a second are allowed, because the machine
    # that runs the tests may be busy.
    quality = (
        "quality: {frozen: off, gap: {warn: 0.8, fail: 1.0}, rate: {warn: 0.4, fail: 0.5}, "
        "skew: {warn: 0.4, fail: 0.5}}"
    )
    path.write_text(PROFILE.replace("streams:", f"{quality}\nstreams:"))
    return path


def limping(floor: Floor, begins: str) -> list[str]:
    """Return the limping reports with this beginning; a busy machine may cause others."""
    return [sentence for sentence in floor.status.limping if sentence.startswith(begins)]


def stop(floor: Floor):
    """Stop, and wait for the report of that episode."""
    began = time.monotonic()
    answer = floor.stop()
    floor.wait(
        "the verdict", lambda: any(r.episode_id == answer.episode_id for r in floor.reports), 5
    )
    took = time.monotonic() - began
    report = next(r for r in floor.reports if r.episode_id == answer.episode_id)
    return answer, report, took


def test_a_good_take_is_accepted_with_the_same_report_everywhere(
    floor: Floor, profile: Path, tmp_path: Path
) -> None:
    with process("record", profile=profile, root=tmp_path / "e"):
        floor.publish_until("all streams", floor.ready)
        floor.start()
        floor.publish_for(4)
        answer, report, _ = stop(floor)
        episode = Episode.open(Path(answer.path))
        assert answer.verdict == report.verdict == QualityReport.VERDICT_ACCEPT, report
        assert answer.verdict_sentence == report.sentence == episode.quality.sentence
        assert episode.facts["verdict"] == "accept" and not report.broken
        assert answer.verdict_sentence in answer.message
        floor.wait("the status", lambda: floor.status.verdict == report.verdict)
        # Checking the bag again gives the same figures.
        again = inspect_episode(episode)
        live: dict[tuple[str, str], Any] = {
            (r.check, r.stream): (r.level, pytest.approx(r.figure, abs=1e-3))
            for r in report.results
        }
        assert {(r.check, r.stream): (r.level, r.figure) for r in again.results} == live


def test_a_limping_stream_is_reported_once_and_the_take_is_rejected(
    floor: Floor, profile: Path, tmp_path: Path
) -> None:
    with process("record", profile=profile, root=tmp_path / "e") as node:
        floor.publish_until("all streams", floor.ready)
        floor.start()
        floor.publish_for(1)
        floor.mute("/wrist/wrench")
        floor.publish_until("the report", lambda: bool(limping(floor, "wrench: ")))
        floor.publish_for(1.5)
        (sentence,) = limping(floor, "wrench: ")
        assert "/wrist/wrench" in sentence
        floor.mute()
        floor.publish_for(0.5)
        answer, report, _ = stop(floor)
        assert report.verdict == QualityReport.VERDICT_REJECT
        assert report.results[0].check == "gap" and report.results[0].stream == "wrench"
        assert answer.verdict_sentence.startswith("reject: wrench was silent for")
        node.send_signal(signal.SIGINT)
        output = node.communicate(timeout=20)[0]
    assert output.count("wrench limps") == 1, output


def test_a_black_camera_is_reported_while_recording(
    floor: Floor, profile: Path, tmp_path: Path
) -> None:
    def black(number: int) -> bytes:
        picture = np.zeros((120, 160, 3), np.uint8)
        picture[:8, :8] = number % 20
        return bytes(cv2.imencode(".jpg", picture)[1])

    with process("record", profile=profile, root=tmp_path / "e"):
        floor.publish_until("all streams", floor.ready)
        floor.start()
        floor.publish_for(1.5)
        floor.picture = black
        sentence = "camera: it shows nothing but black"
        floor.publish_until("the report", lambda: bool(limping(floor, sentence)))
        _, report, _ = stop(floor)
        assert report.results[0].check == "camera_black"


# Among those that are killed is the process in which Python counts semaphores: a new one knows of none.
@pytest.mark.announced("resource_tracker.py")
def test_a_crashed_picture_process_does_not_stop_the_recording(
    floor: Floor, profile: Path, tmp_path: Path
) -> None:
    with process("record", profile=profile, root=tmp_path / "e") as node:
        floor.publish_until("all streams", floor.ready)
        looks = "the process that looks at pictures"
        floor.publish_until(looks, lambda: bool(children_of(node.pid)))
        floor.start()
        floor.publish_for(1)
        for pid in children_of(node.pid):
            os.kill(pid, signal.SIGKILL)
        floor.publish_for(2.5)
        answer, report, took = stop(floor)
        assert answer.success and report.verdict != QualityReport.VERDICT_UNKNOWN
        assert took < 3, "stopping does not wait for the crashed process"
        assert Episode.open(Path(answer.path)).counts["/camera/image/compressed"] > 100


def test_checks_can_be_switched_off(floor: Floor, profile: Path, tmp_path: Path) -> None:
    with process("record", profile=profile, root=tmp_path / "e", check=False):
        floor.publish_until("all streams", floor.ready)
        floor.start()
        floor.publish_for(0.5)
        answer, report, _ = stop(floor)
        assert answer.success and report.verdict == QualityReport.VERDICT_UNKNOWN
        episode = Episode.open(Path(answer.path))
        assert "verdict" not in episode.facts and episode.certificate is not None
