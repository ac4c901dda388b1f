"""A take's score from its own bag: its motion, its labels, and what is unknown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.bags import HEADER, JOINTS, NS, joint_state
from support.full_robot import full_robot, recorded_facts
from support.samples import T0

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.model.errors import BagError
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, dump_events
from robot_recorder.model.qos import OfferedQos
from robot_recorder.model.topics import BagTopic, Channel, Sample
from robot_recorder.quality.verdict import Verdict
from robot_recorder.skill.take_score import Phase, TakeScore, make_score, read_score

SECONDS, PRE_ROLL_S = 6.0, 1.0


def note(name: str, from_s: float, to_s: float, stamp_s: float = 0.0) -> LabelEvent:
    at = [T0 + round(s * NS) for s in (stamp_s, from_s, to_s)]
    return LabelEvent(at[0], "a", LabelKind.ANNOTATION, name=name, start_ns=at[1], end_ns=at[2])


EVENTS = [
    LabelEvent(T0, "a", LabelKind.TASK, task="lift_box", operator_name="ann"),
    note("place", 4.0, 4.5, 1.0),
    note("grasp", 2.0, 2.0, 2.0),
    note("recovery", 3.0, 3.5, 3.0),
    note("reference_take", 0.0, SECONDS, 4.0),
    LabelEvent(T0 + 5 * NS, "a", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause="slip"),
]


def bag(path: Path, **facts: str) -> Path:
    """Write a bag of two joints that move from 1 s to 3 s after the start, after a second of pre-roll."""
    channel = Channel(BagTopic("/joint_states", JOINTS, (OfferedQos(),), "", HEADER))
    samples = []
    for at in np.arange(-PRE_ROLL_S, SECONDS, 0.01).tolist():
        share = min(max((at - 1) / 2, 0), 1)
        angle = share**3 * (10 - 15 * share + 6 * share * share)
        stamp_ns = T0 + round(at * NS)
        samples.append(Sample(channel, joint_state(stamp_ns, angle, 0.0), stamp_ns, stamp_ns))
    own = {
        "start_ns": str(T0), "stop_ns": str(T0 + round(SECONDS * NS)), "pre_roll_s": str(PRE_ROLL_S),
        "labels": dump_events(EVENTS), **facts,
    }  # fmt: skip
    writer = McapWriter()
    writer.open(path, own)
    writer.add_topic(channel)
    writer.write(samples)
    writer.close()
    return path


@pytest.fixture(scope="module")
def score(tmp_path_factory: pytest.TempPathFactory) -> TakeScore:
    return read_score(bag(tmp_path_factory.mktemp("scored") / "bag"))


def test_the_motion_is_that_after_the_start_whatever_the_pre_roll(score: TakeScore) -> None:
    assert score.duration_s == pytest.approx(SECONDS) and score.problem == ""
    assert score.motion is not None
    assert score.motion.travel_rad == pytest.approx(1.0, rel=0.02)
    assert [begin for begin, _ in score.motion.pauses] == pytest.approx([0.0, 3.0], abs=0.2)


def test_labels_are_told_by_time_and_the_reference_is_no_phase(score: TakeScore) -> None:
    assert (score.outcome, score.cause, score.recoveries) == (Outcome.FAILURE, "slip", 1)
    assert score.phases == (Phase("grasp", 2.0, 2.0), Phase("place", 4.0, 4.5))


def test_a_take_that_was_not_checked_has_no_verdict(score: TakeScore, tmp_path: Path) -> None:
    assert (score.verdict, score.reason) == (Verdict.UNKNOWN, "")
    found = [{"check": "gap", "level": "fail", "figure": 1.0}]
    report = {"verdict": "reject", "sentence": "so", "findings": found}
    judged = read_score(bag(tmp_path / "bag", verdict="reject", quality=json.dumps(report)))
    assert (judged.verdict, judged.reason) == (Verdict.REJECT, "gap")


def test_a_score_survives_its_file(score: TakeScore, tmp_path: Path) -> None:
    make_score(bag(tmp_path / "bag"), tmp_path / "score.json")
    assert TakeScore.from_dict(json.loads((tmp_path / "score.json").read_text())) == score


def test_positions_of_a_whole_robot_are_read_commands_left_out(tmp_path: Path) -> None:
    found = read_score(full_robot(tmp_path / "bag", **recorded_facts()))
    assert found.motion is not None and found.motion.smoothness is not None
    assert len(found.motion.turns) >= 3  # sin(2 t) turns every 1.6 s


def test_a_damaged_bag_is_measured_up_to_its_damage_and_says_so(tmp_path: Path) -> None:
    path = bag(tmp_path / "bag")
    [file] = path.glob("*.mcap")
    data = bytearray(file.read_bytes())
    half = len(data) // 2
    data[half : half + 4000] = bytes(4000)
    file.write_bytes(data)
    assert read_score(path).problem
    file.unlink()
    gone = read_score(path)
    assert gone.motion is None and gone.problem and gone.recoveries == 1


def test_without_metadata_there_is_no_take(tmp_path: Path) -> None:
    tmp_path.joinpath("bag").mkdir()
    with pytest.raises(BagError):
        read_score(tmp_path / "bag")
