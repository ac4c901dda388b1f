"""The table of commands: help with examples, near names, the version, commands of other packages, start-up.

Holds also: arguments.py, command.py, parser.py.
"""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from robot_recorder.cli.command import Command
from robot_recorder.cli.commands import OWN, own_command, parser_for
from robot_recorder.cli.main import main
from robot_recorder.configuration.version import software_version

PAGE = (Path(__file__).parents[2] / "docs/commands.md").read_text()
PROGRAM = "from robot_recorder.cli.main import main; raise SystemExit(main())"
TOY = """
from robot_recorder.cli.command import Command

def greet(options):
    print(f"hello {options.name}")
    return 0

COMMAND = Command(
    name="greet", summary="say hello", examples=("robot-recorder greet ann",),
    add_arguments=lambda parser: parser.add_argument("name"), run=greet,
)
MISNAMED = COMMAND
NO_COMMAND = "hello"
CHECK = Command(name="check", summary="another check", examples=("robot-recorder check",), run=greet)
"""
ENTRY_POINTS = """
[robot_recorder.commands]
greet = toy_commands:COMMAND
gone = toy_commands_that_are_gone:COMMAND
welcome = toy_commands:MISNAMED
nothing = toy_commands:NO_COMMAND
check = toy_commands:CHECK
"""


def commands() -> Iterator[tuple[str, Command]]:
    """Every command and action, as it is typed."""
    for name in OWN:
        command = own_command(name)
        yield name, command
        for action in command.actions:
            yield f"{name} {action.name}", action


COMMANDS = dict(commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_file_a_summary_and_examples(name: str, capsys) -> None:
    command = COMMANDS[name]
    assert command.name == name.split()[-1]
    assert command.summary and "\n" not in command.summary and not command.summary.endswith(".")
    assert 1 <= len(command.examples) <= 4
    with pytest.raises(SystemExit, match="0"):
        main([*name.split(), "--help"])
    help = capsys.readouterr().out
    assert f"\n{command.summary}\n" in help
    assert help.endswith("\nexamples:\n" + "".join(f"  {line}\n" for line in command.examples))


@pytest.mark.parametrize(
    "line", [line for command in COMMANDS.values() for line in command.examples]
)
def test_every_example_is_understood(line: str) -> None:
    program, *words = shlex.split(line.partition(" > ")[0])
    assert program == "robot-recorder"
    assert parser_for(words).parse_args(words).run is not None


@pytest.mark.parametrize("name", OWN)
def test_every_command_has_its_section_in_the_docs_with_its_examples(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n")[1].split("\n## ")[0]
    command = COMMANDS[name]
    for line in (*command.examples, *(x for a in command.actions for x in a.examples)):
        assert f"\n{line}\n" in section


def test_the_list_of_commands_has_all_of_them_and_their_summaries(capsys, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    help = capsys.readouterr().out
    for name in OWN:
        assert f" {name} " in f" {help.split('commands:')[1]} ".replace("\n", " ")
        assert COMMANDS[name].summary in help


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("episods", "unknown command 'episods'; did you mean 'episodes'?"),
        ("profile chek", "unknown action 'chek'; did you mean 'check'?"),
        ("check --jsn", "unknown option '--jsn'; did you mean '--json'"),
        ("align x --rte=3", "unknown option '--rte'; did you mean '--rate'"),
        ("stats --by taks", "unknown 'taks'; did you mean 'task'?"),
        ("completion bsh", "unknown 'bsh'; did you mean 'bash'"),
        ("xyzzy", "unknown command 'xyzzy'; known: agent, align, "),
        ("recover a b", "unexpected argument 'b'"),
        ("label x -j", "unknown option '-j'"),
        ("align x --rate fast", "'fast' is not a number above "),
        ("check x --jobs 0", "'0' is not a whole number of at least 1"),
        ("play --start soon", "'soon' is not a number"),
        ("", "the following arguments are required: COMMAND"),
    ],
)
def test_a_mistyped_line_is_refused_with_what_is_near(line: str, words: str, capsys) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(line.split())
    said = capsys.readouterr()
    error, hint = said.err.splitlines()
    assert error.startswith("error: ") and words in error, error
    assert hint.startswith("robot-recorder") and hint.endswith(" --help explains it")
    assert not said.out


def test_arguments_after_ros_args_are_passed_on() -> None:
    words = ["play", "x", "--ros-args", "--log-level", "debug", "-r", "a:=b"]
    assert parser_for(words).parse_args(words).ros_args == ["--log-level", "debug", "-r", "a:=b"]


def test_the_version_is_that_of_package_and_python(capsys) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    version = f"robot-recorder {software_version()} (Python {platform.python_version()})\n"
    assert capsys.readouterr().out == version


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([*name.split(), "--help"] for name in ("check", "play"))]
)  # fmt: skip
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom robot_recorder.cli.main import main\n"
        f"try: main({arguments})\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'yaml', 'rich', 'sqlite3', 'cv2', 'rosbags', 'matplotlib', 'rclpy'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/")
    assert done.stderr.strip() == "[]", done


# -- commands of other packages


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A folder with a distribution as pip installs it."""
    (tmp_path / "toy_commands.py").write_text(TOY)
    info = tmp_path / "toy_commands-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-commands\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    return tmp_path


def run_with(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200"},
        capture_output=True, text=True, cwd="/",
    )  # fmt: skip


def test_a_command_of_another_package_is_one_of_ours(toy: Path) -> None:
    done = run_with(toy, "greet", "ann")
    assert (done.returncode, done.stdout) == (0, "hello ann\n")
    help = run_with(toy, "greet", "--help").stdout
    assert "say hello" in help and help.endswith("examples:\n  robot-recorder greet ann\n")
    assert "say hello" in run_with(toy, "--help").stdout
    assert "did you mean 'greet'" in run_with(toy, "gret").stderr
    assert "|greet)" in run_with(toy, "completion", "bash").stdout


def test_a_broken_command_of_another_package_is_named_and_breaks_nothing_else(toy: Path) -> None:
    done = run_with(toy, "--help")
    assert done.returncode == 0
    assert "say hello" in done.stdout and "gone" not in done.stdout
    for words in (
        "toy_commands_that_are_gone:COMMAND cannot be loaded: ModuleNotFoundError",
        "'welcome' is left out: it calls itself 'greet'",
        "'nothing' is left out: it is a str, not a Command",
        "'check' is left out: a command of this name exists already",
    ):
        assert words in done.stderr
    assert done.stderr.count("\n") == 4, done.stderr
    assert "another check" not in run_with(toy, "check", "--help").stdout
    assert run_with(toy, "gone").returncode == 2


def test_our_own_commands_do_not_look_for_others(toy: Path) -> None:
    done = run_with(toy, "tasks", "--help")
    assert done.returncode == 0 and not done.stderr
