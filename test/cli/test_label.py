"""`robot-recorder label`, as a reviewer uses it.

Holds also: label_report.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.cli.main import main
from robot_recorder.configuration.tasks import parse_tasks
from robot_recorder.episodes.episode import Episode
from robot_recorder.episodes.facts import label_facts
from robot_recorder.floor.store import open_store
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome

OWN = parse_tasks(
    "tasks: {lift_box: {instruction: Lift it., failure_causes: [slip], annotations: [grasp, place]}}"
).find("lift_box")


def record(root: Path, number: int) -> Path:
    """An episode of two seconds with half a second of pre-roll."""
    store, id = open_store(root), f"arm_20260101T00000{number}_000_lift_box"
    partial = store.new_partial(id)
    messages = [("/a", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(200)]
    write_bag(McapWriter(), partial, messages)
    begin = LabelEvent(
        T0, id, LabelKind.TASK, task="lift_box", instruction="Lift it.", operator_name="ann"
    )
    return store.finalise(partial, {
        "episode_id": id, "start_ns": str(T0), "stop_ns": str(T0 + 2 * 10**9),
        "pre_roll_s": "0.5", "task_yaml": OWN.text, **label_facts([begin]),
    })  # fmt: skip


@pytest.fixture
def episodes(tmp_path: Path) -> list[Path]:
    return [record(tmp_path, number) for number in range(2)]


def test_an_outcome_with_cause_and_note(episodes: list[Path], capsys) -> None:
    path = episodes[0]
    assert main(["label", str(path), "--by", "eve", "--success"]) == 0
    assert capsys.readouterr().out == (
        f"{path.name} marked as success (was unlabelled); still to be annotated: grasp, place\n"
    )
    assert (
        main(["label", str(path), "--by", "eve", "--failure", "slip", "--note", "seen late"]) == 0
    )
    assert "marked as failure: slip (was success)" in capsys.readouterr().out
    last = Episode.open(path).events[-1]
    assert (last.by, last.note, last.previous) == ("eve", "seen late", "success")
    assert (last.outcome, last.cause) == (Outcome.FAILURE, "slip")
    assert main(["label", str(path), "--by", "eve", "--unlabelled"]) == 0
    assert "marked as unlabelled (was failure: slip)" in capsys.readouterr().out
    assert main(["label", str(path), "--by", "eve", "--failure"]) == 0
    assert Episode.open(path).facts["cause"] == ""


def test_annotations_in_the_episodes_own_time(episodes: list[Path], capsys) -> None:
    path = str(episodes[0])
    said = ["--annotate", "grasp@-0.5-0.25", "place@1.5", "regrasp@-0.25--0.125"]
    assert main(["label", path, "--by", "eve", *said]) == 0
    now = Episode.open(episodes[0]).labels.annotations
    assert [(a.name, a.start_ns - T0, a.end_ns - T0) for a in now] == [
        ("grasp", -500_000_000, 250_000_000),
        ("place", 1_500_000_000, 1_500_000_000),
        ("regrasp", -250_000_000, -125_000_000),
    ]
    assert "still to be annotated" not in capsys.readouterr().out
    assert main(["label", path, "--by", "eve", "--retract", "place@1.5"]) == 0
    out = capsys.readouterr().out
    assert "withdrawn: place 1.500 s; still to be annotated: place" in out
    assert [a.name for a in Episode.open(episodes[0]).labels.annotations] == ["grasp", "regrasp"]
    assert len(Episode.open(episodes[0]).events) == 5


def test_task_instruction_and_operator_can_be_set_right(episodes: list[Path], capsys) -> None:
    path = str(episodes[0])
    assert main(["label", path, "--by", "eve", "--operator", "bob"]) == 0
    now = Episode.open(episodes[0]).labels
    assert (now.task, now.instruction, now.operator_name) == ("lift_box", "Lift it.", "bob")
    assert main(["label", path, "--by", "eve", "--task", "carry_tray"]) == 0
    assert "set to task carry_tray, operator bob (was lift_box)" in capsys.readouterr().out
    facts = Episode.open(episodes[0]).facts
    assert facts["task"] == "carry_tray" and facts["instruction"].startswith("Take the tray")
    # causes are now those of the other task, in the shipped registry
    assert main(["label", path, "--by", "eve", "--failure", "tipped"]) == 0
    said = ["--task", "lift_box", "--instruction", "Up."]
    assert main(["label", path, "--by", "eve", *said]) == 0
    assert Episode.open(episodes[0]).labels.instruction == "Up."


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (["--failure", "slipp"], "did you mean 'slip'"),
        (["--annotate", "grasp@3"], "grasp at 3.000 s is outside of the episode, which goes from -0.500 to 2.000 s"),
        (["--annotate", "grasp@1-0"], "ends before it starts"),
        (["--annotate", "gras@1"], "did you mean 'grasp'"),
        (["--success", "--annotate", "grasp@1", "grasp@9"], "outside"),
        (["--retract", "grasp@1"], "there are: none"),
        (["--task", "lift_bx"], "did you mean 'lift_box'"),
    ],
)  # fmt: skip
def test_an_invalid_label_is_refused_and_changes_nothing(
    episodes: list[Path], said: list[str], words: str, capsys
) -> None:
    before = (episodes[0] / "metadata.yaml").read_bytes()
    assert main(["label", str(episodes[0]), "--by", "eve", *said]) == 1
    error = capsys.readouterr().err
    assert words in error and error.startswith("error: ") and error.count("\n") == 1
    assert (episodes[0] / "metadata.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("said", "words"),
    [(["--success"], "--by NAME"), (["--success", "--by", " "], "--by NAME"), ([], "nothing to do"),
     (["--by", "eve", "--note", "x"], "a note goes with a label"),
     (["--success", "--by", "eve", "--tasks", "/nowhere.yaml"], "/nowhere.yaml")],
)  # fmt: skip
def test_a_wrong_command_labels_nothing(
    episodes: list[Path], said: list[str], words: str, capsys
) -> None:
    assert main(["label", *map(str, episodes), *said]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
    assert all(len(Episode.open(path).events) == 1 for path in episodes)


def test_an_annotation_without_a_time_is_explained(episodes: list[Path], capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["label", str(episodes[0]), "--by", "eve", "--annotate", "grasp"])
    assert "'grasp' is not NAME@START[-END]" in capsys.readouterr().err


def test_one_that_fails_does_not_stop_the_rest(episodes: list[Path], capsys) -> None:
    store = open_store(episodes[0].parent)
    gone = store.discard(record(episodes[0].parent, 7))
    partial = store.new_partial("arm_20260101T000009_000")
    partial.mkdir()
    bad = [Path("/nowhere"), gone, partial, partial.with_suffix("")]
    paths = [episodes[0], *bad, episodes[1]]
    assert main(["label", *map(str, paths), "--by", "eve", "--success"]) == 1
    printed = capsys.readouterr()
    assert printed.out.count("marked as success") == 2
    assert "/nowhere does not exist" in printed.err
    assert f"--restore {gone.name}" in printed.err
    assert printed.err.count(f"robot-recorder recover {store.root}") == 2
    assert {Episode.open(p).labels.outcome for p in episodes} == {Outcome.SUCCESS}


def test_the_history_shows_every_label_and_what_holds(episodes: list[Path], capsys) -> None:
    path = str(episodes[0])
    main(["label", path, "--by", "eve", "--success", "--annotate", "grasp@0.5-1"])
    main(["label", path, "--by", "bob", "--failure", "slip", "--note", "it [fell] later"])
    capsys.readouterr()
    assert main(["label", *map(str, episodes), "--history"]) == 0
    out = capsys.readouterr().out
    assert f"{episodes[0].name}: failure: slip, task lift_box, operator ann" in out
    assert "annotated: grasp 0.500 to 1.000 s; still to be annotated: place" in out
    assert f"{episodes[1].name}: unlabelled" in out and "annotated: nothing" in out
    lines = out.splitlines()
    (line,) = [line for line in lines if "it [fell] later" in line]
    assert [cell.strip() for cell in line.split("│")][1:] == [
        "bob", "failure: slip", "success", "it [fell] later"
    ]  # fmt: skip
    assert main(["label", path, "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["now"]["outcome"] == "failure" and plain["now"]["missing_annotations"] == ["place"]
    assert plain["now"]["annotations"] == [{"name": "grasp", "start_s": 0.5, "end_s": 1.0}]
    assert [e["kind"] for e in plain["history"]] == ["task", "outcome", "annotation", "outcome"]
    # what changes and is shown, is shown as it is then
    assert main(["label", path, "--by", "bob", "--unlabelled", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["now"]["outcome"] == "unlabelled"


def test_a_registry_that_is_asked_for_rules(episodes: list[Path], tmp_path: Path) -> None:
    floor = tmp_path / "floor.yaml"
    floor.write_text("tasks: {lift_box: {instruction: Lift., failure_causes: [quake]}}")
    said = ["label", str(episodes[0]), "--by", "eve", "--failure", "quake"]
    assert main(said) == 1
    assert main([*said, "--tasks", str(floor)]) == 0


def test_command_lines_at_once_lose_nothing(episodes: list[Path]) -> None:
    code = "import sys; from robot_recorder.cli.main import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "label", *map(str, episodes)]
    said = [["--success"], ["--failure", "slip"], ["--annotate", "grasp@1"], ["--operator", "bob"]]
    running = [
        subprocess.Popen([*command, "--by", f"p{n}", *words]) for n, words in enumerate(said)
    ]
    assert [process.wait(60) for process in running] == [0] * len(said)
    for path in episodes:
        log = Episode.open(path).events
        assert sorted(e.by for e in log[1:]) == ["p0", "p1", "p2", "p3"]
        outcomes = [e for e in log if e.kind is LabelKind.OUTCOME]
        assert outcomes[0].previous == "unlabelled" and outcomes[1].previous != "unlabelled"
        now = Episode.open(path).labels
        assert (now.task, now.operator_name) == ("lift_box", "bob") and len(now.annotations) == 1
