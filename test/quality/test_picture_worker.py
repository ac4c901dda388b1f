"""Pictures are measured in another process, which may be slow or die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from support.bags import picture
from support.children import is_running
from support.samples import T0

from robot_recorder.messages.image_messages import COMPRESSED
from robot_recorder.quality import picture_worker
from robot_recorder.quality.checks.picture_figures import PictureFigures, VideoFigures, VideoPackets
from robot_recorder.quality.picture_worker import PictureWorker
from robot_recorder.quality.pictures import look_at
from robot_recorder.quality.video_watch import VideoWatch


@pytest.fixture
def worker() -> Iterator[PictureWorker]:
    worker = PictureWorker()
    yield worker
    worker.close()


def test_it_measures_what_look_at_measures(worker: PictureWorker) -> None:
    seen: list[PictureFigures | None] = []
    for number in range(5):
        worker.look(COMPRESSED, T0 + number, picture(T0, number / 10), seen.append)
    assert worker.settle(20)
    assert sorted(p.time_ns for p in seen if p) == [T0 + n for n in range(5)]
    assert seen[0] == look_at(COMPRESSED, T0, picture(T0, 0.0))
    assert not worker.problem


def pid_of(worker: PictureWorker) -> int:
    assert worker._pool is not None
    (pid,) = worker._pool._processes
    return pid


def until_seen(worker: PictureWorker, seen: list[PictureFigures | None], count: int) -> None:
    """Give it pictures until it has measured so many."""
    end = time.monotonic() + 20
    while len(seen) < count and time.monotonic() < end:
        worker.look(COMPRESSED, T0, picture(T0, 0.0), seen.append)
        worker.settle(1)
    assert len(seen) >= count
    assert worker.settle(20)  # no earlier picture is measured later


def test_a_dead_process_is_replaced_and_reported(worker: PictureWorker) -> None:
    seen: list[PictureFigures | None] = []
    until_seen(worker, seen, 1)
    os.kill(pid_of(worker), signal.SIGKILL)
    until_seen(worker, seen, len(seen) + 1)
    assert "died" in worker.problem and worker.settle(5)


def test_a_process_that_hangs_is_replaced(
    worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[PictureFigures | None] = []
    until_seen(worker, seen, 1)
    os.kill(pid_of(worker), signal.SIGSTOP)
    with monkeypatch.context() as patched:  # only until it is noticed: a new process starts slowly
        patched.setattr(picture_worker, "_STUCK_S", 0.5)
        end = time.monotonic() + 20
        while "took more than" not in worker.problem:
            assert time.monotonic() < end
            worker.look(COMPRESSED, T0, picture(T0, 0.0), seen.append)
            worker.settle(0.1)
    until_seen(worker, seen, len(seen) + 1)
    assert worker.settle(5)


def test_a_process_that_hangs_does_not_keep_the_recorder_from_ending(worker: PictureWorker) -> None:
    seen: list[PictureFigures | None] = []
    until_seen(worker, seen, 1)
    pid = pid_of(worker)
    os.kill(pid, signal.SIGSTOP)
    worker.look(COMPRESSED, T0, picture(T0, 0.0), seen.append)
    began = time.monotonic()
    worker.close()
    assert time.monotonic() - began < 2 and worker.settle(5)


def test_look_never_waits(worker: PictureWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_worker, "_MOST_WAITING", 3)
    data, seen = picture(T0, 0.0), list[PictureFigures | None]()
    began = time.monotonic()
    for _ in range(50):
        worker.look(COMPRESSED, T0, data, seen.append)
    assert time.monotonic() - began < 1.0
    assert not worker.settle(0.0) and worker.settle(20)
    assert 3 <= len(seen) < 10, "the process had not even started"


def test_it_closes_while_there_is_work(worker: PictureWorker) -> None:
    for _ in range(10):
        worker.look(COMPRESSED, T0, picture(T0, 0.0), lambda _: None)
    worker.close()
    worker.look(COMPRESSED, T0, picture(T0, 0.0), lambda _: None)
    assert worker.settle(20)


def test_it_ends_with_a_recorder_that_is_killed() -> None:
    code = (
        "import time\n"
        "from robot_recorder.quality.picture_worker import PictureWorker\n"
        "if __name__ == '__main__':\n"
        "    worker = PictureWorker(); worker.warm_up(); worker.settle(20)\n"
        "    print(*worker._pool._processes, flush=True)\n"
        "    time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        assert parent.stdout.read() == "", "the process closed its end of the pipe, too"
    end = time.monotonic() + 20
    while is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_follows_a_video_like_the_checks_of_a_bag(worker: PictureWorker) -> None:
    pytest.importorskip("av")
    from support.videos import encoded, moving, video

    from robot_recorder.messages.video_messages import VIDEO

    messages = [video(data) for data in encoded(moving(60), gop=10)]
    times = [T0 + n * 33_000_000 for n in range(60)]
    seen: list[VideoFigures] = []
    for start in range(0, 60, 20):
        part = slice(start, start + 20)
        worker.follow(VideoPackets(5, VIDEO, start, times[part], messages[part]), seen.append)
    assert worker.settle(20) and not worker.problem
    watch = VideoWatch()
    for start, found in zip(range(0, 60, 20), seen, strict=True):
        part = slice(start, start + 20)
        wanted = watch.add(VideoPackets(5, VIDEO, start, times[part], messages[part]))
        assert found.pictures == wanted.pictures and (found.same == wanted.same).all()
        assert found.times.tolist() == times[part]
    worker.leave(5)
    again: list[VideoFigures] = []
    worker.follow(VideoPackets(5, VIDEO, 55, times[55:], messages[55:]), again.append)
    assert worker.settle(20) and again[0].skipped == 5, "forgotten"


def test_video_that_waits_takes_bounded_memory(
    worker: PictureWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture_worker, "_MOST_BYTES", 1000)
    seen: list[VideoFigures] = []
    for number in range(20):
        packets = VideoPackets(1, "foxglove_msgs/msg/CompressedVideo", number, [T0], [bytes(400)])
        worker.follow(packets, seen.append)
    assert worker.settle(20) and 2 <= len(seen) < 20
    assert worker._bytes == worker._pictures == worker._waiting == 0
