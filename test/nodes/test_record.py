"""Episodes recorded by the real nodes from real publishers.

Holds also: recorder.py, recorder_setup.py, runtime.py, finaliser.py, status.py.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from struct import unpack_from
from typing import Any

import pytest
from support.robot import PROFILE, Bench, process

pytest.importorskip("rclpy")

from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.rosbag2 import Reader
from std_srvs.srv import Trigger

from robot_recorder.alignment.certificate import TickSpan
from robot_recorder.alignment.frame_messages import decode_frame
from robot_recorder.alignment.frames import SampleStatus
from robot_recorder.bags.reader import read_messages
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.trash import TRASH
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelKind, Outcome
from robot_recorder.model.streams import StreamHealth
from robot_recorder.msg import Label
from robot_recorder.srv import (
    Annotate,
    DiscardEpisode,
    MarkOutcome,
    RestoreEpisode,
    SetTask,
    StartEpisode,
    StopEpisode,
)


@pytest.fixture(scope="module")
def bench(profile: Path, root: Path) -> Iterator[Bench]:
    """One composed recorder for the tests of this module."""
    with Bench() as bench, process("record", profile=profile, root=root):
        bench.publish_until("all streams", bench.ready)
        yield bench


def record(bench: Bench, seconds: float = 1.0) -> Episode:
    """Record one episode; the messages sent meanwhile are in ``bench.sent``."""
    bench.publish_until("all streams", bench.ready)
    bench.start()
    bench.publish_for(seconds)
    stopped = bench.stop()
    assert stopped.success, stopped.message
    return Episode.open(Path(stopped.path))


def in_bag(episode: Episode, topic: str) -> list[bytes]:
    return [m.data for m in read_messages(episode.path, {topic})]


def test_every_message_is_recorded_byte_for_byte(bench: Bench) -> None:
    assert bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann").success
    episode = record(bench)
    for topic, sent in bench.sent.items():
        assert len(sent) > 30
        assert in_bag(episode, topic) == sent, topic
    count = len(bench.sent["/joint_states"])
    none = {"dds": 0, "ring": 0, "queue": 0, "writer": 0}
    assert episode.streams["/joint_states"] == {"written": count, "lost": none}
    assert episode.lost == (0, True)
    assert in_bag(episode, "/robot_description"), "every episode begins with the latched messages"
    assert episode.labels.task == "lift_box" and episode.labels.operator_name == "ann"
    assert episode.labels.instruction.startswith("Lift the box")


def test_other_libraries_read_the_episode(bench: Bench) -> None:
    """The rosbags and mcap libraries, without any code of this package."""
    from mcap.reader import make_reader
    from rosbags.typesys import Stores, get_types_from_msg, get_typestore

    episode = record(bench)
    store = get_typestore(Stores.EMPTY)
    with Reader(episode.path) as reader:
        for connection in reader.connections:
            store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
        for connection in reader.connections:
            assert connection.digest == store.hash_rihs01(connection.msgtype), connection.topic
        messages: list[tuple[str, Any]] = [
            (c.topic, store.deserialize_cdr(d, c.msgtype)) for c, _, d in reader.messages()
        ]
        qos: dict[str, Any] = {}
        for connection in reader.connections:
            assert isinstance(connection.ext, ConnectionExtRosbag2)
            qos[connection.topic] = connection.ext.offered_qos_profiles
    joints = [m for t, m in messages if t == "/joint_states"]
    assert joints[0].name == ["a", "b"] and list(joints[0].position) == [0.1, 0.2]
    frames = [m for t, m in messages if t == "/synchronizer/frames"]
    assert frames and frames[0].samples[0].stream == "joints"
    assert qos["/camera/image/compressed"][0].reliability.name.lower() == "best_effort"
    with open(next(episode.path.glob("*.mcap")), "rb") as file:
        count = sum(1 for _ in make_reader(file, validate_crcs=True).iter_messages())
    assert count == len(messages) == sum(episode.counts.values())


def in_time(bench: Bench, episode: Episode) -> Callable[[int], bool]:
    """Tell of a tick whether every stream was sent just before and after it, and received in time.

    The robot of these tests is a thread of Python, which waits for the answer to a start, and which a busy
    machine lets stand still.
    """
    sent = {}
    for topic in bench.sent:
        received = [m.receive_ns for m in read_messages(episode.path, {topic})]
        stamps = [
            s * 10**9 + ns for s, ns in (unpack_from("<iI", d, 4) for d in in_bag(episode, topic))
        ]
        sent[topic] = [s for s, r in zip(stamps, received, strict=True) if r - s < 100_000_000]
    return lambda tick: all(
        any(0 <= side * (s - tick) <= 25_000_000 for s in stamps)
        for stamps in sent.values()
        for side in (-1, 1)
    )


@pytest.mark.alone
def test_frames_are_aligned_and_recorded(bench: Bench) -> None:
    episode = record(bench, 1.5)
    due = in_time(bench, episode)
    frames = [decode_frame(data) for data in in_bag(episode, "/synchronizer/frames")]
    assert len(frames) > 20
    assert frames[0][1] == ("joints", "command", "wrench", "camera")
    ticks = [f.tick_ns for f, _ in frames]
    assert {b - a for a, b in pairwise(ticks)} == {50_000_000}
    late = [
        f for f in frames if f[0].tick_ns > episode.start_ns + 100_000_000 and due(f[0].tick_ns)
    ]
    assert len(late) > 5 and all(f.complete for f, _ in late)
    joints = late[0][0].samples[0]
    assert joints.status in (SampleStatus.INTERPOLATED, SampleStatus.FRESH)
    assert list(joints.values) == pytest.approx([0.1, 0.2, 0, 0, 1, 2])
    assert all(abs(s.skew_ns) <= 25_000_000 for f, _ in late for s in f.samples)
    span = TickSpan.of_episode(
        episode.start_ns, episode.start_ns, int(episode.facts["stop_ns"]), 200_000_000
    )
    assert episode.certificate is not None
    assert episode.certificate.frames == sum(span.first_ns <= t <= span.last_ns for t in ticks)
    assert (episode.certificate.absent, episode.certificate.unreadable) == (0, 0)
    assert (episode.certificate.streams["camera"].skew_p50_ms or 99) < 25


def test_frames_go_on_while_the_robot_is_silent(bench: Bench) -> None:
    bench.publish_until("all streams", bench.ready)
    bench.frames.clear()
    bench.wait("frames of a silent robot", lambda: len(bench.frames) > 30)
    held = bench.frames[-1]
    assert not held.complete
    assert {s.status for s in held.samples} == {int(SampleStatus.HELD)}
    assert all(s.skew_ns < -100_000_000 for s in held.samples)


def test_an_episode_has_its_profile_and_its_clock_models(bench: Bench) -> None:
    episode = record(bench, 2.5)
    assert episode.facts["profile_yaml"] == PROFILE and episode.facts["namespace"] == "/"
    models = [m.data for m in read_messages(episode.path, {"/synchronizer/clocks"})]
    assert models, "the newest of before the episode, at least"
    certificate = episode.certificate
    assert certificate is not None and list(certificate.streams) == [
        "joints", "command", "wrench", "camera", "description"
    ]  # fmt: skip
    for stream in list(certificate.streams.values())[:-1]:
        assert stream.clock == "robot" and stream.offset_ms is not None
        assert 0 <= stream.offset_ms < 50 and stream.count > 90


def test_labels_are_in_the_bag_and_in_custom_data(bench: Bench) -> None:
    bench.call(SetTask, "labeller/set_task", task="lift_box", operator_name="ann")
    bench.publish_until("all streams", bench.ready)
    id = bench.call(StartEpisode, "recorder/start_episode", force=True).episode_id
    bench.publish_until("the labeller to know", lambda: bench.status.episode_id == id)
    noted = bench.call(Annotate, "labeller/annotate", name="grasp", note="firm")
    assert noted.success and noted.episode_id == id
    marked = bench.call(Trigger, "labeller/mark_success")
    assert marked.success and id in marked.message
    bench.publish_for(0.3)
    path = Path(bench.call(StopEpisode, "recorder/stop_episode").path)
    episode = Episode.open(path)
    assert episode.facts["outcome"] == "success"
    assert [a.name for a in episode.labels.annotations] == ["grasp"]
    from rclpy.serialization import deserialize_message

    labels = [deserialize_message(d, Label) for d in in_bag(episode, "/labeller/labels")]
    assert [LabelKind(x.kind) for x in labels] == [
        LabelKind.TASK,
        LabelKind.ANNOTATION,
        LabelKind.OUTCOME,
    ]
    assert all(x.episode_id == id for x in labels)

    # after the stop, with a cause; the sensor data does not change
    data = next(path.glob("*.mcap")).read_bytes()
    again = bench.call(
        MarkOutcome,
        "labeller/mark_outcome",
        outcome=2,
        cause="slip",
        note="seen on video",
        by="eve",
    )
    assert again.success and again.episode_id == id and again.previous == "success"
    bench.wait("the label on disk", lambda: Episode.open(path).labels.outcome is Outcome.FAILURE)
    last = Episode.open(path).events[-1]
    assert (last.cause, last.by, last.previous, last.note) == (
        "slip",
        "eve",
        "success",
        "seen on video",
    )
    assert next(path.glob("*.mcap")).read_bytes() == data


def test_refusals_say_what_to_do(bench: Bench) -> None:
    def refused(kind, service: str, /, *words: str, **fields) -> None:
        answer = bench.call(kind, service, **fields)
        assert not answer.success
        for word in words:
            assert word in answer.message, answer.message

    refused(StopEpisode, "recorder/stop_episode", "nothing is being recorded")
    refused(SetTask, "labeller/set_task", "unknown task", "lift_box", task="lift_bocks")
    refused(StartEpisode, "recorder/start_episode", "unknown task", "carry_tray", task="cary_tray")
    refused(MarkOutcome, "labeller/mark_outcome", "no episode", outcome=1, episode_id="nobody")
    refused(MarkOutcome, "labeller/mark_outcome", "outcome 9", outcome=9)
    refused(DiscardEpisode, "recorder/discard_episode", "no episode", episode_id="nobody")
    refused(Annotate, "labeller/annotate", "needs a name")
    bench.call(SetTask, "labeller/set_task", task="lift_box")
    episode = record(bench, 0.2)
    refused(
        MarkOutcome,
        "labeller/mark_outcome",
        "slip",
        outcome=2,
        cause="slipp",
        episode_id=episode.id,
    )
    refused(MarkOutcome, "labeller/mark_outcome", "only a failure", outcome=1, cause="slip")
    bench.wait(
        "all streams to fall silent",
        lambda: all(s.health == StreamHealth.STALE for s in bench.status.streams if s.required),
    )
    refused(StartEpisode, "recorder/start_episode", "joints is silent", " and camera", "force")
    forced = bench.call(StartEpisode, "recorder/start_episode", force=True)
    assert forced.success and "joints is silent" in forced.message
    refused(StartEpisode, "recorder/start_episode", "stop it first")
    assert bench.call(StopEpisode, "recorder/stop_episode").success


def test_episodes_are_toggled_discarded_and_restored(bench: Bench, root: Path) -> None:
    bench.publish_until("all streams", bench.ready)
    assert bench.call(Trigger, "recorder/toggle_episode").success
    bench.publish_for(0.2)
    answer = bench.call(Trigger, "recorder/toggle_episode")
    assert answer.success and "saved" in answer.message
    gone = bench.call(DiscardEpisode, "recorder/discard_episode")
    assert gone.success and not (root / gone.episode_id).exists()
    assert Episode.open(root / TRASH / gone.episode_id).id == gone.episode_id
    back = bench.call(RestoreEpisode, "recorder/restore_episode")
    assert (
        back.success
        and back.episode_id == gone.episode_id
        and back.path == str(root / gone.episode_id)
    )
    assert Episode.open(root / gone.episode_id).id == gone.episode_id
    assert not bench.call(RestoreEpisode, "recorder/restore_episode", episode_id="none").success
    # the running episode can be discarded, too
    bench.publish_until("all streams", bench.ready)
    assert bench.call(Trigger, "recorder/toggle_episode").success
    gone = bench.call(DiscardEpisode, "recorder/discard_episode")
    assert gone.success and (root / TRASH / gone.episode_id).is_dir()
    assert not open_store(root).unfinished()


def test_consecutive_episodes_lose_nothing(bench: Bench) -> None:
    for _ in range(3):
        episode = record(bench, 0.3)
        for topic, sent in bench.sent.items():
            assert in_bag(episode, topic) == sent


def test_two_robots_record_at_once(profile: Path, tmp_path: Path) -> None:
    with (
        Bench("robot_01") as one, Bench("robot_02") as two,
        process("record", "robot_01", profile=profile, root=tmp_path),
        process("record", "robot_02", profile=profile, root=tmp_path),
    ):  # fmt: skip
        one.publish_until("all streams of robot_01", one.ready)
        two.publish_until("all streams of robot_02", two.ready)
        one.publish_until("all streams of robot_01", one.ready)
        for bench in (one, two):
            # forced: one robot is silent while the call to the other waits for its service
            answer = bench.call(
                StartEpisode, "recorder/start_episode", task="lift_box", force=True, pre_roll_s=0.0
            )
            assert answer.success, answer.message
            bench.forget()
        for _ in range(20):
            one.publish_for(0.02)
            two.publish_for(0.02)
        for number, bench in ((1, one), (2, two)):
            stopped = bench.call(StopEpisode, "recorder/stop_episode")
            assert stopped.success
            episode = Episode.open(Path(stopped.path))
            assert episode.facts["robot"] == f"robot_0{number}"
            for topic, sent in bench.sent.items():
                assert in_bag(episode, f"/robot_0{number}{topic}") == sent
            assert all(t.startswith(f"/robot_0{number}/") for t in episode.counts)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finalises_the_running_episode(profile: Path, tmp_path: Path, number: int) -> None:
    with Bench("sig") as bench, process("record", "sig", profile=profile, root=tmp_path) as running:
        bench.publish_until("all streams", bench.ready)
        assert bench.call(
            StartEpisode, "recorder/start_episode", force=True, pre_roll_s=0.0
        ).success
        bench.forget()
        bench.publish_for(0.5)
        time.sleep(0.1)  # for the middleware, which does not acknowledge arrival
        running.send_signal(number)
        assert running.wait(20) == 0
        (path,) = open_store(tmp_path).paths()
        episode = Episode.open(path)
        assert not open_store(tmp_path).unfinished()
        for topic, sent in bench.sent.items():
            assert in_bag(episode, f"/sig{topic}") == sent


def test_each_node_runs_on_its_own(profile: Path, tmp_path: Path) -> None:
    with (
        Bench("alone") as bench,
        process("recorder", "alone", profile=profile, root=tmp_path),
        process("synchronizer", "alone", profile=profile),
        process("labeller", "alone", task="lift_box", operator="ann"),
    ):
        bench.publish_until("all streams", bench.ready)
        bench.publish_until("frames", lambda: len(bench.frames) > 5)
        gently = {"instruction": "Lift it gently."}
        bench.wait(
            "the recorder to have the task",
            lambda: (
                bench.call(SetTask, "labeller/set_task", **gently).message
                == "next episodes: lift_box"
            ),
        )
        # forced: streams may become stale while the service is discovered
        started = bench.call(StartEpisode, "recorder/start_episode", force=True, pre_roll_s=0.0)
        assert started.success
        bench.forget()
        bench.publish_for(1.0)
        bench.call(Trigger, "labeller/mark_failure")
        bench.publish_for(0.2)
        episode = Episode.open(Path(bench.call(StopEpisode, "recorder/stop_episode").path))
        for topic, sent in bench.sent.items():
            assert in_bag(episode, f"/alone{topic}") == sent
        assert episode.labels.outcome is Outcome.FAILURE
        assert episode.labels.instruction == "Lift it gently."
        assert episode.counts["/alone/synchronizer/frames"] > 10


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("role: action", "role: acton"), ["bench.yaml:7", "acton", "action"]),
        (("sensor_msgs/msg/CompressedImage", "vendor_msgs/msg/Image9"),
         ["stream 'camera'", "vendor_msgs/msg/Image9", "not installed"]),
        (("geometry_msgs/msg/WrenchStamped", "geometry_msgs/msg/WrenchStampd"),
         ["stream 'wrench'", "no message WrenchStampd"]),
    ],
)  # fmt: skip
def test_a_wrong_profile_ends_the_node_with_a_clear_error(
    tmp_path: Path, change: tuple[str, str], words: list[str]
) -> None:
    path = tmp_path / "bench.yaml"
    path.write_text(PROFILE.replace(*change, 1))
    with process("record", "wrong", profile=path, root=tmp_path) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 2
    assert "Traceback" not in output
    for word in words:
        assert word in output, output


def test_a_parameter_of_the_wrong_type_is_explained(profile: Path) -> None:
    with process("labeller", "wrong", operator=7) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 2
    assert "parameter 'operator'" in output and "quotes" in output and "Traceback" not in output


def test_parameters_out_of_range_are_refused(profile: Path, tmp_path: Path) -> None:
    with (
        Bench("numbers") as bench,
        process("recorder", "numbers", profile=profile, root=tmp_path, pre_roll_s=3),
    ):
        bench.publish_until("the status", lambda: bench.status is not None)
        assert bench.status.pre_roll_s == 3.0
    with process("recorder", "numbers", profile=profile, root=tmp_path, pre_roll_s=-1) as running:
        output, _ = running.communicate(timeout=30)
    assert running.returncode == 2 and "pre_roll_s" in output and "Traceback" not in output


def test_a_start_with_an_unwritable_root_is_refused(profile: Path) -> None:
    with Bench("ro") as bench, process("record", "ro", profile=profile, root="/proc/nowhere"):
        bench.publish_until("all streams", bench.ready)
        answer = bench.call(StartEpisode, "recorder/start_episode")
        assert not answer.success and "/proc/nowhere" in answer.message


def test_a_publisher_of_another_type_is_named(profile: Path, tmp_path: Path) -> None:
    from std_msgs.msg import String

    with Bench("typed") as bench, process("record", "typed", profile=profile, root=tmp_path):
        bench.node.destroy_publisher(bench.publishers.pop("/wrist/wrench")[0])
        bench.node.create_publisher(String, "wrist/wrench", 10)
        bench.publish_until(
            "the wrong type to be seen",
            lambda: (
                bench.status is not None
                and any(s.name == "wrench" and s.health == 4 for s in bench.status.streams)
            ),
        )
        answer = bench.call(StartEpisode, "recorder/start_episode")
        assert not answer.success and "std_msgs/msg/String" in answer.message
