"""Shifts by the real operator node, with a real recorder that is killed, and episodes on the disk.

Holds also: shift_calls.py.
"""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.robot import process

pytest.importorskip("rclpy")

from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Joy
from support.shifts import ShiftBench

from robot_recorder.episodes.episode import Episode
from robot_recorder.model.labels import LabelKind, Outcome
from robot_recorder.msg import EpisodeStatus, Label, ShiftStatus
from robot_recorder.nodes.runtime import SILENT_S
from robot_recorder.srv import DiscardEpisode, MarkOutcome, StartEpisode

IDLE, READY = ShiftStatus.STATE_IDLE, ShiftStatus.STATE_READY
RECORDING = ShiftStatus.STATE_RECORDING
VERDICT, DONE = ShiftStatus.STATE_VERDICT, ShiftStatus.STATE_DONE


@pytest.fixture
def fresh(profile: Path, tmp_path: Path) -> Iterator[Any]:
    """A bench and a recorder that can be killed and started again."""
    with ExitStack() as stack:
        bench = stack.enter_context(ShiftBench("fresh"))
        yield Floor(bench, profile, tmp_path / "episodes", stack, "fresh")


@pytest.fixture(scope="module")
def shared(profile: Path, root: Path) -> Iterator[Any]:
    """A bench, a recorder and an operator node for all tests that kill none of them."""
    with ExitStack() as stack:
        floor = Floor(stack.enter_context(ShiftBench()), profile, root, stack)
        bindings = root.parent / "pad.yaml"
        bindings.write_text(
            "joys:\n  pad:\n    buttons:\n"
            "      0: {press: step, long: failure}\n      1: {press: discard}\n      2: {press: undo}\n"
        )
        floor.operate(language="de", buttons=bindings)
        yield floor


@pytest.fixture
def floor(shared: Floor) -> Iterator[Any]:
    """The shared one without a shift, and with nothing said."""
    shared.bench.said.clear()
    shared.bench.until("a fresh status", shared.bench.ready)
    yield shared
    if shared.bench.state() == RECORDING:
        shared.bench.press("discard")
    shared.bench.press("end")
    shared.bench.until("the end of the shift", lambda: shared.bench.state() == IDLE)


class Floor:
    def __init__(
        self, bench: ShiftBench, profile: Path, root: Path, stack: ExitStack, namespace: str = ""
    ) -> None:
        self.bench, self.root, self._stack, self._namespace = bench, root, stack, namespace
        self._common: dict[str, Any] = {"profile": profile, "root": root}
        # The bench's robot never moves, which the checks would reject.
        self.recorder = self.run("record", check=False)
        bench.until("all streams", bench.ready, 30)

    def run(self, name: str, **parameters: Any) -> subprocess.Popen[str]:
        started = self._stack.enter_context(
            process(name, self._namespace, **self._common, **parameters)
        )
        return started

    def operate(self, **parameters: object) -> subprocess.Popen[str]:
        """Start the operator node."""
        self.bench.shift = None
        started = self.run("operator", **{"tones": False, **parameters})
        self.bench.until("the operator node", lambda: self.bench.shift is not None)
        return started

    def episode(self, id: str) -> Episode:
        return Episode.open(self.root / id)


def test_a_take_with_two_presses_has_its_outcome_by_its_operator(floor: Floor) -> None:
    bench = floor.bench
    begun = bench.begin(task="lift_box", operator_name="ann", station="A1", target=1)
    assert begun.success, begun.message
    bench.take("step")
    bench.until("the take", lambda: bench.state() == RECORDING)
    bench.publish_for(0.6)
    stopped = bench.press("step")
    assert stopped.success and stopped.state == DONE, stopped.message
    episode = floor.episode(stopped.episode_id)
    assert episode.labels.outcome is Outcome.SUCCESS and episode.labels.task == "lift_box"
    assert [e.by for e in episode.events if e.kind is LabelKind.OUTCOME] == ["ann"]
    bench.until("the target to be said", lambda: "target" in bench.events())
    assert (bench.shift.counted, bench.shift.taken, bench.shift.target) == (1, 1, 1)
    assert {said.language for said in bench.said} == {"de"} and all(s.text for s in bench.said)
    assert "target" in bench.press("step").message


def test_a_reject_is_said_with_its_check_and_does_not_count(fresh: Floor) -> None:
    bench = fresh.bench
    fresh.recorder.send_signal(signal.SIGINT)
    fresh.recorder.wait()
    fresh.recorder = fresh.run("record")
    fresh.operate()
    bench.until("all streams", bench.ready, 30)
    bench.begin(task="lift_box", target=1)
    bench.take("step")
    bench.publish_for(0.7)
    id = bench.press("step").episode_id
    bench.until("the verdict to be said", lambda: "reject" in bench.events())
    said = next(s for s in bench.said if s.event == "reject")
    worst = fresh.episode(id).quality.results[0]
    assert dict(zip(said.names, said.values)) == {"why": worst.check, "stream": worst.stream}
    assert bench.shift.verdict_sentence == fresh.episode(id).quality.sentence
    assert bench.shift.counted == 0 and bench.state() == READY


def test_a_command_that_is_sent_again_is_carried_out_once_also_after_a_restart(
    fresh: Floor,
) -> None:
    bench = fresh.bench
    operator = fresh.operate()
    bench.begin(task="lift_box")
    first = bench.take(key="press-1")
    again = bench.press("next", key="press-1")
    assert first.success and again.message == first.message and again.episode_id == first.episode_id
    operator.kill()
    operator.wait()
    fresh.operate()
    bench.until("the shift to go on", lambda: bench.state() == RECORDING)
    assert bench.press("next", key="press-1").message == first.message
    assert bench.state() == RECORDING
    assert bench.press("success", key="press-2").success
    assert fresh.episode(first.episode_id).labels.outcome is Outcome.SUCCESS
    assert len(list(fresh.root.glob("fresh*"))) == 1


def test_a_recorder_that_is_killed_in_mid_take_costs_the_shift_nothing_else(fresh: Floor) -> None:
    bench = fresh.bench
    fresh.operate()
    bench.begin(task="lift_box", target=2)
    taken = bench.take()
    bench.until("the take to be seen", lambda: bench.status.state == EpisodeStatus.STATE_RECORDING)
    bench.publish_for(1.5)
    fresh.recorder.send_signal(signal.SIGKILL)
    fresh.recorder.wait()
    refused = bench.press("success")
    assert not refused.success and "start the recorder" in refused.message
    bench.until("the loss to be said", lambda: "recorder_lost" in bench.events())
    bench.status = None
    fresh.run("record", check=False)
    bench.until("the take to be given up", lambda: "aborted" in bench.events(), 30)
    assert "recorder_back" in bench.events()
    bench.until(
        "the leftover to be recovered", lambda: (fresh.root / taken.episode_id).is_dir(), 30
    )
    marked = bench.press("failure", cause="drop")
    assert marked.success, marked.message
    assert fresh.episode(taken.episode_id).labels.cause == "drop"
    bench.until("all streams", bench.ready, 30)
    bench.take()
    bench.publish_for(0.6)
    assert bench.press("success").success and bench.shift.taken == 2


def test_a_node_that_stood_still_does_not_take_the_recorder_for_lost(fresh: Floor) -> None:
    bench = fresh.bench
    operator = fresh.operate()
    bench.begin(task="lift_box")
    operator.send_signal(signal.SIGSTOP)
    bench.publish_for(SILENT_S + 1)
    operator.send_signal(signal.SIGCONT)
    bench.shift = None
    bench.until("the shift to go on", lambda: bench.shift is not None)
    bench.publish_for(1)
    assert "recorder_lost" not in bench.events()
    assert bench.take().success


def test_discard_undo_and_retry_leave_who_and_why_in_the_episode(floor: Floor) -> None:
    bench = floor.bench
    bench.begin(task="lift_box", operator_name="ann")
    first = bench.take().episode_id
    bench.publish_for(0.3)
    assert bench.press("discard", by="eve").success
    assert not (floor.root / first).exists()
    undone = bench.press("undo", by="eve")
    assert undone.success and "restore take 1" in undone.message
    noted = [(e.kind, e.name, e.by) for e in floor.episode(first).events if e.name == "discarded"]
    assert noted == [
        (LabelKind.ANNOTATION, "discarded", "eve"),
        (LabelKind.RETRACTION, "discarded", "eve"),
    ]
    assert floor.episode(first).labels.annotations == ()
    assert bench.press("discard", by="bob").success
    assert bench.press("undo", by="bob").success
    again = [(e.kind, e.by) for e in floor.episode(first).events if e.name == "discarded"]
    assert again[2:] == [(LabelKind.ANNOTATION, "bob"), (LabelKind.RETRACTION, "bob")]
    second = bench.press("retry")
    assert second.success and second.state == RECORDING and not (floor.root / first).exists()
    assert bench.press("discard").success


def test_what_others_do_to_takes_changes_what_counts(floor: Floor) -> None:
    bench = floor.bench
    bench.begin(task="lift_box", target=2)
    id = bench.take().episode_id
    bench.publish_for(0.4)
    bench.press("success")
    bench.until("the take to count", lambda: bench.shift.counted == 1)
    failed = bench.ask(MarkOutcome, "labeller/mark_outcome", outcome=2, cause="drop", by="eve")
    assert failed.success
    bench.until("the label to be heard", lambda: bench.shift.counted == 0)
    forged = bench.node.create_publisher(Label, "labeller/labels", 10)
    bench.until("who hears labels", lambda: forged.get_subscription_count() >= 2)
    for outcome in (1, 7):  # one without a cause, stamped in the future; one that does not exist
        label = Label(episode_id=id, kind=Label.KIND_OUTCOME, outcome=outcome)
        label.header.stamp.sec = 2_000_000_000
        forged.publish(label)
    bench.until("its refusal", lambda: bench.status.last_label_problem)
    bench.publish_for(0.3)
    assert bench.shift.counted == 0, "what the recorder refuses does not count"
    bench.ask(MarkOutcome, "labeller/mark_outcome", outcome=1, by="eve")
    bench.until("the label to be heard", lambda: bench.shift.counted == 1)
    assert bench.ask(DiscardEpisode, "recorder/discard_episode", episode_id=id).success
    bench.until("the discard to be seen", lambda: bench.shift.counted == 0)
    started = bench.ask(StartEpisode, "recorder/start_episode")
    bench.until("the take of somebody else", lambda: bench.shift.episode_id == started.episode_id)
    assert bench.press("success").success and bench.shift.counted == 1


def test_a_joy_alone_does_a_whole_shift_and_a_held_button_starts_one_take(
    floor: Floor,
) -> None:
    bench, before = floor.bench, len(list(floor.root.glob("bench*")))
    pad = bench.node.create_publisher(Joy, "pad", qos_profile_sensor_data)

    def down(*buttons: int, for_s: float = 0.2) -> None:
        states = [int(n in buttons) for n in range(3)]
        for _ in range(round(for_s / 0.05)):
            pad.publish(Joy(buttons=states))
            bench.publish_for(0.05)

    bench.until("the pad to be heard", lambda: pad.get_subscription_count() > 0)
    down()
    down(0)
    down()
    bench.until("a shift and its first take by one press", lambda: bench.state() == RECORDING)
    bench.publish_for(0.6)
    down(0)
    down()
    bench.until("success", lambda: bench.shift.counted == 1)
    down(0)
    down()
    bench.until("the second take", lambda: bench.state() == RECORDING)
    down(0, for_s=2.0)  # held down: a failure, once
    down()
    bench.until("failure", lambda: bench.shift.outcome == 2 and bench.state() == READY)
    down(1)
    down()
    bench.until("the second take in the trash", lambda: bench.shift.taken == 1)
    down(2)
    down()
    bench.until("it is back", lambda: bench.shift.taken == 2)
    assert bench.events().count("start") == 2
    assert len(list(floor.root.glob("bench*"))) == before + 2


def test_a_panel_that_knows_only_three_services_records(floor: Floor) -> None:
    bench = floor.bench
    assert not bench.trigger("stop_record").success
    assert bench.trigger("start_record").success
    assert not bench.trigger("start_record").success, "it is recording already"
    bench.publish_for(0.4)
    assert bench.trigger("stop_record").success and bench.state() == VERDICT
    assert bench.trigger("start_record").success
    assert bench.trigger("cancel_record").success
    bench.until("one take", lambda: bench.shift.taken == 1)
    assert "in the trash" in bench.trigger("shift/success").message
    assert bench.trigger("shift/end").success
    assert bench.state() == IDLE


def test_a_second_operator_node_is_refused_with_the_remedy(floor: Floor) -> None:
    second = floor.run("operator", tones=False)
    assert second.wait(20) == 2
    assert (
        second.stdout is not None and "another operator node serves bench" in second.stdout.read()
    )


@pytest.mark.announced("the last shift is lost")
def test_a_shift_file_of_rubbish_is_kept_aside_and_a_new_shift_begins(fresh: Floor) -> None:
    bench = fresh.bench
    folder = fresh.root / ".shift"
    folder.mkdir(parents=True)
    (folder / "fresh.json").write_text('{"shift": {"plan": {}, "takes": 3}')
    fresh.operate()
    assert bench.state() == IDLE
    assert bench.begin(task="lift_box").success
    assert [p.name[:17] for p in folder.glob("*unreadable*")] == ["fresh.unreadable-"]
    assert json.loads((folder / "fresh.json").read_text())["shift"]["plan"]["task"] == "lift_box"


def test_requests_that_make_no_sense_are_refused_by_name(floor: Floor) -> None:
    bench = floor.bench
    assert "unknown task" in bench.begin(task="lift_bax").message
    assert "countdown_s is -1" in bench.begin(task="lift_box", countdown_s=-1.0).message
    assert "finite" in bench.begin(task="lift_box", reset_s=float("nan")).message
    assert "station" in bench.begin(task="lift_box", station="x" * 200).message
    assert "no shift is going on" in bench.press("success").message
    assert bench.begin(task="lift_box").success
    assert "end it first" in bench.begin(task="lift_box").message
    assert "no take" in bench.press("failure").message
    assert "unknown command" in bench.press("rm -rf").message
    bench.press("next")
    bench.publish_for(0.3)
    assert (
        "not one of" in bench.press("failure", cause="aliens").message or bench.state() == RECORDING
    )
    assert bench.press("discard").success
