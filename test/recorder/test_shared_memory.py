"""Whose shared memory is too small for what it sends, and what cannot be known about that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.recorder import shared_memory
from robot_recorder.recorder.shared_memory import (
    SharedMemoryWatch,
    SharedSegment,
    SharedTopic,
    lock_owners,
    mapped_segments,
    too_small,
)

IMAGE = 921_672  # a raw 640x480 rgb8 picture with its header
DEFAULT = SharedSegment(70_007, 70_007, 524_288, "FASTDDS_DEFAULT_PROFILES_FILE")
LARGE = SharedSegment(8, 8, 33_554_432, "FASTDDS_DEFAULT_PROFILES_FILE")
SMALL_ID = 70_007 & 0xFFFF


def shared(topic: str, size: int | None, *processes: int) -> SharedTopic:
    return SharedTopic(topic, size, frozenset(processes))


def test_a_picture_larger_than_its_publishers_segment_is_named_with_the_remedy() -> None:
    (sentence,) = too_small(
        [shared("/cam", IMAGE, SMALL_ID), shared("/fits", IMAGE, 8), shared("/imu", 400, SMALL_ID)],
        [DEFAULT, LARGE], "/share/large.xml",
    )  # fmt: skip
    assert sentence.startswith(
        "shared memory segment too small for this image: a message on /cam has 0.92 MB"
    )
    assert "process 70007 has 0.52 MB" in sentence, "with its whole number, which the id cuts off"
    assert (
        "start this driver, not only the recorder, with FASTDDS_DEFAULT_PROFILES_FILE=/share/large.xml"
        in (sentence)
    )


@pytest.mark.parametrize(
    "topics, segments",
    [
        ([shared("/cam", IMAGE, 99)], [DEFAULT, LARGE]),  # its process has no segment that is known
        ([shared("/cam", IMAGE)], [DEFAULT]),  # another machine, another middleware
        ([shared("/cam", IMAGE, SMALL_ID)], []),
        ([shared("/cam", 90_000, SMALL_ID)], [DEFAULT]),
        ([shared("/cam", None, 8)], [LARGE]),
        # Two processes whose numbers end in the same bits: one of them sends it, which one is unknown.
        ([shared("/cam", IMAGE, SMALL_ID)], [DEFAULT, SharedSegment(1, 70_007, 33_554_432, "X")]),
    ],
)  # fmt: skip
def test_nothing_is_said_about_what_is_unknown_or_fits(
    topics: list[SharedTopic], segments: list[SharedSegment]
) -> None:
    assert too_small(topics, segments, "p") == []


def test_pictures_that_fit_alone_but_not_together_are_named_once_for_each_process() -> None:
    cameras = [shared(f"/cam_{i}", 400_000, SMALL_ID) for i in range(4)]
    (sentence,) = too_small(cameras, [DEFAULT], "p")
    assert "these images: messages on 4 topics have 1.60 MB together" in sentence
    assert (
        "a message on /big (and on 4 more) has 0.92 MB"
        in too_small([*cameras, shared("/big", IMAGE, SMALL_ID)], [DEFAULT], "p")[0]
    )


def test_a_silent_raw_camera_is_named_without_a_claim_about_its_size() -> None:
    (sentence,) = too_small([shared("/cam", None, SMALL_ID)], [DEFAULT], "p")
    assert (
        "raw images: nothing of /cam arrives" in sentence
        and "640x480 rgb8 needs 0.92 MB" in sentence
    )


def test_segments_and_owners_are_read_from_the_system(tmp_path: Path) -> None:
    names = ["fastdds_00112233445566aa", "fastrtps_00112233445566bb", "fastdds_00112233445566cc"]
    for name in names[:2]:
        (tmp_path / name).write_bytes(bytes(549_408))
        (tmp_path / f"{name}_el").touch()
    other = [tmp_path / "fastdds_port7001", tmp_path / "libfastdds.so.3.2"]
    proc = tmp_path / "proc"
    (proc / "self").mkdir(parents=True)
    paths = [*(tmp_path / name for name in names), *other, f"{tmp_path / names[0]} (deleted)"]
    (proc / "self/maps").write_text(
        "".join(f"7f0000-7f1000 rw-s 00000000 00:1a 162   {path}\n" for path in paths)
        + "7f0-7f1 r-xp 0 0:0 0\n"
    )

    def lock(number: int, pid: int, name: str) -> str:
        found = os.stat(tmp_path / f"{name}_el")
        place = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
        return f"{number}: FLOCK  ADVISORY  WRITE {pid} {place} 0 EOF\n"

    waiting = "1: -> FLOCK  ADVISORY  WRITE 9 00:1b:5 0 EOF\n2: POSIX  ADVISORY  READ 3 fe:00:77 128 128\n"
    (proc / "locks").write_text(lock(1, 4000, names[0]) + waiting + lock(3, 5000, names[1]))
    (proc / "4000").mkdir()
    (proc / "4000/status").write_text("Name:\tpython\nNSpid:\t4000\t17\nThreads:\t9\n")
    assert mapped_segments(proc) == [
        SharedSegment(4000, 17, 524_288, "FASTDDS_DEFAULT_PROFILES_FILE"),  # in a container
        SharedSegment(
            5000, 5000, 524_288, "FASTRTPS_DEFAULT_PROFILES_FILE"
        ),  # hidden, so as seen from here
    ]
    assert mapped_segments(tmp_path / "nowhere") == []


def test_locks_that_others_wait_for_and_other_kinds_of_locks_have_no_owner() -> None:
    text = "1: -> FLOCK  ADVISORY  WRITE 9 00:1b:5 0 EOF\n2: POSIX  ADVISORY  WRITE 3 fe:00:7 0 EOF\nnoise\n"
    assert lock_owners(text) == {}


def test_the_watch_remembers_the_largest_message_and_looks_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_memory, "mapped_segments", lambda: [DEFAULT])
    camera = Channel(
        BagTopic("/cam", "sensor_msgs/msg/Image"), publishers=1, processes=frozenset([SMALL_ID])
    )
    joints = Channel(
        BagTopic("/joints", "sensor_msgs/msg/JointState"),
        publishers=1,
        processes=frozenset([SMALL_ID]),
    )
    watch = SharedMemoryWatch("p")
    assert watch.due()
    assert "nothing of /cam arrives" in watch.look({camera: 0, joints: 0}, [])[0]
    assert not watch.due()
    picture = Sample(camera, bytes(IMAGE), 0, 0)
    assert "/cam has 0.92 MB" in watch.look({camera: 1, joints: 9}, [picture, picture])[0]
    camera.publishers = 2  # which of them sends the large one is unknown
    assert watch.look({camera: 1, joints: 9}, [picture]) == []
    camera.publishers = 1
    assert watch.look({camera: 1, joints: 9}, []) == watch.sentences != []
    camera.processes = frozenset([8])  # another driver, whose pictures are not known yet
    assert watch.look({camera: 1, joints: 9}, []) == []
    camera.processes = frozenset()  # it has ended
    assert watch.look({camera: 1, joints: 9}, []) == watch.sentences == []
