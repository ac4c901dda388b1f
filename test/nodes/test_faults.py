"""Faults of a real floor, with real processes: every lost message must be reported.

``FAULTS=100 make test ARGS=test/nodes/test_faults.py`` kills a hundred times.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
from itertools import pairwise
from pathlib import Path

import pytest
from mcap.reader import make_reader
from support.disks import small_disk
from support.robot import PROFILE, Bench, ShiftedClock, process

pytest.importorskip("rclpy")

from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CompressedImage, JointState
from std_msgs.msg import String

from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.recovery import recover_all
from robot_recorder.floor.store import open_store
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import Dropout
from robot_recorder.offline.structure import structure_problems
from robot_recorder.srv import StartEpisode

KILLS = int(os.environ.get("FAULTS", "3"))
HOUR = 3600.0


# A killed process leaves its shared memory behind, and Fast DDS may keep writing messages for its
# successor there. These tests are about messages that do arrive.
NO_SHARED_MEMORY = {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"}


def in_bag(path: Path, topic: str) -> list[bytes]:
    return [m.data for m in read_messages(path, {topic})]


def balance(bench: Bench, episode: Episode, prefix: str = "") -> None:
    """Check for every stream that recorded + lost = sent, and that only sent messages are there."""
    for topic, sent in bench.sent.items():
        figures = episode.streams[prefix + topic]
        got = in_bag(episode.path, prefix + topic)
        assert figures["written"] == len(got)
        if "unknown" in figures:  # another type was also published on this topic
            assert figures["lost"]["dds"] is None and len(got) <= len(sent), (topic, figures)
        else:
            assert len(got) + sum(figures["lost"].values()) == len(sent), (topic, figures)
        assert set(got) <= set(sent)


def lost(path: Path, prefix: str, topic: str) -> int:
    """Return the number of lost messages of a topic according to the bag."""
    dropouts = in_bag(path, f"{prefix}/recorder/dropouts")
    losses = [deserialize_message(data, Dropout) for data in dropouts]
    return sum(x.count for x in losses if x.topic == prefix + topic)


def test_a_recorder_killed_at_any_moment_loses_at_most_the_last_second(
    profile: Path, tmp_path: Path
) -> None:
    """After SIGKILL, messages older than a second are recovered or reported as lost."""
    moments = random.Random(3)
    with Bench("killed") as bench:
        for number in range(KILLS):
            root = tmp_path / str(number)
            with process(
                "recorder", "killed", NO_SHARED_MEMORY, profile=profile, root=root
            ) as running:
                bench.status = None
                bench.publish_until("all streams", bench.ready)
                id = bench.start().episode_id
                times = [time.monotonic()]
                end = times[0] + moments.uniform(0.05, 3.0)
                while time.monotonic() < end:
                    bench.publish_for(0.02)
                    times += [time.monotonic()] * (len(bench.sent["/command"]) + 1 - len(times))
                running.kill()
                killed = time.monotonic()
                # Time in which the recorder got no processor does not count.
                stalled = sum(max(0.0, b - a - 0.1) for a, b in pairwise([*times, killed]))
                running.wait(20)
            with process("recorder", "killed", profile=profile, root=root):
                bench.status = None
                bench.wait(
                    "the recovery",
                    lambda: (
                        bench.status is not None
                        and bench.status.recovered + bench.status.quarantined == 1
                    ),
                )
            must = sum(t < killed - 1.0 - stalled for t in times[1:])
            if bench.status.quarantined:
                assert must == 0 and not open_store(root).unfinished()
                continue
            episode = Episode.open(root / id)
            assert episode.is_recovered and json.loads(episode.facts["missing"])
            for topic, sent in bench.sent.items():
                got = in_bag(episode.path, f"/killed{topic}")
                last = max((sent.index(data) + 1 for data in got), default=0)
                missing = set(sent[:last]) - set(got)
                reported = lost(episode.path, "/killed", topic)
                found = (number, topic, len(got), last, must)
                assert len(set(got)) == len(got) and last >= must, found
                assert len(missing) == reported, (found, reported)


def test_an_episode_of_several_files_is_complete_and_survives_a_kill(
    profile: Path, tmp_path: Path
) -> None:
    with Bench("split") as bench:
        with process(
            "recorder", "split", NO_SHARED_MEMORY, profile=profile, root=tmp_path, max_file_s=1.0
        ) as running:
            bench.publish_until("all streams", bench.ready)
            bench.start(pre_roll_s=0.0)
            bench.publish_for(2.3)
            bench.settle()
            stopped = bench.stop()
            assert stopped.success and stopped.dropped == 0, stopped.message
            episode = Episode.open(Path(stopped.path))
            balance(bench, episode, "/split")
            assert structure_problems(episode) == []
            assert [f["path"] for f in episode.metadata["files"]][:3] == [
                f"{episode.id}_{number}.mcap" for number in range(3)
            ]
            task = "/split/labeller/task"  # latched, written by the recorder itself
            assert len(in_bag(episode.path, task)) == episode.streams[task]["written"] == 1
            alone = [in_bag_file(path, task) for path in sorted(episode.path.glob("*.mcap"))]
            assert len(alone) >= 3 and len(set(alone)) == 1, "each file can be played alone"

            bench.forget()
            id = bench.start(pre_roll_s=0.0).episode_id
            bench.publish_for(2.3)
            bench.settle()
            partial = tmp_path / f"{id}.partial"
            bench.wait("the third file", lambda: len(list(partial.glob("*.mcap"))) >= 3)
            time.sleep(1.0)  # the promise: what arrived a second ago is on the disk
            running.kill()
            running.wait(20)
        assert len(list(partial.glob("*.mcap"))) >= 3
        (result,) = recover_all(open_store(tmp_path))
        assert result.ok, result.message
        recovered = Episode.open(result.path)
        for topic, sent in bench.sent.items():
            assert in_bag(recovered.path, f"/split{topic}") == sent
            assert recovered.streams[f"/split{topic}"]["written"] == len(sent)
        assert [p for p in structure_problems(recovered) if "recovered" not in p] == []


def in_bag_file(path: Path, topic: str) -> bytes:
    """Return the first message of a topic in a file, opened by itself, which has one."""
    with open(path, "rb") as file:
        return next(m.data for _, _, m in make_reader(file).iter_messages([topic]))


def test_an_episode_whose_file_cannot_grow_is_aborted(profile: Path, tmp_path: Path) -> None:
    with (
        Bench("full") as bench,
        process("recorder", "full", profile=profile, root=tmp_path, limit_file_bytes=300_000),
    ):
        bench.publish_until("all streams", bench.ready)
        id = bench.start().episode_id
        bench.publish_until("the end", lambda: bool(bench.status.error) and bench.status.state == 0)
        assert "File too large" in bench.status.error
        bench.forget()
        path = tmp_path / id
        episode = Episode.open(path)
        assert episode.facts["aborted"] == "true" and "too large" in episode.facts["error"]
        assert 0 < len(in_bag(path, "/full/joint_states")) == episode.counts["/full/joint_states"]
        assert sum(s["lost"]["writer"] for s in episode.streams.values()) > 0
        # the node goes on
        bench.start()
        bench.publish_for(0.3)
        bench.settle()
        stopped = bench.stop()
        assert stopped.success, stopped.message
        balance(bench, Episode.open(Path(stopped.path)), "/full")


def test_an_episode_stops_before_the_disk_is_full(profile: Path, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "8m") as disk, Bench("disk") as bench,
        process("recorder", "disk", profile=profile, root=disk, min_free_mb=4, max_episode_s=2.0),
    ):  # fmt: skip
        bench.publish_until("all streams", bench.ready)
        # -1, unknown, until the data rate is known
        bench.publish_until("how many fit", lambda: bench.status.episodes_left > 0)
        bench.start()
        ballast = disk / "somebody_else"
        bench.publish_for(0.5)
        ballast.write_bytes(bytes(5_000_000))
        bench.publish_until("the end", lambda: bench.status.state == 0)
        (path,) = open_store(disk).paths()
        assert Episode.open(path).facts["stop_reason"] == "disk_full"
        refused = bench.call(StartEpisode, "recorder/start_episode")
        assert not refused.success and "make room" in refused.message
        assert bench.status.episodes_left == 0
        ballast.unlink()


def test_a_disk_that_is_suddenly_full_aborts_the_episode(profile: Path, tmp_path: Path) -> None:
    with (
        small_disk(tmp_path / "disk", "4m") as disk, Bench("sudden") as bench,
        process("recorder", "sudden", profile=profile, root=disk, min_free_mb=0),
    ):  # fmt: skip
        bench.publish_until("all streams", bench.ready)
        bench.start()
        bench.publish_for(0.7)
        ballast = disk / "somebody_else"
        with pytest.raises(OSError, match="No space"), open(ballast, "wb") as file:
            while True:
                file.write(bytes(4096))
        bench.publish_until(
            "the end", lambda: bench.status.state == 0 and "No space" in bench.status.error
        )
        ballast.unlink()
        for partial in open_store(disk).unfinished():
            assert partial.is_dir()  # kept if there was no room even for the index
        bench.start()
        bench.publish_for(0.2)
        assert bench.stop().success, "the node goes on"


def all_written(bench: Bench, stream: str, topic: str) -> None:
    bench.wait("all it sent", lambda: bench.stream(stream).written == len(bench.sent[topic]))


def test_losses_of_misbehaving_publishers_are_counted(profile: Path, tmp_path: Path) -> None:
    with (
        Bench("odd") as bench,
        process("recorder", "odd", profile=profile, root=tmp_path),
    ):
        bench.publish_until("all streams", bench.ready)
        # Publishers that come later than this are new: their losses count from number 1.
        bench.publish_for(6.0)
        bench.start()
        bench.publish_for(0.3)
        # empty and huge messages
        camera, joints = (
            bench.publishers["/camera/image/compressed"][0],
            bench.publishers["/command"][0],
        )
        big = bench.node.create_publisher(CompressedImage, "camera/image/compressed", 5)
        bench.wait("the reader", lambda: big.get_subscription_count() > 0)
        bench.publish_message(big, "/camera/image/compressed", CompressedImage(format="first"))
        bench.publish_for(0.5)
        for publisher, topic, message in (
            (camera, "/camera/image/compressed", CompressedImage()),
            (big, "/camera/image/compressed", CompressedImage(data=os.urandom(20_000_000))),
            (joints, "/command", JointState()),
            (joints, "/command", JointState(name=["x" * 200_000])),
        ):
            bench.publish_message(publisher, topic, message)
        bench.publish_for(0.5)
        # the next message shows the loss
        bench.publish_message(big, "/camera/image/compressed", CompressedImage(format="last"))
        # a publisher that dies, and its successor; undelivered messages cannot be counted
        all_written(bench, "command", "/command")
        bench.node.destroy_publisher(bench.publishers["/command"][0])
        bench.publishers["/command"] = (
            bench.node.create_publisher(JointState, "command", 100), Bench._joints,
        )  # fmt: skip
        bench.wait(
            "the reader",
            lambda: bench.publishers["/command"][0].get_subscription_count() > 0,
        )
        bench.publish_for(0.3)
        # a publisher with another type: its messages are not recorded, and that is reported
        all_written(bench, "wrench", "/wrist/wrench")
        bench.node.destroy_publisher(bench.publishers.pop("/wrist/wrench")[0])
        other = bench.node.create_publisher(String, "wrist/wrench", 10)
        bench.publish_until(
            "the wrong type", lambda: bench.stream("wrench").health == StreamHealth.WRONG_TYPE
        )
        other.publish(String(data="not a wrench"))
        # a publisher that stalls
        stalled = bench.publishers.pop("/joint_states")
        bench.publish_until(
            "the stall", lambda: bench.stream("joints").health == StreamHealth.STALE
        )
        bench.publishers["/joint_states"] = stalled
        bench.publish_for(0.3)
        bench.settle()
        stopped = bench.stop()
        assert stopped.success and stopped.dropped == 0, stopped.message
        balance(bench, Episode.open(Path(stopped.path)), "/odd")


@pytest.mark.parametrize("jump_s", [HOUR, -HOUR])
def test_setting_the_wall_clock_during_an_episode_changes_no_timestamps(
    profile: Path, tmp_path: Path, jump_s: float
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    clock = ShiftedClock(tmp_path)
    root, name = tmp_path / "episodes", f"clock{int(jump_s > 0)}"
    with (
        Bench(name) as bench,
        process("record", name, clock.environment, profile=profile, root=root),
    ):
        bench.publish_until("all streams", bench.ready)
        asked = time.monotonic()
        bench.start()
        began = time.monotonic()
        bench.publish_for(1.0)
        clock.set(jump_s)
        bench.publish_for(1.0)
        bench.settle()
        ending = time.monotonic()
        stopped = bench.stop()
        took = time.monotonic() - asked
        assert stopped.success, stopped.message
        assert ending - began - 0.1 < stopped.duration_s < took + 0.1
        episode = Episode.open(Path(stopped.path))
        balance(bench, episode, f"/{name}")
        ((at_ns, by_ns),) = json.loads(episode.facts["clock_jumps"])
        assert by_ns / 1e9 == pytest.approx(jump_s, abs=0.05)
        assert 0.5 < (at_ns - episode.start_ns) / 1e9 < 2.0
        stamps = [m.receive_ns for m in read_messages(episode.path)]
        assert stamps == sorted(stamps) and (stamps[-1] - stamps[0]) / 1e9 < took + 0.5
        # What is written while it stops, on a busy machine, belongs to the bag.
        assert stopped.duration_s - 0.3 < episode.duration_s < took + 0.5
        # the next episode uses the new time, as the robot's drivers would
        bench.shift_s = jump_s
        bench.publish_until("all streams", bench.ready)
        again = bench.start(pre_roll_s=0.5)
        bench.publish_for(0.5)
        second = Episode.open(Path(bench.stop().path))
        assert (second.start_ns - episode.start_ns) / 1e9 == pytest.approx(jump_s, abs=60)
        assert again.episode_id == second.id and "clock_jumps" not in second.facts


def test_with_simulated_time_all_receive_times_are_those_of_clock(
    profile: Path, tmp_path: Path
) -> None:
    """As in rosbag2 with use_sim_time."""
    with (
        Bench("sim") as bench,
        process("record", "sim", profile=profile, root=tmp_path, use_sim_time=True),
    ):
        publisher = bench.node.create_publisher(Clock, "/clock", 10)
        sim_ns = 1_000_000_000_000
        bench.sim_ns = lambda: sim_ns

        def run(seconds: float) -> None:
            nonlocal sim_ns
            for _ in range(int(seconds * 50)):
                sim_ns += 10_000_000  # half as fast as the world
                message = Clock()
                message.clock.sec, message.clock.nanosec = divmod(sim_ns, 10**9)
                publisher.publish(message)
                bench.publish_for(0.02)

        refused = bench.call(StartEpisode, "recorder/start_episode", force=True)
        assert not refused.success and "/clock" in refused.message
        bench.wait("the reader", lambda: publisher.get_subscription_count() > 0)
        end = time.monotonic() + 20
        while bench.status is None or bench.stream("joints").health == StreamHealth.NEVER:
            assert time.monotonic() < end
            run(0.2)
        bench.start()
        begin_ns = sim_ns
        run(2.0)
        stopped = bench.stop()
        episode = Episode.open(Path(stopped.path))
        for topic, sent in bench.sent.items():
            # Messages before the start have the same time until the next message of /clock.
            got = in_bag(episode.path, f"/sim{topic}")
            assert got[-len(sent) :] == sent and len(got) <= len(sent) + 1
        assert begin_ns - 50_000_000 <= episode.start_ns <= begin_ns
        stamps = [m.receive_ns for m in read_messages(episode.path)]
        assert stamps == sorted(stamps)
        assert (stamps[-1] - begin_ns) / 1e9 == pytest.approx(1.0, abs=0.1)


def test_qos_events_are_counted_and_an_incompatible_profile_is_reported(
    profile: Path, tmp_path: Path
) -> None:
    deaf = tmp_path / "deaf.yaml"
    forced = "rate_hz: 50, qos: {reliability: reliable}}\n  desc"
    deaf.write_text(PROFILE.replace("rate_hz: 50}\n  desc", forced))
    with (
        Bench("deaf") as bench,
        process("recorder", "deaf", profile=deaf, root=tmp_path / "episodes"),
    ):
        promise = QoSProfile(depth=10, deadline=Duration(seconds=0.1))
        bench.node.destroy_publisher(bench.publishers["/command"][0])
        bench.publishers["/command"] = (
            bench.node.create_publisher(JointState, "command", promise), Bench._joints,
        )  # fmt: skip
        bench.publish_until(
            "the deaf camera",
            lambda: (
                bench.status is not None and bench.stream("camera").health == StreamHealth.UNHEARD
            ),
        )
        refused = bench.call(StartEpisode, "recorder/start_episode")
        assert (
            not refused.success
            and "camera is published with an incompatible QoS" in refused.message
        )
        bench.wait("the events", lambda: bench.stream("command").qos_deadline > 0)
        assert bench.stream("camera").qos_incompatible > 0
        bench.start()
        bench.publish_for(0.3)
        episode = Episode.open(Path(bench.stop().path))
        offered = {
            t["topic_metadata"]["name"]: t["topic_metadata"]["offered_qos_profiles"][0]
            for t in episode.metadata["topics_with_message_count"]
            if t["topic_metadata"]["offered_qos_profiles"]
        }
        assert offered["/deaf/command"]["deadline"] == {"sec": 0, "nsec": 100_000_000}


@pytest.mark.alone
def test_messages_dropped_by_the_queue_are_reported_in_the_bag(
    tmp_path: Path, profile: Path
) -> None:
    with (
        Bench("drops") as bench,
        process("recorder", "drops", profile=profile, root=tmp_path, max_queue_mb=1),
    ):
        bench.publish_until("all streams", bench.ready)
        bench.start()
        bench.publish_for(0.3)
        joints = bench.publishers["/joint_states"][0]
        for number in range(3):
            message = JointState(position=[float(number)] * 250_000)
            bench.publish_message(joints, "/joint_states", message)
            bench.publish_for(0.2)
        bench.settle()
        stopped = bench.stop()
        assert stopped.success and stopped.dropped == 3
        episode = Episode.open(Path(stopped.path))
        balance(bench, episode, "/drops")
        dropouts = in_bag(episode.path, "/drops/recorder/dropouts")
        losses = [deserialize_message(data, Dropout) for data in dropouts]
        assert lost(episode.path, "/drops", "/joint_states") == 3
        # The camera is best effort: DDS may lose a picture beside 2 MB of joints.
        by_queue = {x.topic for x in losses if x.place == Dropout.PLACE_QUEUE}
        assert by_queue == {"/drops/joint_states"}
