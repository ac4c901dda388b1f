"""Labels by the services of the real nodes, while other processes label the same episodes.

Holds also: label_target.py.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from support.robot import Bench, process

pytest.importorskip("rclpy")

from std_srvs.srv import Trigger

from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import LabelKind, Outcome
from robot_recorder.msg import EpisodeStatus
from robot_recorder.nodes.conversions import to_time
from robot_recorder.srv import (
    Annotate,
    DiscardEpisode,
    MarkOutcome,
    RestoreEpisode,
    SetTask,
    StartEpisode,
    StopEpisode,
)

COMMAND = "import sys; from robot_recorder.cli.main import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture(scope="module")
def bench(profile: Path, root: Path) -> Iterator[Bench]:
    """One composed recorder for the tests of this module."""
    with Bench() as bench, process("record", profile=profile, root=root):
        bench.publish_until("all streams", bench.ready)
        assert bench.call(
            SetTask, "labeller/set_task", task="lift_box", operator_name="ann"
        ).success
        yield bench


def start(bench: Bench) -> str:
    """Start an episode, and wait until all nodes know it."""
    id = bench.call(StartEpisode, "recorder/start_episode", force=True).episode_id
    bench.publish_until("the start to be known", lambda: bench.status.episode_id == id)
    return id


def stop(bench: Bench) -> Path:
    path = Path(bench.call(StopEpisode, "recorder/stop_episode").path)
    bench.wait("the stop to be known", lambda: bench.status.state == EpisodeStatus.STATE_IDLE)
    return path


def mark(bench: Bench, **fields):
    return bench.call(MarkOutcome, "labeller/mark_outcome", **fields)


def command_line(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, "label", str(path), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_the_answer_names_the_episode_its_old_outcome_and_missing_annotations(bench: Bench) -> None:
    id = start(bench)
    first = bench.call(Trigger, "labeller/mark_success")
    assert first.success and first.message == (
        f"{id} (running) marked as success (was unlabelled); "
        "still to be annotated: grasp, lift, place, release"
    )
    for name in ("grasp", "lift", "place"):
        assert bench.call(Annotate, "labeller/annotate", name=name).success
    marked = mark(bench, outcome=2, cause="slip")
    assert marked.success and marked.previous == "success"
    assert marked.message.startswith(f"{id} (running) marked as failure: slip (was success)")
    assert marked.message.endswith("still to be annotated: release")
    path = stop(bench)
    after = bench.call(Trigger, "labeller/mark_failure")
    assert after.message.startswith(f"{id} (the last one) marked as failure (was failure: slip)"), (
        after.message
    )
    by_id = mark(bench, outcome=0, episode_id=id, by="eve")
    assert by_id.message.startswith(f"{id} marked as unlabelled (was failure)"), by_id.message
    log = Episode.open(path).events
    assert all(e.by for e in log), "without a labeller, the operator is named"
    assert [e.by for e in log[1:]] == ["ann"] * 6 + ["eve"]


def test_a_label_right_after_the_stop_goes_to_the_episode_being_finalised(bench: Bench) -> None:
    id = start(bench)
    bench.publish_for(0.5)
    client: Any = bench.node.create_client(StopEpisode, "recorder/stop_episode")
    assert client.wait_for_service(20)
    stopping = client.call_async(StopEpisode.Request())
    # do not wait for its answer
    marked = bench.call(Trigger, "labeller/mark_success")
    assert marked.success and id in marked.message
    bench.wait("the stop", stopping.done)
    assert stopping.result().success
    assert Episode.open(Path(stopping.result().path)).labels.outcome is Outcome.SUCCESS
    bench.node.destroy_client(client)


def test_an_annotation_can_be_withdrawn(bench: Bench) -> None:
    id = start(bench)
    for _ in range(2):
        assert bench.call(Annotate, "labeller/annotate", name="grasp").success
    bench.publish_for(0.6)
    gone = bench.call(Annotate, "labeller/annotate", name="grasp", retract=True, by="eve")
    assert gone.success and f"withdrawn from {id} (running)" in gone.message
    path = stop(bench)
    (left,) = Episode.open(path).labels.annotations
    none = bench.call(Annotate, "labeller/annotate", name="wave", retract=True)
    assert not none.success and "there are: grasp at" in none.message
    gone = bench.call(
        Annotate, "labeller/annotate", name="grasp", retract=True, start=to_time(left.start_ns)
    )
    assert gone.success
    log = Episode.open(path).events
    assert not Episode.open(path).labels.annotations
    assert [e.kind for e in log[1:]] == [LabelKind.ANNOTATION] * 2 + [LabelKind.RETRACTION] * 2


def test_invalid_annotations_are_rejected(bench: Bench) -> None:
    start(bench)
    typo = bench.call(Annotate, "labeller/annotate", name="gras")
    assert not typo.success and "did you mean 'grasp'?" in typo.message
    assert bench.call(Annotate, "labeller/annotate", name="wave").success, (
        "names that the task does not list are allowed"
    )
    early = bench.call(Annotate, "labeller/annotate", name="grasp", start=to_time(10**9))
    assert not early.success and "outside of the episode" in early.message
    path = stop(bench)
    late = bench.call(Annotate, "labeller/annotate", name="grasp")
    assert not late.success and "outside of the episode, which goes from" in late.message
    assert len(Episode.open(path).events) == 2


def test_labels_by_service_and_by_command_line_at_once_are_all_kept(bench: Bench) -> None:
    start(bench)
    assert bench.call(Trigger, "labeller/mark_success").success
    path = stop(bench)
    others = [command_line(path, "--by", f"p{n}", "--failure", "slip") for n in range(3)]
    answers = []
    while any(other.poll() is None for other in others):
        answers.append(mark(bench, outcome=2, cause="drop", by="own"))
    answers.append(mark(bench, outcome=1, by="own"))
    for other in others:
        output, _ = other.communicate(timeout=20)
        assert other.returncode == 0, output
    assert not [a.message for a in answers if not a.success]
    log = [e for e in Episode.open(path).events if e.kind is LabelKind.OUTCOME]
    assert sorted({e.by for e in log}) == ["ann", "own", "p0", "p1", "p2"]
    assert len(log) == 1 + len(others) + len(answers)
    for before, after in pairwise(log):
        assert after.previous == before.outcome.text + (f": {before.cause}" if before.cause else "")
    assert [a.previous for a in answers] == [e.previous for e in log if e.by == "own"]
    # the status also has the labels of the other processes
    bench.wait("the status", lambda: bench.status.outcome == Outcome.SUCCESS)
    relabelled = command_line(path, "--by", "p9", "--failure", "slip")
    assert relabelled.wait(20) == 0
    assert bench.call(
        Annotate, "labeller/annotate", name="wave", start=to_time(log[0].stamp_ns)
    ).success
    bench.wait("the status", lambda: bench.status.outcome == Outcome.FAILURE)


def test_an_episode_in_the_trash_must_be_restored_before_labelling(bench: Bench) -> None:
    start(bench)
    path = stop(bench)
    assert bench.call(DiscardEpisode, "recorder/discard_episode").success
    refused = bench.call(Trigger, "labeller/mark_success")
    assert not refused.success and "in the trash: restore it" in refused.message
    assert bench.call(RestoreEpisode, "recorder/restore_episode").success
    assert bench.call(Trigger, "labeller/mark_success").success
    assert Episode.open(path).labels.outcome is Outcome.SUCCESS


def test_after_a_restart_the_last_episode_is_the_newest_of_this_robot(
    profile: Path, tmp_path: Path
) -> None:
    with Bench("rob") as bench, process("record", "rob", profile=profile, root=tmp_path):
        bench.publish_until("all streams", bench.ready)
        nothing = bench.call(Trigger, "labeller/mark_success")
        assert not nothing.success and "there is no episode yet" in nothing.message
        start(bench)
        stop(bench)
        bench.publish_until("all streams", bench.ready)
        start(bench)
        path = stop(bench)
    with Bench("rob") as bench, process("record", "rob", profile=profile, root=tmp_path):
        bench.publish_until("the status", lambda: bench.status is not None)
        assert bench.status.episode_id == ""
        marked = bench.call(Trigger, "labeller/mark_failure")
        assert marked.success, marked.message
        assert marked.message.startswith(f"{path.name} (the last one on disk) marked as failure")
        assert Episode.open(path).labels.outcome is Outcome.FAILURE
        assert Episode.open(path).events[-1].by == "unknown", "no operator is set"
    with Bench("rob_2") as bench, process("record", "rob_2", profile=profile, root=tmp_path):
        bench.publish_until("the status", lambda: bench.status is not None)
        nothing = bench.call(Trigger, "labeller/mark_success")
        assert not nothing.success and "there is no episode yet" in nothing.message


def test_a_take_has_the_task_that_was_set_last_and_its_own_outcome(bench: Bench) -> None:
    """A long episode with several attempts, each with its task and outcome."""
    id = start(bench)
    assert bench.call(Annotate, "labeller/annotate", name="take_begin").success
    assert bench.call(SetTask, "labeller/set_task", task="carry_tray").success
    told = bench.call(Annotate, "labeller/annotate", name="take", outcome=2, cause="slip")
    assert told.success, told.message
    assert not bench.call(Annotate, "labeller/annotate", name="take", outcome=7).success
    assert not bench.call(Annotate, "labeller/annotate", name="take", task="no_such").success
    assert bench.call(SetTask, "labeller/set_task", task="lift_box").success
    assert bench.call(Annotate, "labeller/annotate", name="take", outcome=1).success
    path = stop(bench)
    takes = [a for a in Episode.open(path).labels.annotations if a.name == "take"]
    assert [(a.task, a.outcome, a.cause) for a in takes] == [
        ("carry_tray", Outcome.FAILURE, "slip"), ("lift_box", Outcome.SUCCESS, ""),
    ]  # fmt: skip
    assert Episode.open(path).labels.task == "lift_box" and path.name == id


def test_a_label_for_a_labeller_that_stood_still_goes_to_the_episode_that_runs_now(
    profile: Path, tmp_path: Path
) -> None:
    """Not to the one that ran when it was last awake."""
    apart = "apart"
    with (
        Bench(apart) as bench,
        process("recorder", apart, profile=profile, root=tmp_path / "episodes"),
        process("labeller", apart) as labeller,
    ):
        bench.publish_until("all streams", bench.ready, 30)
        start(bench)
        assert bench.call(Trigger, "labeller/mark_success").success
        labeller.send_signal(signal.SIGSTOP)
        before = Episode.open(stop(bench))
        running = start(bench)
        # Soon: after a second the middleware gives up the memory that it shares with the labeller, and sends later.
        Timer(0.1, labeller.send_signal, [signal.SIGCONT]).start()
        marked = bench.call(MarkOutcome, "labeller/mark_outcome", outcome=int(Outcome.FAILURE))
        assert marked.success and marked.episode_id == running, marked.message
        stop(bench)
        assert Episode.open(before.path).labels.outcome is Outcome.SUCCESS
