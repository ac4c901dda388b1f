"""``completion``: the scripts, in the shells they are for, as far as those are installed.

Holds also: completion_scripts.py, completion_words.py.
"""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from robot_recorder.cli.commands import OWN
from robot_recorder.cli.main import main

Complete = Callable[[str], set[str]]
BASH = """
source {script}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_robot_recorder
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def write(tmp_path: Path, capsys) -> Callable[[str], Path]:
    """Writes the script for a shell that is installed."""

    def write(shell: str) -> Path:
        if shutil.which(shell) is None:
            pytest.skip(f"{shell} is not installed here")
        assert main(["completion", shell]) == 0
        path = tmp_path / "script"
        path.write_text(capsys.readouterr().out)
        return path

    return write


def run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_valid(shell: str, write: Callable[[str], Path]) -> None:
    run([shell, "--no-execute" if shell == "fish" else "-n", str(write(shell))])


@pytest.fixture(params=["bash", "fish"])
def complete(request: pytest.FixtureRequest, write: Callable[[str], Path]) -> Complete:
    """Completes the last word of a command line. zsh does it only in an interactive shell."""
    path = write(request.param)

    def by_bash(line: str) -> set[str]:
        code = BASH.format(script=path)
        return set(run(["bash", "--norc", "-c", code, "bash", *line.split(" ")]).split())

    def by_fish(line: str) -> set[str]:
        said = run(["fish", "--no-config", "-c", f"source {path}; complete -C '{line}'"])
        return {row.split("\t")[0] for row in said.splitlines()}

    return {"bash": by_bash, "fish": by_fish}[request.param]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("robot-recorder ", set(OWN)),
        ("robot-recorder ep", {"episodes"}),
        ("robot-recorder ca", {"catalogue"}),
        ("robot-recorder --v", {"--version"}),
        ("robot-recorder episodes --out", {"--outcome"}),
        ("robot-recorder episodes --outcome ", {"unlabelled", "success", "failure"}),
        ("robot-recorder episodes --json --outcome f", {"failure"}),
        ("robot-recorder stats x --by t", {"task"}),
        ("robot-recorder profile ", {"check", "guess", "new"}),
        ("robot-recorder profile check --j", {"--json"}),
        ("robot-recorder check --j", {"--jobs", "--json"}),
        ("robot-recorder completion z", {"zsh"}),
        ("robot-recorder label x --failure --no", {"--note"}),
        ("robot-recorder episodes stats --rebu", set()),
        ("robot-recorder label x --by ", set()),
    ],
)
def test_words_are_completed(complete: Complete, line: str, words: set[str]) -> None:
    assert complete(line) == words


def test_a_value_behind_an_equals_sign_is_completed_in_bash(write: Callable[[str], Path]) -> None:
    command = ["bash", "--norc", "-c", BASH.format(script=write("bash")), "bash"]
    words = ["robot-recorder", "episodes", "--outcome", "=", "s"]  # as bash takes it apart
    assert run([*command, *words]).split() == ["success"]


def test_files_are_left_to_the_shell(complete: Complete, tmp_path: Path, monkeypatch) -> None:
    if complete.__name__ == "by_bash":
        assert complete("robot-recorder check ") == set(), "bash falls back to files"
        return
    monkeypatch.chdir(tmp_path)
    (tmp_path / "an_episode").mkdir()
    assert "an_episode/" in complete("robot-recorder check an_")
    assert "an_episode/" in complete("robot-recorder stats --tasks an_")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_key_press_completes_in_a_terminal(
    shell: str, write: Callable[[str], Path], tmp_path: Path
) -> None:
    script = write(shell)
    quiet = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}[shell]
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(tmp_path)
        os.environ.update(TERM="dumb", PS1="$ ")
        os.execvp(shell, [shell, *quiet, "-i"])
    shown = ""

    def until(text: str) -> None:
        nonlocal shown
        end = time.monotonic() + 20
        while text not in shown:
            assert time.monotonic() < end, f"waited for {text}; shown: {shown!r}"
            if select.select([terminal], [], [], 0.1)[0]:
                shown += os.read(terminal, 4096).decode(errors="replace")
        shown = shown.partition(text)[2]

    try:
        setup = "autoload -U compinit && compinit -D; " if shell == "zsh" else ""
        os.write(terminal, f"{setup}source {script}; echo re''ady\n".encode())
        until("ready")
        os.write(terminal, b"robot-recorder episodes --verd\t")
        until("--verdict")
        os.write(terminal, b"rej\t")
        until("reject")
    finally:
        os.write(terminal, b"\x03\x04")
        os.close(terminal)
        os.waitpid(process, 0)
