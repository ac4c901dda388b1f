"""What the command line prints of bags, names and labels that want to steer a terminal or forge its lines."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bags import small_robot
from support.samples import T0, wrench, write_bag

from robot_recorder.bags.mcap_writer import McapWriter
from robot_recorder.cli.main import main
from robot_recorder.cli.tables import PlainText, Table, table_console
from robot_recorder.cli.terminal import VisibleFormatter
from robot_recorder.model.labels import LabelEvent, LabelKind, Outcome, dump_events
from robot_recorder.model.text import visible_lines

PACKAGE = Path(__file__).parents[2] / "robot_recorder"
HOSTILE = "\x1b[2Ja\nFORGED\r\u202eb[red]c[/]\x85FORGED\u2028FORGED\x9b31m\x07\x7f\u2066"
ROBOT = "arm_20260101T000000_000"


def imports(path: Path) -> set[str]:
    return {
        name.split(".")[0]
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [alias.name for alias in node.names] if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip


def test_everything_is_printed_in_one_place() -> None:
    printing, rich = set(), set()
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                printing.add(name)
            if isinstance(node, ast.Attribute) and node.attr in ("stdout", "stderr"):
                if isinstance(node.value, ast.Name) and node.value.id == "sys":
                    printing.add(name)
        if "rich" in imports(path):
            rich.add(name)
    assert printing <= {
        "cli/terminal.py",
        "nodes/player_terminal.py",
        "cli/tables.py",
        "cli/play.py",
        "cli/console.py",
    }
    assert rich == {"cli/tables.py", "cli/progress.py"}


def assert_plain(text: str) -> None:
    """Nothing in it steers, and no line of it is another's."""
    assert visible_lines(text) == text
    assert not [line for line in text.split("\n") if line.lstrip().startswith("FORGED")], text


@dataclass
class Floor:
    """A root with hostile episodes."""

    root: Path
    finished: Path
    foreign: Path


@pytest.fixture
def floor(tmp_path: Path) -> Floor:
    """An episode whose every text is hostile, and a bag with hostile names of its topics."""
    root = tmp_path / "episodes"
    finished = root / f"{ROBOT}_lift"
    root.mkdir()
    label: Any = dict(by=HOSTILE, note=HOSTILE, previous=HOSTILE)
    events = [
        LabelEvent(T0, "e", LabelKind.TASK, task=HOSTILE, instruction=HOSTILE,
                   operator_name=HOSTILE, **label),
        LabelEvent(T0, "e", LabelKind.OUTCOME, outcome=Outcome.FAILURE, cause=HOSTILE, **label),
        LabelEvent(T0, "e", LabelKind.ANNOTATION, name=HOSTILE, start_ns=T0, end_ns=T0, **label),
    ]  # fmt: skip
    quality = {
        "verdict": "reject", "sentence": HOSTILE, "broken": [HOSTILE],
        "results": [{"check": HOSTILE, "stream": HOSTILE, "level": "fail", "figure": 1.0,
                     "threshold": 1.0, "unit": HOSTILE, "sentence": HOSTILE}],
    }  # fmt: skip
    small_robot(
        finished, 1.0, episode_id=HOSTILE, robot=HOSTILE, operator=HOSTILE, task=HOSTILE,
        cause=HOSTILE, outcome="failure", labels=dump_events(events), start_ns=str(T0),
        stop_ns=str(T0 + 10**9), error=HOSTILE, stop_reason=HOSTILE, namespace=HOSTILE,
        verdict="reject", quality=json.dumps(quality), profile=HOSTILE,
    )  # fmt: skip
    foreign = root / "foreign"
    messages = [(f"/{t}", wrench(T0 + i * 10**7), T0 + i * 10**7) for i in range(50)
                for t in ("a", HOSTILE)]  # fmt: skip
    write_bag(McapWriter(), foreign, messages)
    return Floor(root, finished, foreign)


COMMANDS: dict[str, Callable[[Floor], list[str]]] = {
    "check": lambda f: ["check", str(f.root), "--all"],
    "check json": lambda f: ["check", str(f.root), "--json"],
    "show": lambda f: ["show", str(f.finished)],
    "show foreign": lambda f: ["show", str(f.foreign)],
    "compare": lambda f: ["show", str(f.finished), str(f.foreign), "--out", str(f.root / "c.png")],
    "align": lambda f: ["align", str(f.finished)],
    "align foreign": lambda f: ["align", str(f.foreign)],
    "align json": lambda f: ["align", str(f.finished), "--json"],
    "certificate": lambda f: ["certificate", str(f.finished), "--again"],
    "certificate foreign": lambda f: ["certificate", str(f.foreign)],
    "latency": lambda f: ["latency", str(f.finished)],
    "guess": lambda f: ["profile", "guess", str(f.finished)],
    "guess foreign": lambda f: ["profile", "guess", str(f.foreign)],
    "episodes": lambda f: ["episodes", str(f.root)],
    "episodes paths": lambda f: ["episodes", str(f.root), "--paths"],
    "episodes json": lambda f: ["episodes", str(f.root), "--json"],
    "episodes of": lambda f: ["episodes", str(f.root), "--task", "x"],
    "stats": lambda f: ["stats", str(f.root)],
    "stats json": lambda f: ["stats", str(f.root), "--json"],
    "stats by": lambda f: ["stats", str(f.root), "--by", "operator"],
    "catalogue": lambda f: ["catalogue", str(f.root)],
    "history": lambda f: ["label", str(f.finished), "--history"],
    "history json": lambda f: ["label", str(f.finished), "--json"],
    "label": lambda f: ["label", str(f.finished), "--by", "eve", "--success"],
    "retract": lambda f: ["label", str(f.finished), "--by", "eve", "--retract", "grasp@1"],
    "play": lambda f: ["play", str(f.foreign), "--topics", f"x{HOSTILE}"],
    "recover": lambda f: ["recover", str(f.root)],
    "trash": lambda f: ["trash", str(f.root)],
    "restore": lambda f: ["trash", str(f.root), "--restore", HOSTILE],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_lets_a_bag_steer_the_terminal(floor: Floor, command: str, capsys) -> None:
    code = main(COMMANDS[command](floor))
    said = capsys.readouterr()
    assert_plain(said.out)
    assert_plain(said.err)
    assert code in (0, 1, 2) and (said.out + said.err).strip()
    if command.endswith("json"):
        for line in [said.out] if command == "check json" else said.out.splitlines():
            json.loads(line)


def test_json_has_the_characters_that_a_terminal_is_not_shown(floor: Floor, capsys) -> None:
    assert main(["label", str(floor.finished), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["now"]["task"] == HOSTILE and said["history"][1]["note"] == HOSTILE


def test_markup_of_others_is_text(floor: Floor, capsys) -> None:
    assert main(["label", str(floor.finished), "--history"]) == 0
    assert "[red]c[/]" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["x\nFORGED", "\x1b[2J", "\u202egnp.exe"])
def test_names_of_folders_forge_no_line(floor: Floor, name: str, capsys) -> None:
    """``--paths`` is one path a line for scripts: one that is none is told on standard error."""
    for kind in ("", ".partial"):
        os.rename(floor.foreign, floor.root / f"{name}{kind}") if not kind else (
            (floor.root / f"{name}{kind}").mkdir()
        )
    assert main(["episodes", str(floor.root), "--paths"]) == 1
    said = capsys.readouterr()
    assert said.out == f"{floor.finished}\n"
    assert "not listed" in said.err and said.err.count("\n") == 1
    assert_plain(said.err)
    assert main(["episodes", str(floor.root)]) == 0
    assert main(["recover", str(floor.root)]) in (0, 1)
    assert main(["check", str(floor.root)]) == 1
    said = capsys.readouterr()
    assert_plain(said.out)
    assert_plain(said.err)


@pytest.mark.parametrize(
    "arguments",
    [["check", HOSTILE], [HOSTILE], ["episodes", HOSTILE], ["profile", "check", f"/{HOSTILE}"],
     ["profile", "check", HOSTILE], ["tasks", HOSTILE], ["label", HOSTILE, "--success", "--by", "x"],
     ["stats", "--by", HOSTILE], ["show", HOSTILE], ["align", HOSTILE], ["view", HOSTILE],
     ["label", "x", "--annotate", f"{HOSTILE}@x"], ["episodes", "--since", HOSTILE],
     ["play", HOSTILE], ["play", ".", "--namespace", HOSTILE]],
)  # fmt: skip
def test_arguments_that_others_named_forge_no_line(arguments: list[str], capsys) -> None:
    try:
        assert main(arguments) in (1, 2)
    except SystemExit as ended:
        assert ended.code == 2
    said = capsys.readouterr()
    assert_plain(said.out)
    assert_plain(said.err)
    assert said.err


@pytest.mark.parametrize("command", [["profile", "check"], ["tasks"]])
def test_configuration_files_forge_no_line(command: list[str], tmp_path: Path, capsys) -> None:
    file = tmp_path / "it.yaml"
    quoted = json.dumps(HOSTILE)
    for text in (
        f"{quoted}: 1", f"robot: {quoted}", f"tasks: {{{quoted}: {{instruction: x}}}}",
        f"tasks: {{a: {{instruction: {quoted}, {quoted}: 1}}}}", f"robot: a\nstreams: {{{quoted}: 1}}",
        f"robot: a\nstreams: {{b: {{topic: {quoted}, type: a/msg/B, role: action}}}}",
        f"tasks: {{a: {{instruction: x, programme: {quoted}}}}}", "robot: \x1b", HOSTILE,
    ):  # fmt: skip
        file.write_text(text)
        assert main([*command, str(file)]) == 2, text
        said = capsys.readouterr()
        assert_plain(said.out)
        assert_plain(said.err)


@pytest.mark.announced("a fault of robot-recorder ended this command")
def test_a_program_that_breaks_forges_no_line(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    def breaks(_: str) -> None:
        raise ValueError(HOSTILE)

    monkeypatch.setattr("robot_recorder.configuration.find.load_tasks", breaks)
    assert main(["tasks"]) == 2
    said = VisibleFormatter().format(caplog.records[-1])
    assert "Traceback" in said and "ValueError: \\x1b[2Ja" in said
    assert visible_lines(said) == said
    first, *rest = said.rstrip("\n").split("\n")
    assert first == "error: a fault of robot-recorder ended this command"
    assert rest and all(line.startswith("    ") for line in rest)


@given(st.text(max_size=40), st.text(max_size=10))
def test_tables_hold_any_text_on_one_line(text: str, heading: str) -> None:
    table = Table(heading)
    table.add_row(text)
    table.add_row(PlainText(text, "red").append(text))
    console = table_console(2000)
    with console.capture() as captured:
        console.print(table)
        console.print(text, PlainText(text), soft_wrap=True)
    assert_no_control = captured.get()
    assert visible_lines(assert_no_control) == assert_no_control
    assert assert_no_control.count("\n") == 5
